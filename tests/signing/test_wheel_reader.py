import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloacina_signing import wheel_reader
from cloacina_signing.errors import WheelError
from cloacina_signing.wheel_reader import Wheel, WheelLimits, read_wheel

from .builders import DIST_INFO, WHEEL_NAME, record, wheel, wheel_files, zipped


def _read(raw: bytes) -> Wheel:
    return read_wheel(WHEEL_NAME, raw)


def _problems(raw: bytes, *, filename: str = WHEEL_NAME, limits: WheelLimits | None = None) -> str:
    with pytest.raises(WheelError) as caught:
        read_wheel(filename, raw, limits=limits)
    assert caught.value.problems
    assert str(caught.value).isprintable()
    return "\n".join(caught.value.problems)


def test_a_good_wheel_is_unpacked() -> None:
    read = read_wheel(WHEEL_NAME, memoryview(wheel()))
    assert (read.distribution, read.version, read.dist_info) == ("demo", "1.0", DIST_INFO)
    assert read.tags == {"py3-none-any"}
    assert read.top_level == {"demo"}
    assert read.files == {**wheel_files(), f"{DIST_INFO}/RECORD": record(wheel_files())}


def test_stored_members_and_empty_directories_are_read_and_directories_left_out() -> None:
    files = {**wheel_files(), f"{DIST_INFO}/RECORD": record(wheel_files())}
    stored = zipped({"demo/": b"", **files}, method=zipfile.ZIP_STORED, edit=_directory_modes)
    assert _read(stored).files == files


def _directory_modes(info: zipfile.ZipInfo) -> None:
    if info.is_dir():
        info.external_attr = 0o40755 << 16


def test_compressed_tags_are_expanded_and_all_stand_in_the_metadata() -> None:
    tags = ["py2-none-any", "py3-none-any"]
    text = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n" + "".join(f"Tag: {t}\n" for t in tags)
    raw = wheel(wheel_files(wheel=text))
    assert read_wheel("demo-1.0-py2.py3-none-any.whl", raw).tags == set(tags)
    assert "other tags" in _problems(raw)


def test_extension_modules_and_plain_modules_are_top_level_names() -> None:
    extra = {
        "_demo.abi3.so": b"\x7fELF",
        "demo_extra.py": b"",
        "demo.libs/libx-1.so": b"",
        "note.txt": b"",
    }
    assert _read(wheel({**extra, **wheel_files()})).top_level == {"_demo", "demo_extra", "demo"}


@pytest.mark.parametrize(
    "filename",
    [
        "demo.whl",
        "demo-1.0-py3-none-any.zip",
        "../demo-1.0-py3-none-any.whl",
        "demo-1.0-py3-none-any.whl\n",
        "demo-1.0-x1-py3-none-any.whl",
        "d\u00e9mo-1.0-py3-none-any.whl",
        "-1.0-py3-none-any.whl",
        "demo-1.0-py3..py2-none-any.whl",
    ],
)
def test_file_names_that_are_no_wheels_are_refused(filename: str) -> None:
    assert "file name" in _problems(wheel(), filename=filename)


@pytest.mark.parametrize(
    ("filename", "problem"),
    [
        ("other-1.0-py3-none-any.whl", "one directory other-1.0.dist-info"),
        ("demo-1.1-py3-none-any.whl", "one directory demo-1.1.dist-info"),
        ("demo-1.0-py3-none-linux_x86_64.whl", "other tags"),
        ("demo-1.0-2-py3-none-any.whl", "another build"),
    ],
)
def test_a_file_name_that_its_wheel_does_not_bear_out_is_refused(
    filename: str, problem: str
) -> None:
    assert problem in _problems(wheel(), filename=filename)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("demo/x.pth", "every start"),
        ("x.PTH", "every start"),
        ("demo-1.0.data/scripts/demo", ".data directory"),
        ("demo/__pycache__/x.cpython-311.pyc", "bytecode"),
        ("json.py", "standard library"),
        ("json/data.txt", "standard library"),
        ("_socket.cpython-311-x86_64-linux-gnu.so", "standard library"),
        ("cloacina/model.py", "host's runtime"),
        ("cloacina_sdk.py", "host's runtime"),
        ("cloaca/__init__.py", "host's runtime"),
        ("sitecustomize.py", "interpreter itself"),
        ("other-2.0.dist-info/METADATA", "another distribution"),
        ("other.egg-info/PKG-INFO", "another distribution"),
        ("../up.py", "segment"),
        ("/etc/passwd", "segment"),
        ("demo//x.py", "segment"),
        ("demo/./x.py", "segment"),
        ("demo\\x.py", "backslash"),
        ("C:x.py", "colon"),
        ("demo/\x1b[31m.py", "control character"),
        ("demo/" + "x" * 256, "too long"),
        ("DEMO/__init__.py", "appears twice"),
        ("demo/__init__.py/x.py", "inside the file"),
    ],
)
def test_files_that_a_package_must_not_bring_are_refused(path: str, problem: str) -> None:
    assert problem in _problems(wheel({path: b"", **wheel_files()}))


