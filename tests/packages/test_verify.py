"""What the verifier refuses, and that it says every reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloacina.packages.refusal import PackageRefusedError, Refusal
from cloacina.packages.verify import VerifiedPackage, inspect, verify
from cloacina_sdk.manifest import PackageRequirement
from cloacina_signing.archive import read_archive, with_signatures
from cloacina_signing.keys import PrivateKey
from cloacina_signing.trust import Isolation, TrustFile, initial
from packages.makers import (
    AUTHOR,
    GREETER,
    HOST,
    NOW,
    ROOT,
    a_package,
    a_trust,
    digest_of,
    pack,
    without_signatures,
)

STRANGER = PrivateKey.generate("stranger")


def checked(
    raw: bytes,
    trust: TrustFile | None = None,
    *,
    now: datetime = NOW,
    allow_unsigned: bool = False,
) -> VerifiedPackage:
    return verify(
        raw,
        trust=a_trust() if trust is None else trust,
        host=HOST,
        now=now,
        allow_unsigned=allow_unsigned,
    )


def refusals(raw: bytes, trust: TrustFile | None = None) -> list[Refusal]:
    with pytest.raises(PackageRefusedError) as refused:
        checked(raw, trust)
    return [reason.code for reason in refused.value.reasons]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return a_package(tmp_path_factory.mktemp("package"))


def test_a_package_signed_by_a_granted_key_is_verified(package: bytes) -> None:
    verified = checked(package)
    assert verified.signers == {AUTHOR.public.key_id}
    assert verified.digest == digest_of(package)
    assert [set(wheel.top_level) for wheel in verified.wheels] == [{"greeter_tasks"}]


def test_a_verified_package_cannot_be_made_by_hand(package: bytes) -> None:
    real = checked(package)
    with pytest.raises(TypeError, match="nowhere else"):
        VerifiedPackage(
            archive=real.archive,
            manifest=real.manifest,
            digest=real.digest,
            wheels=real.wheels,
            signers=real.signers,
            seal=object(),
        )


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_package_with_any_one_byte_changed_is_refused(
    package: bytes, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(package) - 1))
    change = data.draw(st.integers(1, 255))
    damaged = bytearray(package)
    damaged[place] ^= change
    with pytest.raises(PackageRefusedError):
        checked(bytes(damaged))


def test_every_byte_flipped_in_turn_is_refused(package: bytes) -> None:
    trust = a_trust()
    for place in range(len(package)):
        damaged = bytearray(package)
        damaged[place] ^= 0xFF
        with pytest.raises(PackageRefusedError):
            checked(bytes(damaged), trust)


@pytest.mark.parametrize("kept", [0, 1, 29, 100, -1, -22])
def test_a_cut_package_is_refused_as_malformed(package: bytes, kept: int) -> None:
    assert refusals(package[:kept]) == [Refusal.FORMAT]


def test_an_unsigned_package_is_refused_unless_that_is_allowed(package: bytes) -> None:
    raw = without_signatures(package)
    assert refusals(raw) == [Refusal.UNSIGNED]
    assert checked(raw, allow_unsigned=True).signers == frozenset()


def test_allowing_unsigned_packages_allows_no_bad_signature(tmp_path: Path) -> None:
    raw = a_package(tmp_path, keys=[STRANGER])
    with pytest.raises(PackageRefusedError):
        checked(raw, allow_unsigned=True)


def test_a_signature_by_an_unknown_key_counts_for_nothing(tmp_path: Path) -> None:
    assert refusals(a_package(tmp_path, keys=[STRANGER])) == [Refusal.UNTRUSTED]


def test_a_signature_over_another_manifest_is_refused(tmp_path: Path) -> None:
    archive = read_archive(a_package(tmp_path))
    other = read_archive(a_package(tmp_path, version="1.1"))
    mixed = pack(
        archive.manifest,
        [(n, bytes(c)) for n, c in archive.entries.items() if n.startswith("payload/")],
        [],
    )
    assert other.signatures is not None
    signed = read_archive(mixed)
    assert refusals(with_signatures(signed, other.signatures)) == [Refusal.SIGNATURE]


def test_nobody_is_trusted_without_a_trust_file(package: bytes) -> None:
    with pytest.raises(PackageRefusedError) as refused:
        verify(package, trust=None, host=HOST, now=NOW)
    assert [reason.code for reason in refused.value.reasons] == [Refusal.UNTRUSTED]


def test_a_name_that_no_grant_covers_is_refused(package: bytes) -> None:
    assert refusals(package, a_trust(pattern="other-*")) == [Refusal.UNTRUSTED]
    assert refusals(package, initial(ROOT)) == [Refusal.UNTRUSTED]


def test_a_publisher_other_than_the_granted_one_is_refused(package: bytes) -> None:
    assert refusals(package, a_trust(publisher="emca")) == [Refusal.UNTRUSTED]


def test_a_threshold_counts_distinct_granted_keys(tmp_path: Path) -> None:
    trust = a_trust(AUTHOR, STRANGER, threshold=2)
    assert refusals(a_package(tmp_path), trust) == [Refusal.UNTRUSTED]
    both = checked(a_package(tmp_path, keys=[AUTHOR, STRANGER]), trust)
    assert both.signers == {AUTHOR.public.key_id, STRANGER.public.key_id}


def test_the_package_may_ask_for_more_signatures_than_the_grant(tmp_path: Path) -> None:
    raw = a_package(tmp_path, min_signatures=2)
    assert refusals(raw, a_trust(AUTHOR, STRANGER)) == [Refusal.UNTRUSTED]


def test_an_expired_package_and_an_expired_trust_file_are_refused(tmp_path: Path) -> None:
    raw = a_package(tmp_path, expires="2025-12-31T00:00:00Z")
    assert refusals(raw) == [Refusal.EXPIRED]
    assert checked(raw, now=datetime(2025, 12, 30, tzinfo=UTC)).digest == digest_of(raw)
    trust = TrustFile(
        version=2,
        roots=(ROOT.public,),
        expires=NOW - timedelta(days=1),
        keys=a_trust().keys,
        grants=a_trust().grants,
    )
    assert refusals(a_package(tmp_path), trust) == [Refusal.EXPIRED]


def test_what_another_platform_needs_is_named(tmp_path: Path) -> None:
    raw = a_package(tmp_path, tag="cp311-abi3-win_amd64")
    with pytest.raises(PackageRefusedError, match="win_amd64") as refused:
        checked(raw)
    assert refused.value.exit_code == 9


def test_host_and_python_requirements_are_checked(tmp_path: Path) -> None:
    raw = a_package(tmp_path, requires_host=">=99", requires_python="<3")
    assert refusals(raw) == [Refusal.INCOMPATIBLE, Refusal.INCOMPATIBLE]


def test_what_this_host_cannot_give_is_refused_and_not_ignored(tmp_path: Path) -> None:
    assert refusals(a_package(tmp_path, isolation="hardened")) == [Refusal.INCOMPATIBLE]
    needs = (PackageRequirement(name="other"),)
    assert refusals(a_package(tmp_path, dependencies=needs)) == [Refusal.INCOMPATIBLE]


def test_a_grant_that_wants_more_isolation_than_there_is_refuses(package: bytes) -> None:
    grant = replace(a_trust().grants[0], isolation=Isolation.HARDENED)
    assert refusals(package, a_trust().with_grant(grant)) == [Refusal.UNTRUSTED]


def test_every_reason_is_given_at_once(tmp_path: Path) -> None:
    raw = a_package(
        tmp_path,
        tag="cp311-abi3-win_amd64",
        expires="2025-12-31T00:00:00Z",
        publisher="emca",
        keys=[STRANGER],
    )
    assert set(refusals(raw)) == {Refusal.UNTRUSTED, Refusal.EXPIRED, Refusal.INCOMPATIBLE}


def test_an_entry_that_the_manifest_does_not_list_is_refused(tmp_path: Path) -> None:
    archive = read_archive(a_package(tmp_path))
    entries = [(n, bytes(c)) for n, c in archive.entries.items() if n.startswith("payload/")]
    entries.append(("payload/zz_extra-1.0-py3-none-any.whl", b"surprise"))
    raw = pack(archive.manifest, entries, [AUTHOR])
    assert Refusal.FORMAT in refusals(raw)


def test_inspecting_shows_an_untrusted_package_without_trusting_it(tmp_path: Path) -> None:
    raw = a_package(tmp_path, GREETER.format(word="hi"), keys=[STRANGER])
    shown = inspect(raw)
    assert [workflow.name for workflow in shown.unverified_manifest.workflows] == ["greet"]
    assert shown.digest == digest_of(raw)
