"""Databases that lie where SQLite cannot protect them."""

import logging
from pathlib import Path

import pytest

from cloacina import DefaultRunner, Runtime
from cloacina.store import file_system
from cloacina.store.file_system import Mount, network_mount_of


def mounts(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "mounts"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/srv/c.db", Mount(Path("/srv"), "nfs4")),
        ("/srv/deep/er/c.db", Mount(Path("/srv"), "nfs4")),
        ("/srv/local/c.db", None),
        ("/srv2/c.db", None),
        ("/with space/c.db", Mount(Path("/with space"), "cifs")),
        ("/covered/c.db", None),
        ("/c.db", None),
    ],
)
def test_the_innermost_mount_says_where_a_file_lies(
    tmp_path: Path, path: str, expected: Mount | None
) -> None:
    listed = mounts(
        tmp_path,
        "/dev/a / ext4 rw 0 0",
        "host:/srv /srv nfs4 rw 0 0",
        "/dev/b /srv/local xfs rw 0 0",
        "//host/x /with\\040space cifs rw 0 0",
        "host:/x /covered nfs rw 0 0",
        "/dev/c /covered ext4 rw 0 0",
        "damaged",
    )
    assert network_mount_of(Path(path), listed) == expected


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    listed = mounts(tmp_path, f"host:/x {tmp_path.resolve()}/there nfs rw 0 0")
    assert network_mount_of(tmp_path / "link" / "c.db", listed) is not None


def test_where_nothing_is_known_nothing_is_said(tmp_path: Path) -> None:
    assert network_mount_of(tmp_path, tmp_path / "missing") is None


def test_a_database_on_a_network_file_system_is_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listed = mounts(tmp_path, f"host:/x {tmp_path.resolve()} nfs rw 0 0")
    with caplog.at_level(logging.WARNING, "cloacina"):
        DefaultRunner(tmp_path / "a.db", runtime=Runtime()).shutdown()
        assert "network" not in caplog.text
        monkeypatch.setattr(file_system, "MOUNTS", listed)
        DefaultRunner(tmp_path / "b.db", runtime=Runtime()).shutdown()
    assert f"the database {tmp_path / 'b.db'} lies on a network file system (nfs" in caplog.text
    assert "use a local disk, or PostgreSQL" in caplog.text
