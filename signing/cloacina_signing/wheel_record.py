"""The RECORD of a wheel: every file with its hash.

Rules:

* Each file stands in RECORD exactly once and each row names a file.
* The hash is SHA-256 or stronger and true; the size, where it is given, is true.
* RECORD itself stands there without hash and size, and it alone.

Source: PEP 376 and PEP 427 (URL-safe base64 without padding).
"""

import base64
import csv
import hashlib
import io
from collections.abc import Iterator, Mapping

from cloacina_signing.errors import shown

_ALGORITHMS = ("sha256", "sha384", "sha512")
_ROW_FIELDS = 3


def record_hash(content: bytes, algorithm: str = "sha256") -> str:
    """Return the hash of a file as RECORD spells it: ``sha256=<base64>``."""
    digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm}={base64.urlsafe_b64encode(digest).rstrip(b'=').decode('ascii')}"


def write_record(files: Mapping[str, bytes], record_path: str) -> bytes:
    """Write the RECORD of these files, in their order, with RECORD itself last."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for path, content in files.items():
        writer.writerow([path, record_hash(content), len(content)])
    writer.writerow([record_path, "", ""])
    return text.getvalue().encode()


def record_problems(files: Mapping[str, bytes], record_path: str) -> list[str]:
    """Return every disagreement between RECORD and the files."""
    if record_path not in files:
        return [f"{shown(record_path)} is missing"]
    try:
        rows = _rows(files[record_path])
    except (UnicodeDecodeError, csv.Error) as error:
        return [f"RECORD cannot be read: {shown(str(error))}"]
    problems: list[str] = []
    listed: set[str] = set()
    for row in rows:
        if len(row) != _ROW_FIELDS:
            problems.append(f"RECORD has a row of {len(row)} fields")
            continue
        path, given_hash, given_size = row
        if path in listed:
            problems.append(f"RECORD lists {shown(path)} twice")
        listed.add(path)
        if path == record_path:
            problems += [] if given_hash == given_size == "" else ["RECORD lists a hash of itself"]
        else:
            problems += _row_problems(files, path, given_hash, given_size)
    missing = [path for path in files if path not in listed]
    return problems + [f"RECORD does not list {shown(path)}" for path in missing]


def _rows(raw: bytes) -> list[list[str]]:
    reader = csv.reader(io.StringIO(raw.decode("utf-8"), newline=""), strict=True)
    return [row for row in reader if row]


def _row_problems(
    files: Mapping[str, bytes], path: str, given_hash: str, given_size: str
) -> Iterator[str]:
    content = files.get(path)
    if content is None:
        yield f"RECORD lists {shown(path)}, which is not in the wheel"
        return
    algorithm = given_hash.partition("=")[0]
    if algorithm not in _ALGORITHMS:
        yield f"RECORD gives {shown(path)} no hash of {', '.join(_ALGORITHMS)}"
    elif record_hash(content, algorithm) != given_hash:
        yield f"RECORD gives {shown(path)} another hash than it has"
    if given_size not in ("", str(len(content))):
        yield f"RECORD gives {shown(path)} another size than it has"
