"""What killed hosts leave in the directory for temporary files is removed by the next one."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloacina_native.scratch import PREFIX, Scratch, sweep

HOST = """
import sys
from cloacina_native.scratch import Scratch
scratch = Scratch()
open(scratch.name + "/left", "w").write("behind")
print(scratch.name, flush=True)
sys.stdin.read()
"""


def a_host(base: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", HOST],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(base)},
    )


def its_scratch(host: "subprocess.Popen[str]") -> Path:
    assert host.stdout is not None
    return Path(host.stdout.readline().strip())


def test_only_what_the_dead_left_is_removed(tmp_path: Path) -> None:
    with a_host(tmp_path) as dead, a_host(tmp_path) as living:
        left, kept = its_scratch(dead), its_scratch(living)
        assert left.name.startswith(PREFIX)
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        sweep(tmp_path)
        assert not left.exists()
        assert (kept / "left").read_text() == "behind"
        with a_host(tmp_path) as third:
            assert its_scratch(third).is_dir()
            living.send_signal(signal.SIGKILL)
            living.wait()
    assert kept.exists()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_new_host_sweeps_before_it_begins(tmp_path: Path) -> None:
    with a_host(tmp_path) as first:
        left = its_scratch(first)
        first.kill()
        first.wait()
    with a_host(tmp_path) as second:
        its_scratch(second)
        assert not left.exists()


def test_links_and_files_of_that_name_are_left_alone(tmp_path: Path) -> None:
    base, elsewhere = tmp_path / "base", tmp_path / "elsewhere"
    base.mkdir()
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    link, file = base / f"{PREFIX}link", base / f"{PREFIX}file"
    link.symlink_to(elsewhere)
    file.touch()
    dead = base / f"{PREFIX}dead"
    (dead / "worker-1").mkdir(parents=True)
    (dead / "worker-1" / "link").symlink_to(elsewhere)
    sweep(base)
    assert (link.is_symlink(), file.is_file(), dead.exists()) == (True, True, False)
    assert (elsewhere / "precious").exists()


def test_what_cannot_be_removed_is_told_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f"{PREFIX}stuck").mkdir()
    (tmp_path / f"{PREFIX}dead").mkdir()
    real = os.rmdir

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if "stuck" in str(path):
            raise PermissionError(13, "no")
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", refuse)
    with caplog.at_level(logging.WARNING):
        sweep(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [f"{PREFIX}stuck"]
    assert "stays" in caplog.text


def test_a_directory_that_somebody_tidied_up_can_be_cleaned_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scratch = Scratch()
    Path(scratch.name).rmdir()
    scratch.cleanup()
    scratch.cleanup()
    assert list(tmp_path.iterdir()) == []


def test_a_child_made_by_fork_does_not_remove_the_directories_of_its_parent(
    tmp_path: Path,
) -> None:
    program = """
import os, sys
from cloacina_native.scratch import Scratch
scratch = Scratch()
child = os.fork()
if not child:
    own = Scratch()
    assert own.name != scratch.name
    own.cleanup()
    sys.exit()
os.waitpid(child, 0)
print(os.path.isdir(scratch.name))
scratch.cleanup()
"""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert ran.stdout == "True\n"
    assert list(tmp_path.iterdir()) == []
