import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloacina_signing import canonical_wheel as module
from cloacina_signing.canonical_wheel import canonical_wheel
from cloacina_signing.errors import WheelError
from cloacina_signing.wheel_reader import WheelLimits, read_wheel

from .builders import DIST_INFO, WHEEL_NAME, wheel_files

_NAMES = st.from_regex(r"demo/[a-z\u00e9]{1,8}\.(?:py|so|txt)", fullmatch=True)


@settings(max_examples=60)
@given(st.dictionaries(_NAMES, st.binary(max_size=300), max_size=5), st.data())
def test_the_order_of_the_files_does_not_matter_and_the_reader_accepts_it(
    extra: dict[str, bytes], data: st.DataObject
) -> None:
    files = {**wheel_files(), **extra}
    shuffled = data.draw(st.permutations(list(files.items())))
    raw = canonical_wheel(files, DIST_INFO)
    assert canonical_wheel(dict(shuffled), DIST_INFO) == raw
    read = read_wheel(WHEEL_NAME, raw)
    record_path = f"{DIST_INFO}/RECORD"
    assert {path: read.files[path] for path in read.files if path != record_path} == files
    assert canonical_wheel(read.files, read.dist_info) == raw


def test_files_are_sorted_with_the_metadata_and_the_record_last() -> None:
    files = {"zebra.py": b"", **wheel_files(), f"{DIST_INFO}/licenses/LICENSE": b"free"}
    paths = list(read_wheel(WHEEL_NAME, canonical_wheel(files, DIST_INFO)).files)
    assert paths[:3] == ["demo/__init__.py", "demo/data.bin", "zebra.py"]
    assert paths[3:] == [
        f"{DIST_INFO}/{name}" for name in ("METADATA", "WHEEL", "licenses/LICENSE", "RECORD")
    ]


def test_dates_and_modes_are_fixed() -> None:
    files = {**wheel_files(), "demo/lib.so": b"\x7fELF", "demo/lib.so.1.2": b"", "demo/so": b""}
    with zipfile.ZipFile(io.BytesIO(canonical_wheel(files, DIST_INFO))) as file:
        modes = {info.filename: info.external_attr >> 16 for info in file.infolist()}
        dates = {info.date_time for info in file.infolist()}
        assert file.testzip() is None
    assert dates == {(1980, 1, 1, 0, 0, 0)}
    libraries = [path for path, mode in modes.items() if mode == 0o100755]
    assert libraries == ["demo/lib.so", "demo/lib.so.1.2"]
    assert set(modes.values()) == {0o100644, 0o100755}


def test_a_file_that_compresses_like_a_bomb_is_stored_so_that_the_reader_takes_it() -> None:
    files = {**wheel_files(), "demo/zeros.bin": bytes(1024 * 1024)}
    read = read_wheel(WHEEL_NAME, canonical_wheel(files, DIST_INFO))
    assert read.files["demo/zeros.bin"] == bytes(1024 * 1024)


def test_an_outdated_record_is_replaced() -> None:
    files = {**wheel_files(), f"{DIST_INFO}/RECORD": b"lies"}
    assert canonical_wheel(files, DIST_INFO) == canonical_wheel(wheel_files(), DIST_INFO)


def test_paths_with_commas_and_quotes_are_listed_rightly() -> None:
    files = {**wheel_files(), 'demo/a,"b".txt': b"x"}
    assert read_wheel(WHEEL_NAME, canonical_wheel(files, DIST_INFO)).files['demo/a,"b".txt'] == b"x"


@pytest.mark.parametrize("path", ["../x", "x.pth", "os.py", "demo/\udcff.py", "DEMO/data.bin"])
def test_what_the_reader_would_refuse_is_not_packed(path: str) -> None:
    with pytest.raises(WheelError):
        canonical_wheel({**wheel_files(), path: b""}, DIST_INFO)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (WheelLimits(entries=4), "more than 4 entries"),
        (WheelLimits(file_bytes=255), "larger than 255"),
        (WheelLimits(unpacked_bytes=500), "500 bytes in all"),
    ],
)
def test_what_would_not_unpack_within_the_limits_is_not_packed(
    limits: WheelLimits, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LIMITS", limits)
    with pytest.raises(WheelError, match=problem):
        canonical_wheel(wheel_files(), DIST_INFO)