def test_names_equal_after_unicode_normalisation_are_refused() -> None:
    files = {"demo/e\u0301.txt": b"", "demo/\u00c9.txt": b"", **wheel_files()}
    assert "appears twice" in _problems(wheel(files))


def test_every_problem_is_reported_at_once() -> None:
    files = {
        **wheel_files(
            wheel="Wheel-Version: 2.0\nTag: py3-none-win32\n", metadata="Name: x\nVersion: 2\n"
        ),
        "evil.pth": b"import os",
        "os.py": b"",
    }
    listed = {path: content for path, content in files.items() if path != "os.py"}
    raw = zipped({**files, f"{DIST_INFO}/RECORD": record(listed)})
    problems = _problems(raw)
    expected = (
        "every start",
        "'os' shadows",
        "does not list 'os.py'",
        "Wheel-Version",
        "Root-Is-Purelib",
        "other tags",
        "name demo",
        "version 1.0",
    )
    assert [text for text in expected if text not in problems] == []


def test_a_name_or_version_given_twice_is_refused() -> None:
    files = wheel_files(metadata="Name: demo\nName: other\nVersion: 1.0\n")
    assert "name demo" in _problems(wheel(files))


def _with_record(raw_record: bytes) -> bytes:
    return zipped({**wheel_files(), f"{DIST_INFO}/RECORD": raw_record})


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"sha256=", b"md5=", "no hash of sha256"),
        (b"sha256=", b"", "no hash of sha256"),
        (b",200\n", b",201\n", "another size"),
        (b"demo/data.bin,", b"demo/other.bin,", "not in the wheel"),
        (b"demo/data.bin,", b"demo/__init__.py,", "twice"),
        (b"demo/data.bin,", b"demo/other.bin,", "does not list 'demo/data.bin'"),
        (b"RECORD,,", b"RECORD,sha256=x,1", "hash of itself"),
        (b"RECORD,,", b"RECORD,", "2 fields"),
        (b"RECORD,,", b'RECORD,,"', "cannot be read"),
        (b"demo/data.bin", b"\xff", "cannot be read"),
    ],
)
def test_a_record_that_is_not_true_is_refused(old: bytes, new: bytes, problem: str) -> None:
    assert problem in _problems(_with_record(record(wheel_files()).replace(old, new, 1)))


def test_a_changed_file_is_found_by_the_record() -> None:
    true_record = record(wheel_files())
    changed = {**wheel_files(), "demo/data.bin": b"other", f"{DIST_INFO}/RECORD": true_record}
    assert "another hash" in _problems(zipped(changed))


def test_missing_metadata_is_named() -> None:
    problems = _problems(zipped({f"{DIST_INFO}/x": b"", "demo.py": b""}))
    for name in ("WHEEL", "METADATA", "RECORD"):
        assert f"{name}" in problems
    assert "one directory demo-1.0.dist-info" in _problems(zipped({"demo.py": b""}))


def _edited(**attributes: object) -> bytes:
    def edit(info: zipfile.ZipInfo) -> None:
        if info.filename == "demo/data.bin":
            for name, value in attributes.items():
                setattr(info, name, value)

    return zipped({**wheel_files(), f"{DIST_INFO}/RECORD": record(wheel_files())}, edit=edit)


