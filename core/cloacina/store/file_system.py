"""Tell whether a file lies on a network file system, whose locks and shared memory SQLite cannot
rely on: two hosts may write at once there, and destroy the database.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mounts")
_NETWORK: Final = frozenset(
    {
        *("nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "gpfs"),
        *("9p", "beegfs", "orangefs", "pvfs2", "gfs2", "ocfs2", "davfs", "coda", "acfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.davfs2"),
        *("fuse.juicefs", "fuse.gcsfuse", "fuse.mfs", "fuse.moosefs", "fuse.seaweedfs"),
    }
)
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a file system is mounted, and of which kind it is."""

    path: Path
    kind: str


def network_mount_of(path: Path, mounts_file: Path | None = None) -> Mount | None:
    """Return the network file system that a path lies on; ``None`` for a local or an unknown one.

    Args:
        path: it need not exist.
        mounts_file: a list of mounts as the kernel has it; that of this process if left out.
    """
    try:
        listed = (mounts_file or MOUNTS).read_text("utf-8", errors="surrogateescape")
    except OSError:
        return None  # not Linux, or /proc is not there: nothing is known
    resolved = path.resolve()
    holding = [mount for mount in _mounts(listed) if resolved.is_relative_to(mount.path)]
    # of several at one place the last one covers the others
    innermost = max(
        enumerate(holding), key=lambda each: (len(each[1].path.parts), each[0]), default=None
    )
    if innermost is None or innermost[1].kind not in _NETWORK:
        return None
    return innermost[1]


def _mounts(listed: str) -> Iterator[Mount]:
    for line in listed.splitlines():
        fields = line.split(" ")
        if len(fields) >= 3:
            path = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[1])
            yield Mount(Path(path), fields[2])
