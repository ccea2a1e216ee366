"""Release numbers derived from versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from cloacina_build.errors import UnderivableReleaseError
from cloacina_build.release import release_of

SUFFIXES = st.one_of(
    st.just(""),
    st.builds("a{}".format, st.integers(0, 999)),
    st.builds("b{}".format, st.integers(0, 999)),
    st.builds("rc{}".format, st.integers(0, 999)),
    st.builds(".dev{}".format, st.integers(0, 999)),
    st.builds(".post{}".format, st.integers(0, 4999)),
)
VERSIONS = st.builds(
    lambda major, rest, suffix: Version(".".join(map(str, [major, *rest])) + suffix),
    st.integers(0, 9006),
    st.lists(st.integers(0, 9999), max_size=2),
    SUFFIXES,
)


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("0.1.0", 1_0000_4000),
        ("1.4.2", 1_0004_0002_4000),
        ("2024.10.1", 2024_0010_0001_4000),
        ("1.0rc1", 1_0000_0000_3001),
        ("1.0.post3", 1_0000_0000_5003),
        ("1.0.dev0", 1_0000_0000_0000),
        ("9006.9999.9999.post4999", 9006_9999_9999_9999),
    ],
)
def test_a_release_can_be_read_off_its_version(version: str, release: int) -> None:
    assert release_of(Version(version)) == release
    assert release < 2**53


@given(VERSIONS, VERSIONS)
def test_releases_are_ordered_as_their_versions(one: Version, other: Version) -> None:
    assert (one < other) == (release_of(one) < release_of(other))
    assert (one == other) == (release_of(one) == release_of(other))


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("1!1.0", "epoch"),
        ("1.0+local", "local part"),
        ("1.0.0.1", "more than three numbers"),
        ("20240131", "too large"),
        ("1.10000", "too large"),
        ("1.0a1.dev2", "more than one suffix"),
        ("1.0.post1.dev2", "more than one suffix"),
        ("1.0rc1000", "not below 1000"),
        ("1.0.post5000", "not below 5000"),
    ],
)
def test_what_does_not_fit_has_no_release(version: str, reason: str) -> None:
    with pytest.raises(UnderivableReleaseError, match=reason) as caught:
        release_of(Version(version))
    assert "release = N" in caught.value.next_step