def _patched(signature: bytes, offset: int, raw_field: bytes) -> bytes:
    """Overwrite a field in the first structure with this signature."""
    raw = bytearray(wheel())
    at = raw.index(signature) + offset
    raw[at : at + len(raw_field)] = raw_field
    return bytes(raw)


def _cut_member() -> bytes:
    """Let both headers of the first member say that it reaches far beyond the end."""
    raw = bytearray(wheel())
    huge = struct.pack("<L", 10**9)
    raw[18:22] = huge
    central = raw.index(b"PK\x01\x02")
    raw[central + 20 : central + 24] = huge
    return bytes(raw)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        pytest.param(b"PREFIX" + wheel(), "central directory", id="prefix"),
        pytest.param(wheel() + b"\x00", "end record", id="suffix"),
        pytest.param(wheel()[:-1], "end record", id="truncated"),
        pytest.param(b"", "end record", id="nothing"),
        pytest.param(zipped(wheel_files(), comment=b"x" * 30), "end record", id="archive comment"),
        pytest.param(_edited(extra=b"\x01\x00\x00\x00"), "extra field", id="extra field"),
        pytest.param(_edited(comment=b"x"), "comment", id="entry comment"),
        pytest.param(_edited(external_attr=0o120777 << 16), "link", id="symbolic link"),
        pytest.param(_edited(external_attr=0o104755 << 16), "setuid", id="setuid"),
        pytest.param(_edited(compress_type=zipfile.ZIP_BZIP2), "method 12", id="bzip2"),
        pytest.param(_patched(b"PK\x03\x04", 6, b"\x01"), "differs", id="local flags"),
        pytest.param(_patched(b"PK\x01\x02", 8, b"\x01"), "encrypted", id="encrypted"),
        pytest.param(_patched(b"PK\x01\x02", 8, b"\x08"), "stand after", id="descriptor"),
        pytest.param(_patched(b"PK\x03\x04", 14, b"\xff"), "differs", id="local checksum"),
        pytest.param(_patched(b"PK\x03\x04", 22, b"\xff"), "differs", id="local size"),
        pytest.param(_patched(b"PK\x03\x04", 30, b"D"), "another name", id="local name"),
        pytest.param(_patched(b"PK\x01\x02", 42, b"\x01"), "starts at byte", id="offset"),
        pytest.param(_patched(b"PK\x05\x06", 8, b"\x04\x00\x04"), "no record", id="fewer"),
        pytest.param(_patched(b"PK\x05\x06", 8, b"\x06\x00\x06"), "broken", id="more"),
        pytest.param(_patched(b"PK\x05\x06", 4, b"\x01"), "several disks", id="disks"),
        pytest.param(_patched(b"PK\x01\x02", 10, b"\x00"), "two sizes", id="stored, two sizes"),
        pytest.param(_patched(b"PK\x01\x02", 46, b"demo/__init__.p/"), "directory", id="full"),
        pytest.param(
            _patched(b"PK\x05\x06", 8, bytes(4) + struct.pack("<2L", 0, len(wheel()) - 22)),
            "between the members",
            id="no members",
        ),
        pytest.param(_cut_member(), "cut short", id="cut member"),
        pytest.param(_patched(b"PK\x01\x02", 46, b"\xe9"), "neither ASCII", id="code page"),
    ],
)
def test_a_zip_that_can_be_read_in_two_ways_is_refused(raw: bytes, problem: str) -> None:
    assert problem in _problems(raw)


def test_a_member_hidden_between_members_is_refused() -> None:
    hidden = zipped({"demo/hidden.py": b"evil"}, method=zipfile.ZIP_STORED)
    local = hidden[: hidden.index(b"PK\x01\x02")]
    raw = wheel()
    second = raw.index(b"PK\x03\x04", 4)
    spliced = bytearray(raw[:second] + local + raw[second:])
    end = len(spliced) - 22
    start = struct.unpack_from("<L", spliced, end + 16)[0] + len(local)
    struct.pack_into("<L", spliced, end + 16, start)
    position = start
    while spliced[position : position + 4] == b"PK\x01\x02":
        offset = struct.unpack_from("<L", spliced, position + 42)[0]
        struct.pack_into("<L", spliced, position + 42, offset + len(local) if offset else 0)
        position += 46 + struct.unpack_from("<H", spliced, position + 28)[0]
    with zipfile.ZipFile(io.BytesIO(spliced)) as other:
        assert other.testzip() is None
    assert "starts at byte" in _problems(bytes(spliced))


