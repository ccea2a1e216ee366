"""The same source gives the same bytes."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloacina_build.errors import InvalidSourceTimeError
from cloacina_build.package import build_package
from cloacina_build.source_time import EARLIEST_S, rfc3339, source_time_s

from .conftest import BuiltSample
from .projects import a_copy, a_project, wheel_in


@contextmanager
def mask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def elsewhere(sample: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Build a copy of a sample with other modes, times, temporary directory and environment."""
    temporary = directory / "another place for temporary files"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("CFLAGS", "-O0 -g3 -DNOISE")
    monkeypatch.setenv("LD_RUN_PATH", "/nowhere")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    with mask(0o077):
        project = a_copy(sample, directory / "with a longer name" / sample)
        for number, path in enumerate(sorted(project.rglob("*"))):
            os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
        return build_package(project).raw


def test_a_pure_project_gives_the_same_bytes_elsewhere(
    simple_demo: BuiltSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert elsewhere("simple_demo", tmp_path, monkeypatch) == simple_demo.package.raw


def test_a_compiled_project_gives_the_same_bytes_elsewhere(
    source_census: BuiltSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert elsewhere("source_census", tmp_path, monkeypatch) == source_census.package.raw


def test_no_path_of_this_machine_is_in_a_compiled_package(source_census: BuiltSample) -> None:
    library = wheel_in(source_census.package.raw).files["source_census/_native.abi3.so"]
    for path in (Path.home(), Path(os.__file__).parent, "/tmp", "cloacina-build-"):  # noqa: S108 - it is only looked for
        assert str(path).encode() not in library


def test_another_source_gives_other_bytes(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    before = build_package(project)
    module = project / "acme_greet" / "__init__.py"
    module.write_text(module.read_text().replace("hello", "goodbye"))
    assert build_package(project).digest != before.digest


def test_the_time_is_that_of_the_last_commit_to_the_project(tmp_path: Path) -> None:
    def commit(message: str, seconds: int) -> None:
        times = {"GIT_AUTHOR_DATE": f"@{seconds} +0300", "GIT_COMMITTER_DATE": f"@{seconds} +0300"}
        identity = ["-c", "user.name=a", "-c", "user.email=a@acme.example"]
        git = ["git", *identity, "-C", str(tmp_path)]
        subprocess.run([*git, "add", "."], check=True, env=os.environ)
        command = [*git, "commit", "-q", "-m", message]
        subprocess.run(command, check=True, env={**os.environ, **times})

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    project = a_project(tmp_path / "greet")
    assert source_time_s(project, os.environ) == EARLIEST_S
    commit("the project", 1_700_000_000)
    (tmp_path / "neighbour").write_text("changes")
    commit("something else", 1_800_000_000)
    assert source_time_s(project, {**os.environ, "GIT_DIR": "/nowhere"}) == 1_700_000_000
    assert build_package(project).manifest.created == "2023-11-14T22:13:20Z"


def test_the_time_can_be_given(tmp_path: Path) -> None:
    assert source_time_s(tmp_path, {"SOURCE_DATE_EPOCH": "1000000000"}) == 1_000_000_000
    assert source_time_s(tmp_path, {"SOURCE_DATE_EPOCH": "0"}) == EARLIEST_S
    assert rfc3339(EARLIEST_S) == "1980-01-01T00:00:00Z"
    for text in ("", "soon", "-1", "1.5"):
        with pytest.raises(InvalidSourceTimeError):
            source_time_s(tmp_path, {"SOURCE_DATE_EPOCH": text})
