import io
import struct
import zipfile
import zlib
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloacina_signing import archive_reader, archive_writer
from cloacina_signing.archive import (
    entry_order,
    package_digest,
    read_archive,
    with_signatures,
    write_archive,
)
from cloacina_signing.errors import NonCanonicalArchiveError

from .builders import ENTRIES, archive, zipped

_FILE = st.from_regex(r"[a-z0-9_][a-z0-9._+-]{0,8}[a-z0-9]", fullmatch=True)
_FOLDER = st.sampled_from(["payload/", "payload/vendor/", "attest/"])


@st.composite
def _entries(draw: st.DrawFn) -> list[tuple[str, bytes]]:
    names = draw(st.sets(st.builds(str.__add__, _FOLDER, _FILE), max_size=6))
    allowed = [name for name in names if _has_place(name)]
    ordered = sorted(["manifest.json", *allowed], key=entry_order)
    return [(name, draw(st.binary(max_size=40))) for name in ordered]


def _has_place(name: str) -> bool:
    try:
        entry_order(name)
    except NonCanonicalArchiveError:
        return False
    return True


def _refusal(raw: bytes) -> NonCanonicalArchiveError:
    with pytest.raises(NonCanonicalArchiveError) as caught:
        read_archive(raw)
    assert str(caught.value).isprintable()
    return caught.value


@settings(max_examples=80)
@given(_entries())
def test_what_is_written_is_read_back_in_order_and_by_other_readers(
    entries: list[tuple[str, bytes]],
) -> None:
    raw = write_archive(entries)
    read = read_archive(raw)
    assert [(name, bytes(view)) for name, view in read.entries.items()] == entries
    with zipfile.ZipFile(io.BytesIO(raw)) as other:
        assert other.testzip() is None
        assert [(info.filename, other.read(info)) for info in other.infolist()] == entries


def test_contents_are_read_only_views_into_the_very_bytes() -> None:
    raw = archive()
    read = read_archive(raw)
    assert read.raw is raw
    assert all(view.obj is raw and view.readonly for view in read.entries.values())


def test_a_buffer_that_its_owner_may_change_is_copied_first() -> None:
    buffer = bytearray(archive())
    read = read_archive(cast("bytes", buffer))
    buffer[:] = bytes(len(buffer))
    assert read.manifest == ENTRIES[0][1]


def test_every_changed_byte_is_refused() -> None:
    raw = archive()
    for offset in range(len(raw)):
        for change in (0x01, 0x20, 0x80, 0xFF):
            flipped = bytearray(raw)
            flipped[offset] ^= change
            _refusal(bytes(flipped))


def test_every_truncation_is_refused_and_called_one() -> None:
    raw = archive()
    for length in range(len(raw)):
        assert "truncated" in str(_refusal(raw[:length])), length


@settings(max_examples=100)
@given(st.integers(0, len(archive())), st.integers(0, len(archive())), st.binary(max_size=8))
def test_any_splice_of_bytes_is_refused_or_changes_nothing(
    start: int, stop: int, replacement: bytes
) -> None:
    raw = archive()
    spliced = raw[:start] + replacement + raw[max(start, stop) :]
    try:
        read = read_archive(spliced)
    except NonCanonicalArchiveError:
        return
    entries = [(name, bytes(view)) for name, view in read.entries.items()]
    assert write_archive(entries) == spliced


def test_a_changed_content_with_a_true_checksum_is_another_content() -> None:
    changed = [(n, b"changed" if n.endswith("sbom.json") else c) for n, c in ENTRIES]
    before, after = read_archive(archive()).entries, read_archive(write_archive(changed)).entries
    assert [name for name in after if after[name] != before[name]] == ["attest/sbom.json"]


def _prefixed(raw: bytes) -> bytes:
    """Put data first and mend all offsets, as self-extracting archives do."""
    prefix = b"#!/bin/sh\nexit\n"
    end = raw.rindex(b"PK\x05\x06")
    start = struct.unpack_from("<L", raw, end + 16)[0]
    mended = bytearray(prefix + raw)
    struct.pack_into("<L", mended, len(prefix) + end + 16, len(prefix) + start)
    position = len(prefix) + start
    while mended[position : position + 4] == b"PK\x01\x02":
        offset = struct.unpack_from("<L", mended, position + 42)[0]
        struct.pack_into("<L", mended, position + 42, len(prefix) + offset)
        position += 46 + struct.unpack_from("<H", mended, position + 28)[0]
    return bytes(mended)


def _in_canonical_dress() -> bytes:
    """Zip the entries as close to the canonical form as the standard library comes."""
    return zipped(dict(ENTRIES), method=zipfile.ZIP_STORED, edit=_bare)


def _bare(info: zipfile.ZipInfo) -> None:
    info.create_system = 0
    info.external_attr = 0


