"""Builders of archives, wheels and keys, made without the code under test where it matters."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping

from cloacina_signing.archive import write_archive
from cloacina_signing.key_envelope import ScryptCost
from cloacina_signing.keys import PrivateKey

CHEAP = ScryptCost(n=2**10)
DIST_INFO = "demo-1.0.dist-info"
WHEEL_NAME = "demo-1.0-py3-none-any.whl"

ENTRIES: tuple[tuple[str, bytes], ...] = (
    ("manifest.json", b'{"name":"demo"}\n'),
    ("payload/demo-1.0-py3-none-any.whl", b"not really a wheel"),
    ("payload/demo-1.0-py3-none-linux_x86_64.whl", b""),
    ("payload/vendor/other-2.0-py3-none-any.whl", b"vendored"),
    ("attest/provenance.json", b"{}\n"),
    ("attest/sbom.json", b"[]\n"),
    ("signatures.json", b'{"signatures":[]}\n'),
)

ZipEdit = Callable[[zipfile.ZipInfo], None]


def archive() -> bytes:
    return write_archive(ENTRIES)


def private_key(number: int) -> PrivateKey:
    """Return one of a row of fixed keys."""
    return PrivateKey(f"key-{number}", hashlib.sha256(b"%d" % number).digest())


def wheel_files(**changed: str) -> dict[str, bytes]:
    """Return the files of a good wheel without RECORD; metadata texts may be given."""
    metadata = changed.get("metadata", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
    wheel = changed.get(
        "wheel",
        "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    )
    return {
        "demo/__init__.py": b"VALUE = 1\n" * 20,
        "demo/data.bin": bytes(range(256)),
        f"{DIST_INFO}/METADATA": metadata.encode(),
        f"{DIST_INFO}/WHEEL": wheel.encode(),
    }


def record(files: Mapping[str, bytes]) -> bytes:
    """Write a RECORD, independently of the code under test."""
    rows = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(content)}\n")
    return "".join([*rows, f"{DIST_INFO}/RECORD,,\n"]).encode()


def wheel(files: Mapping[str, bytes] | None = None) -> bytes:
    """Return a wheel of these files, its RECORD added."""
    chosen = wheel_files() if files is None else files
    return zipped({**chosen, f"{DIST_INFO}/RECORD": record(chosen)})


def zipped(
    files: Mapping[str, bytes],
    *,
    method: int = zipfile.ZIP_DEFLATED,
    edit: ZipEdit | None = None,
    comment: bytes = b"",
) -> bytes:
    """Zip files by the standard library, each member's header edited by `edit`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path, content in files.items():
            info = zipfile.ZipInfo(path)
            info.compress_type = method
            info.external_attr = 0o100644 << 16
            if edit is not None:
                edit(info)
            file.writestr(info, content)
            if edit is not None:
                edit(info)  # again for the directory: writing fills in what was zero
        file.comment = comment
    return buffer.getvalue()
