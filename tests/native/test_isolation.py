"""What a worker can see of its host, and of other workers: nothing but what it is given."""

import os
from pathlib import Path

import pytest

from cloacina_native.runtime_directories import runtime_directories
from cloacina_sdk.json_text import decode

from .packages import act, assigned, worker_of, write_module, write_package


def test_only_the_runtime_is_importable_of_the_host(tmp_path: Path) -> None:
    names = ["cloacina_sdk", "cloacina_native", "_cffi_backend", "cffi", "pycparser"]
    hidden = ["cloacina", "cloacina_signing", "cloacina_build", "sqlalchemy", "pytest", "pluggy"]
    hidden += ["setuptools", "packaging", "cryptography", "pip", "site_packages"]
    body = f"""
        found = []
        for name in {names + hidden}:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                continue
            found.append(name)
        context["found"] = found
        context["path"] = [p for p in sys.path if "site-packages" in p or "dist-packages" in p]
    """
    write_package(tmp_path, body, head="import importlib, sys")
    with worker_of(tmp_path) as worker:
        outcome = assigned(act(worker))
    assert decode(outcome["found"]) == names
    assert outcome["path"] == "[]"


def test_the_runtime_comes_from_where_the_host_has_it() -> None:
    directories = runtime_directories()
    assert list(directories)[:2] == ["cloacina_sdk", "cloacina_native"]
    assert (directories["cloacina_native"] / "cloacina_native" / "worker").is_dir()
    assert any(directories["_cffi_backend"].glob("_cffi_backend*"))


def test_a_package_cannot_stand_in_for_the_runtime_or_the_standard_library(tmp_path: Path) -> None:
    write_module(tmp_path, "raise RuntimeError('mine')", module="cloacina_sdk")
    write_module(tmp_path, "raise RuntimeError('mine')", module="json")
    write_package(tmp_path, "import json\ncontext['n'] = json.loads('1')")
    with worker_of(tmp_path) as worker:
        assert assigned(act(worker)) == {"n": "1"}


def test_the_environment_is_scrubbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TZ", "Europe/Riga")
    body = """
        context["names"] = sorted(os.environ.keys() - {"PATH", "LANG", "LC_ALL", "LC_CTYPE"})
        context["given"] = [os.environ["TZ"], os.environ["ACME_MODE"]]
        context["scratch"] = [os.getcwd(), os.environ["HOME"], tempfile.gettempdir()]
        context["input"] = sys.stdin.read()
        context["encoding"] = [sys.stdout.encoding, sys.getfilesystemencoding()]
        open("left", "w").close()
    """
    write_package(tmp_path, body, head="import os, sys, tempfile")
    with worker_of(tmp_path, ACME_MODE="test") as worker:
        outcome = assigned(act(worker))
        scratch = decode(outcome["scratch"])
        assert isinstance(scratch, list)
        assert len(set(scratch)) == 1
        assert Path(str(scratch[0])).is_dir()
    assert decode(outcome["names"]) == [
        "ACME_MODE",
        "CLOACINA_WORKER_RUNTIME",
        "HOME",
        "TMPDIR",
        "TZ",
    ]
    assert decode(outcome["given"]) == ["Europe/Riga", "test"]
    assert outcome["input"] == '""'
    assert decode(outcome["encoding"]) == ["utf-8", "utf-8"]
    assert not Path(str(scratch[0])).exists()


def test_no_descriptor_of_the_host_is_inherited(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    write_package(tmp_path, "context['open'] = len(os.listdir('/proc/self/fd'))", head="import os")
    with worker_of(tmp_path) as worker:
        # Three standard ones, the socket, the lifeline, and the one that lists the directory.
        assert assigned(act(worker)) == {"open": "6"}
    os.close(reader)
    os.close(writer)


def test_nothing_is_written_beside_the_package(tmp_path: Path) -> None:
    write_package(tmp_path, "pass")
    before = sorted(tmp_path.rglob("*"))
    with worker_of(tmp_path) as worker:
        act(worker)
    assert sorted(tmp_path.rglob("*")) == before


def test_two_versions_with_the_same_module_names_run_side_by_side(tmp_path: Path) -> None:
    for version in ("one", "two"):
        write_module(tmp_path / version, f"VERSION = {version!r}", module="shared")
        body = "import shared\ncontext['version'] = shared.VERSION"
        write_package(tmp_path / version, body)
    with worker_of(tmp_path / "one") as one, worker_of(tmp_path / "two") as two:
        for _ in range(2):
            assert assigned(act(one)) == {"version": '"one"'}
            assert assigned(act(two)) == {"version": '"two"'}
