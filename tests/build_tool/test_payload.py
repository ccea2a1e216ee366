"""Wheels as payloads, made by hand."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from cloacina_build.errors import InvalidProjectError
from cloacina_build.payload import Payload, read_payload
from cloacina_signing.canonical_wheel import canonical_wheel

METADATA = "Metadata-Version: 2.1\nName: acme-greet\nVersion: {}\n"
WHEEL = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def payload_of(
    directory: Path, modules: Iterable[str], *, version: str = "1.0", more: str = ""
) -> Payload:
    info = f"acme_greet-{version}.dist-info"
    files = {
        "acme_greet/__init__.py": b"",
        "acme_greet/tasks.py": b"",
        "acme_greet/_native.abi3.so": b"",
        "single.py": b"",
        f"{info}/METADATA": (METADATA.format(version) + more).encode(),
        f"{info}/WHEEL": WHEEL,
    }
    path = directory / f"acme_greet-{version}-py3-none-any.whl"
    path.write_bytes(canonical_wheel(files, info))
    return read_payload(path, modules, Path("greet"))


def problems_of(directory: Path, modules: Iterable[str], **changed: str) -> list[str]:
    with pytest.raises(InvalidProjectError) as caught:
        payload_of(directory, modules, **changed)
    return list(caught.value.problems)


def test_a_module_may_be_a_package_a_file_or_compiled(tmp_path: Path) -> None:
    modules = ["acme_greet", "acme_greet.tasks", "acme_greet._native", "single"]
    assert payload_of(tmp_path, modules).version.public == "1.0"


def test_a_missing_module_is_told_with_those_there_are(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, ["acme_greet.task", "acme_gret"])
    assert [problem.split(":")[0] for problem in problems] == [
        "module 'acme_greet.task' is not in its wheel, which has acme_greet, single",
        "module 'acme_gret' is not in its wheel, which has acme_greet, single",
    ]


def test_authors_are_read_from_both_fields(tmp_path: Path) -> None:
    more = 'Author: Ann, Bob\nAuthor-email: "Cy, Dr" <cy@acme.example>, dee@acme.example\n'
    payload = payload_of(tmp_path, [], more=more)
    assert payload.authors == ("Ann", "Bob", "Cy, Dr <cy@acme.example>", "dee@acme.example")


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    more = "Requires-Python: >=9\nRequires-Dist: requests\n"
    requests, python, module, version = problems_of(tmp_path, ["x"], version="one", more=more)
    assert requests.startswith("it depends on 'requests', which no worker has")
    assert python.startswith("it requires Python >=9")
    assert module.startswith("module 'x' is not in its wheel")
    assert version.startswith("its version is 'one'")


def test_a_file_that_is_no_good_wheel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "acme_greet-1.0-py3-none-any.whl"
    path.write_bytes(b"not a wheel")
    with pytest.raises(InvalidProjectError, match="its wheel: it does not end in an end record"):
        read_payload(path, [], Path("greet"))