def _edited(**attributes: object) -> bytes:
    def edit(info: zipfile.ZipInfo) -> None:
        _bare(info)
        if info.filename.endswith("sbom.json"):
            for name, value in attributes.items():
                setattr(info, name, value)

    return zipped(dict(ENTRIES), method=zipfile.ZIP_STORED, edit=edit)


def _with_descriptor() -> bytes:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.raw = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            assert isinstance(data, bytes | bytearray | memoryview)
            self.raw += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as file:
        for name, content in ENTRIES:
            file.writestr(name, content)
    return pipe.raw


def _with_local_name(name: bytes) -> bytes:
    raw = archive()
    at = raw.index(b"attest/sbom.json")
    return raw[:at] + name + raw[at + len(name) :]


@pytest.mark.parametrize(
    ("raw", "structure"),
    [
        pytest.param(_edited(extra=b"\x01\x00\x00\x00"), "local header", id="extra field"),
        pytest.param(_edited(comment=b"hidden"), "central record", id="entry comment"),
        pytest.param(_edited(external_attr=0o120777 << 16), "central record", id="link"),
        pytest.param(_edited(create_system=3), "central record", id="made elsewhere"),
        pytest.param(_edited(internal_attr=1), "central record", id="internal attribute"),
        pytest.param(_edited(date_time=(2024, 5, 1, 0, 0, 0)), "local header", id="date"),
        pytest.param(_edited(compress_type=zipfile.ZIP_DEFLATED), "local header", id="deflated"),
        pytest.param(
            zipped(dict(ENTRIES), method=zipfile.ZIP_STORED, edit=_bare, comment=b"PK"),
            "end record",
            id="archive comment",
        ),
        pytest.param(_with_descriptor(), "local header", id="descriptors"),
        pytest.param(b"MZ" + archive(), "file", id="prefix"),
        pytest.param(_prefixed(archive()), "file", id="prefix with mended offsets"),
        pytest.param(archive() + b"\n", "end record", id="suffix"),
        pytest.param(archive() + archive(), "end record", id="two archives"),
        pytest.param(_with_local_name(b"attest/sbom.jsoN"), "central record", id="local name"),
        pytest.param(_with_local_name(b"attest/sbom.js\xf6n"), "local header", id="not ASCII"),
        pytest.param(b"PK\x05\x06" + bytes(18), "entries", id="empty"),
        pytest.param(b"this is no archive at all", "file", id="text"),
    ],
)
def test_zip_polyglots_are_refused(raw: bytes, structure: str) -> None:
    assert structure in _refusal(raw).structure


def test_the_standard_library_reads_the_polyglots_that_are_refused() -> None:
    for raw in (_prefixed(archive()), _edited(extra=b"\x01\x00\x00\x00"), _with_descriptor()):
        with zipfile.ZipFile(io.BytesIO(raw)) as file:
            assert file.testzip() is None


def test_the_only_canonical_zip_is_accepted_whoever_makes_it() -> None:
    assert _in_canonical_dress() == archive()


def test_the_refusal_names_the_offset_of_the_first_difference() -> None:
    flipped = bytearray(archive())
    at = flipped.index(b"PK\x01\x02") + 4
    flipped[at] ^= 0xFF
    error = _refusal(bytes(flipped))
    assert (error.offset, error.structure) == (at, "central record of 'manifest.json'")


def test_bytes_between_entries_are_refused() -> None:
    raw = archive()
    second = raw.index(b"PK\x03\x04", 4)
    error = _refusal(raw[:second] + b"gap!" + raw[second:])
    assert error.offset == second


def test_a_size_beyond_the_end_is_refused() -> None:
    raw = bytearray(archive())
    struct.pack_into("<2L", raw, 18, 0xFFFFFFFF, 0xFFFFFFFF)
    assert "truncated" in str(_refusal(bytes(raw)))