def _deflated_member(packed: bytes, size: int, crc32: int) -> bytes:
    """Return a ZIP whose only member has these deflated bytes and this declared size."""
    name = b"bomb"
    shared = (20, 0, 8, 0, 33, crc32, len(packed), size, len(name), 0)
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", *shared) + name + packed
    central = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, *shared, 0, 0, 0, 0, 0) + name
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def _deflate(content: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(content) + stream.flush()


def test_a_bomb_that_declares_its_size_is_refused_by_its_ratio() -> None:
    content = bytes(1024 * 1024)
    assert "200 times" in _problems(
        _deflated_member(_deflate(content), len(content), zlib.crc32(content))
    )


def test_a_bomb_that_hides_its_size_is_not_inflated_past_it() -> None:
    content = bytes(1024 * 1024)
    raw = _deflated_member(_deflate(content), 1000, zlib.crc32(content[:1000]))
    assert "declared size" in _problems(raw)


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        pytest.param(_deflate(b"hello") + b"hidden", 5, id="data after the stream"),
        pytest.param(_deflate(b"hello")[:-1], 5, id="cut stream"),
        pytest.param(_deflate(b"hello"), 6, id="too short"),
        pytest.param(_deflate(b"hello"), 4, id="too long"),
        pytest.param(_deflate(b"hello"), 0, id="declared empty"),
        pytest.param(b"\xff\xff", 5, id="no stream"),
        pytest.param(b"", 0, id="nothing"),
    ],
)
def test_compressed_data_must_be_one_stream_of_the_declared_size(packed: bytes, size: int) -> None:
    raw = _deflated_member(packed, size, zlib.crc32(b"hello"[:size]))
    assert "declared size" in _problems(raw)


def test_a_wrong_checksum_is_refused() -> None:
    assert "checksum" in _problems(_deflated_member(_deflate(b"hello"), 5, 1))


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"entries": 4}, "5 entries, at most 4"),
        ({"file_bytes": 255}, "at most 255 a file"),
        ({"unpacked_bytes": 500}, "at most 500"),
        ({"ratio": 1}, "more than 1 times"),
    ],
)
def test_the_limits_hold(limits: dict[str, int], problem: str) -> None:
    assert problem in _problems(wheel(), limits=WheelLimits(**limits))


def test_a_flipped_byte_is_refused_or_does_not_change_any_file() -> None:
    raw = wheel()
    files = dict(_read(raw).files)
    accepted = 0
    for offset in range(len(raw)):
        flipped = bytearray(raw)
        flipped[offset] ^= 0x01
        try:
            read = _read(bytes(flipped))
        except WheelError:
            continue
        accepted += 1
        assert read.files == files, offset
    # Only the maker's version, the internal attributes and parts of the mode say nothing.
    assert accepted <= 5 * 10


@settings(max_examples=100)
@given(st.integers(0, len(wheel())), st.integers(0, 12), st.binary(max_size=12))
def test_any_splice_is_refused_by_our_own_error_or_changes_no_file(
    start: int, removed: int, inserted: bytes
) -> None:
    raw = wheel()
    try:
        read = _read(raw[:start] + inserted + raw[start + removed :])
    except WheelError:
        return
    assert read.files == _read(raw).files


def test_a_wheel_that_is_too_long_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_reader, "MAX_WHEEL_BYTES", 100)
    assert _problems(bytes(101)) == "it is 101 bytes long, at most 100 are read"


def test_metadata_that_is_not_text_is_refused() -> None:
    files = {**wheel_files(), f"{DIST_INFO}/METADATA": b"Name: \xff\n"}
    assert "METADATA is not UTF-8" in _problems(wheel(files))


def test_metadata_is_read_up_to_the_empty_line_and_folded_lines_are_left_out() -> None:
    text = "Name: demo\r\n Name: folded\r\nno colon\r\nVersion: 1.0\r\n\r\nName: in the text\r\n"
    assert _read(wheel(wheel_files(metadata=text))).distribution == "demo"