_NAME_SEQUENCES = [
    pytest.param(["payload/a.whl"], "first entry", id="no manifest"),
    pytest.param([], "first entry", id="nothing"),
    pytest.param(["payload/a.whl", "manifest.json"], "first entry", id="manifest later"),
    pytest.param(["manifest.json", "payload/b", "payload/a"], "before 'payload/b'", id="unsorted"),
    pytest.param(["manifest.json", "attest/a", "payload/a"], "before", id="attest too early"),
    pytest.param(["manifest.json", "payload/vendor/a", "payload/b"], "before", id="vendor early"),
    pytest.param(["manifest.json", "signatures.json", "attest/a"], "before", id="signatures early"),
    pytest.param(["manifest.json", "payload/a", "payload/a"], "twice", id="duplicate"),
    pytest.param(["manifest.json", "payload/A", "payload/a"], "twice", id="case collision"),
    pytest.param(["manifest.json", "manifest.json"], "twice", id="two manifests"),
    pytest.param(["manifest.json", "other.json"], "neither", id="unknown place"),
    pytest.param(["manifest.json", "payload/vendor"], "neither", id="vendor as a file"),
    pytest.param(["manifest.json", "payload/x/a"], "neither", id="unknown folder"),
    pytest.param(["manifest.json", "payload/../x"], "segment", id="parent"),
    pytest.param(["manifest.json", "/payload/x"], "segment", id="absolute"),
    pytest.param(["manifest.json", "payload/"], "segment", id="directory"),
    pytest.param(["manifest.json", "payload//x"], "segment", id="empty segment"),
    pytest.param(["manifest.json", "payload/.x"], "segment", id="hidden"),
    pytest.param(["manifest.json", "payload/x."], "segment", id="final dot"),
    pytest.param(["manifest.json", "payload/a b"], "segment", id="space"),
    pytest.param(["manifest.json", "payload/a\n"], "segment", id="newline"),
    pytest.param(["manifest.json", "payload\\a"], "segment", id="backslash"),
    pytest.param(["manifest.json", "payload/a\x00.whl"], "segment", id="zero byte"),
    pytest.param(["manifest.json", "payload/Nul.whl"], "device", id="device"),
    pytest.param(["manifest.json", "payload/com1"], "device", id="device without suffix"),
    pytest.param(["manifest.json", "attest/a/b/c/d"], "4 segments", id="too deep"),
    pytest.param(["manifest.json", "payload/" + "a" * 193], "200 bytes", id="too long"),
    pytest.param(["manifest.json", "payload/\u00e9"], "ASCII", id="not ASCII"),
]


@pytest.mark.parametrize(("names", "fact"), _NAME_SEQUENCES)
def test_the_writer_refuses_names_and_orders_that_are_not_canonical(
    names: list[str], fact: str
) -> None:
    with pytest.raises(NonCanonicalArchiveError, match=fact):
        write_archive([(name, b"") for name in names])


@pytest.mark.parametrize(("names", "fact"), [p for p in _NAME_SEQUENCES if p.id != "not ASCII"])
def test_the_reader_refuses_them_in_an_archive_that_is_framed_well(
    names: list[str], fact: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_writer, "check_names", lambda names: None)
    monkeypatch.setattr(archive_writer, "_check_sizes", lambda entries: None)
    raw = write_archive([(name, b"") for name in names])
    with pytest.raises(NonCanonicalArchiveError, match=fact.replace("200 bytes", "longer")):
        read_archive(raw)


def test_the_size_is_capped_before_anything_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = archive()
    monkeypatch.setattr(archive_reader, "MAX_ARCHIVE_BYTES", len(raw) - 1)
    assert _refusal(b"\x00" * len(raw)).structure == "file"
    assert "at most" in str(_refusal(raw))
    for limit in (len(raw) - 1, 10):
        monkeypatch.setattr(archive_writer, "MAX_ARCHIVE_BYTES", limit)
        with pytest.raises(NonCanonicalArchiveError, match="at most"):
            archive()


def test_the_manifest_is_capped_at_a_mebibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 1024 * 1024
    assert len(read_archive(write_archive([("manifest.json", bytes(limit))])).manifest) == limit
    with pytest.raises(NonCanonicalArchiveError, match="manifest"):
        write_archive([("manifest.json", bytes(limit + 1))])
    monkeypatch.setattr(archive_writer, "MAX_MANIFEST_BYTES", limit + 1)
    assert _refusal(write_archive([("manifest.json", bytes(limit + 1))])).structure == "manifest"


def test_the_number_of_entries_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = archive()
    monkeypatch.setattr(archive_reader, "MAX_ENTRIES", len(ENTRIES) - 1)
    assert "more than" in str(_refusal(raw))
    monkeypatch.setattr(archive_writer, "MAX_ENTRIES", len(ENTRIES) - 1)
    assert len(read_archive(write_archive(ENTRIES[:-1])).entries) == len(ENTRIES) - 1
    with pytest.raises(NonCanonicalArchiveError, match="more than"):
        archive()


def test_the_identity_is_the_manifest_and_signing_does_not_change_it() -> None:
    unsigned = read_archive(with_signatures(read_archive(archive()), None))
    assert unsigned.signatures is None
    assert list(unsigned.entries) == [name for name, _ in ENTRIES[:-1]]
    again = read_archive(with_signatures(unsigned, b"other"))
    assert again.signatures == b"other"
    assert package_digest(again.manifest) == package_digest(ENTRIES[0][1])
    assert package_digest(b"").startswith("sha256:e3b0c44298fc1c14")


def test_a_wrong_checksum_is_found_in_the_local_header() -> None:
    raw = bytearray(archive())
    content = ENTRIES[0][1]
    at = raw.index(content)
    raw[at] ^= 1
    error = _refusal(bytes(raw))
    assert error.structure == "local header of 'manifest.json'"
    assert zlib.crc32(content) == struct.unpack_from("<L", archive(), 14)[0]
