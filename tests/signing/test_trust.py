import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloacina_signing import strict_base64, strict_json
from cloacina_signing.dsse import MANIFEST_TYPE, TRUST_TYPE
from cloacina_signing.errors import TrustError
from cloacina_signing.keys import PublicKey
from cloacina_signing.signatures import SignatureSet
from cloacina_signing.strict_json import JsonValue
from cloacina_signing.trust import Grant, Isolation, TrustedKey, TrustFile, initial, signed

from .builders import private_key

_ROOT = private_key(100)
_ALICE = TrustedKey(public=private_key(1).public, owner="Alice <alice@acme.example>")
_BOB = TrustedKey(public=private_key(2).public, owner="Bob")
_Document = dict[str, JsonValue]


def _pinned(*numbers: int) -> dict[str, PublicKey]:
    return {(key := private_key(number).public).key_id: key for number in numbers}


def _grant(pattern: str, *keys: TrustedKey, threshold: int = 1) -> Grant:
    ids = tuple(key.public.key_id for key in keys or (_ALICE,))
    return Grant(pattern=pattern, publisher="acme", key_ids=ids, threshold=threshold)


def _trust() -> TrustFile:
    return initial(_ROOT).with_grant(_grant("acme-*"), keys=[_ALICE])


def _resigned(change: Callable[[_Document], object], *, payload_type: str = TRUST_TYPE) -> bytes:
    """Return a file whose document was changed and then signed by the root all the same."""
    document: _Document = json.loads(strict_json.dumps(_trust().to_document()))
    change(document)
    payload = strict_json.dumps(document)
    signatures = SignatureSet().with_signature(_ROOT, payload_type, payload)
    return strict_json.dumps({"trust": document, "signatures": signatures.to_document()})


def test_a_signed_file_is_read_back_equal() -> None:
    trust = replace(_trust(), expires=datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert TrustFile.parse(signed(trust, [_ROOT]), _pinned(100)) == trust


def test_the_first_version_trusts_nobody() -> None:
    trust = initial(_ROOT)
    assert (trust.version, trust.roots, trust.root_threshold) == (1, (_ROOT.public,), 1)
    assert trust.grant_for("anything") is None


def test_every_change_is_one_version_higher() -> None:
    first = initial(_ROOT)
    second = first.with_key(_ALICE)
    third = second.with_grant(_grant("acme-*"))
    fourth = third.with_grant(_grant("other", _ALICE, _BOB, threshold=2), keys=[_BOB])
    assert [t.version for t in (first, second, third, fourth)] == [1, 2, 3, 4]
    assert set(fourth.keys) == {_ALICE.public.key_id, _BOB.public.key_id}
    assert first.keys == {}


def test_a_grant_of_the_same_pattern_is_replaced() -> None:
    trust = _trust().with_grant(_grant("Acme_*", _BOB), keys=[_BOB])
    assert [grant.key_ids for grant in trust.grants] == [(_BOB.public.key_id,)]


def test_the_keys_of_a_grant_are_those_that_verify_for_it() -> None:
    trust = _trust().with_key(_BOB)
    grant = trust.grant_for("acme-tools")
    assert grant is not None
    assert trust.granted_keys(grant) == {_ALICE.public.key_id: _ALICE.public}


def test_whitespace_around_the_document_does_not_matter() -> None:
    raw = signed(_trust(), [_ROOT])
    indented = json.dumps(json.loads(raw), indent=2).encode()
    assert TrustFile.parse(indented, _pinned(100)) == _trust()


@pytest.mark.parametrize("pinned", [{}, _pinned(1), {_ROOT.public.key_id: private_key(1).public}])
def test_without_the_pinned_root_nothing_is_read(pinned: dict[str, PublicKey]) -> None:
    with pytest.raises(TrustError, match="signed by 0 of the pinned"):
        TrustFile.parse(signed(_trust(), [_ROOT]), pinned)


def test_a_root_that_the_file_names_itself_is_not_enough() -> None:
    stranger = private_key(66)
    theirs = signed(initial(stranger), [stranger])
    with pytest.raises(TrustError, match="pinned"):
        TrustFile.parse(theirs, _pinned(100))


def test_a_threshold_cannot_be_switched_off() -> None:
    for threshold in (0, -1):
        with pytest.raises(TrustError, match="pinned"):
            TrustFile.parse(signed(_trust(), [_ROOT]), {}, pinned_threshold=threshold)


def test_every_flipped_byte_is_refused() -> None:
    raw = signed(_trust(), [_ROOT])
    for offset in range(len(raw) - 1):  # the last byte is the newline that ends the text
        flipped = bytearray(raw)
        flipped[offset] ^= 0x01
        with pytest.raises(TrustError):
            TrustFile.parse(bytes(flipped), _pinned(100))


def test_a_signature_made_for_another_purpose_does_not_count() -> None:
    with pytest.raises(TrustError, match="signed by 0"):
        TrustFile.parse(_resigned(len, payload_type=MANIFEST_TYPE), _pinned(100))


def test_several_roots_must_reach_both_thresholds() -> None:
    other = private_key(101)
    roots = (_ROOT.public, other.public)
    trust = replace(_trust(), roots=roots, root_threshold=2)
    raw = signed(trust, [_ROOT, other])
    assert TrustFile.parse(raw, _pinned(100, 101), pinned_threshold=2) == trust
    assert TrustFile.parse(raw, _pinned(100)) == trust
    with pytest.raises(TrustError, match="signed by 1 of the pinned root keys, 2 needed"):
        TrustFile.parse(raw, _pinned(100), pinned_threshold=2)
    with pytest.raises(TrustError, match="1 root keys sign, 2 are needed"):
        signed(trust, [_ROOT, _ROOT])
    document = json.loads(raw)
    document["signatures"] = [
        entry for entry in document["signatures"] if entry["key_id"] == _ROOT.public.key_id
    ]
    with pytest.raises(TrustError, match="1 of its own root keys, 2 needed"):
        TrustFile.parse(json.dumps(document).encode(), _pinned(100))


def test_a_key_that_is_no_root_cannot_sign() -> None:
    with pytest.raises(TrustError, match="no root"):
        signed(_trust(), [_ROOT, private_key(1)])


def _set(key: str, value: JsonValue) -> Callable[[_Document], object]:
    return lambda document: document.update({key: value})


def _in_grant(**changes: JsonValue) -> Callable[[_Document], object]:
    def change(document: _Document) -> None:
        grants = document["grants"]
        assert isinstance(grants, list)
        first = grants[0]
        assert isinstance(first, dict)
        first.update(changes)

    return change


def _stray_key() -> JsonValue:
    return {"public_key": strict_base64.encode((1).to_bytes(32, "little")), "owner": "x"}


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (_set("version", 0), "integer from 1"),
        (_set("version", True), "integer from 1"),
        (_set("version", 2**53), "integer from 1"),
        (_set("format", 2), "only 1 is known"),
        (_set("type", "x"), "only 'cloacina-trust'"),
        (_set("revoked", []), "not known"),
        (lambda document: document.pop("expires"), "missing"),
        (_set("expires", "2031-13-01T00:00:00Z"), "no instant"),
        (_set("expires", "2031-01-01T00:00:00+00:00"), "an instant like"),
        (_set("expires", "2031-01-01T00:00:00.5Z"), "an instant like"),
        (_set("expires", 5), "an instant like"),
        (_set("roots", []), "root keys"),
        (_set("roots", {}), "array"),
        (_set("roots", [5]), "an object"),
        (_set("keys", [{}] * 4097), "at most 4096"),
        (_set("root_threshold", 2), "threshold of 2"),
        (_set("keys", []), "unknown key"),
        (_set("keys", [_stray_key()]), "small order"),
        (_set("keys", [_ALICE.to_document()] * 2), "twice"),
        (_set("grants", [_grant("a").to_document()] * 2), "same pattern"),
        (_set("grants", [_grant("b").to_document(), _grant("a").to_document()]), "canonical"),
        (_in_grant(pattern="Acme-*"), "canonical"),
        (_in_grant(pattern="ac?me"), "no pattern"),
        (_in_grant(pattern="acme-**"), "no pattern"),
        (_in_grant(pattern=""), "text of 1"),
        (_in_grant(publisher="ac\nme"), "cannot be printed"),
        (_in_grant(key_ids=[]), "1 to 64 keys"),
        (_in_grant(key_ids=[_ALICE.public.key_id, 5]), "array of texts"),
        (_in_grant(key_ids=[_ALICE.public.key_id] * 2), "canonical"),
        (_in_grant(key_ids=["x"]), "unknown key"),
        (_in_grant(threshold=0), "integer from 1"),
        (_in_grant(threshold=2), "needs 2 signatures"),
        (_in_grant(isolation="none"), "none of hardened"),
    ],
)
def test_even_a_signed_document_must_be_well_formed(
    change: Callable[[_Document], object], fact: str
) -> None:
    with pytest.raises(TrustError, match=fact):
        TrustFile.parse(_resigned(change), _pinned(100))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"trust":{},"signatures":{}}', b"\xff"])
def test_what_is_no_trust_file_is_refused_with_a_next_step(raw: bytes) -> None:
    with pytest.raises(TrustError) as caught:
        TrustFile.parse(raw, _pinned(100))
    assert caught.value.next_step


def test_a_grant_must_name_known_keys() -> None:
    with pytest.raises(TrustError, match="add the key first"):
        initial(_ROOT).with_grant(_grant("acme-*"))


def test_expiry_is_an_instant_in_any_zone() -> None:
    east = timezone(timedelta(hours=5))
    trust = replace(_trust(), expires=datetime(2031, 1, 1, 5, 0, 0, 999, tzinfo=east))
    assert trust.expires == datetime(2031, 1, 1, tzinfo=UTC)
    assert TrustFile.parse(signed(trust, [_ROOT]), _pinned(100)) == trust
    assert not trust.is_expired(datetime(2030, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert trust.is_expired(datetime(2031, 1, 1, tzinfo=UTC))
    assert not _trust().is_expired(datetime(9999, 1, 1, tzinfo=UTC))
    with pytest.raises(TrustError, match="time zone"):
        replace(_trust(), expires=datetime(2031, 1, 1))


def _granted(name: str, *patterns: str) -> str | None:
    trust = initial(_ROOT).with_key(_ALICE)
    for pattern in patterns:
        trust = trust.with_grant(_grant(pattern))
    grant = trust.grant_for(name)
    return None if grant is None else grant.pattern


@pytest.mark.parametrize(
    ("name", "patterns", "expected"),
    [
        ("acme-tools", ["*", "acme-*", "acme-tools"], "acme-tools"),
        ("acme-tools", ["*", "acme-*", "acme-tools*"], "acme-tools*"),
        ("acme-tools", ["acme-tools", "acme-tools*"], "acme-tools"),
        ("Acme__Tools.X", ["acme-*"], "acme-*"),
        ("acme.tools", ["ACME_TOOLS"], "acme-tools"),
        ("acme", ["acme-*"], None),
        ("acmetools", ["acme-*"], None),
        ("evil-acme-tools", ["acme-*"], None),
        ("acme-x-prod", ["acme-*-prod"], "acme-*-prod"),
        ("acme-prod", ["acme-*-prod"], None),
        ("aXbXc", ["*x*x*"], "*x*x*"),
        ("acme-tools\n", ["*"], None),
        ("", ["*"], None),
        ("-x", ["*"], None),
        ("acme-[ab]", ["*"], None),
        ("anything", [], None),
    ],
)
def test_the_longest_matching_pattern_decides_and_the_default_is_refusal(
    name: str, patterns: list[str], expected: str | None
) -> None:
    assert _granted(name, *patterns) == expected


def test_two_equally_long_patterns_are_refused_rather_than_guessed_between() -> None:
    with pytest.raises(TrustError, match="equally well"):
        _granted("ab", "a*", "*b")
    assert _granted("ac", "a*", "*b") == "a*"


@settings(max_examples=150)
@given(st.text("ab*", min_size=1, max_size=8), st.text("ab", min_size=1, max_size=10))
def test_patterns_match_like_the_textbook_recursion(pattern: str, name: str) -> None:
    if "**" in pattern:
        with pytest.raises(TrustError):
            _grant(pattern)
        return
    assert _grant(pattern).matches(name) == _textbook(pattern, name)


def _textbook(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return _textbook(pattern[1:], name) or (bool(name) and _textbook(pattern, name[1:]))
    return bool(name) and pattern[0] == name[0] and _textbook(pattern[1:], name[1:])


def test_many_stars_are_matched_quickly() -> None:
    assert not _grant("a*" * 99 + "c*").matches("a" * 199 + "b")


def test_isolation_is_accepted_when_it_is_at_least_the_granted_one() -> None:
    accepted = {
        least: [wanted for wanted in (*Isolation, "none", "") if _least(least).accepts(wanted)]
        for least in Isolation
    }
    assert accepted == {
        Isolation.HARDENED: ["hardened"],
        Isolation.PROCESS: ["hardened", "process"],
        Isolation.INPROCESS: ["hardened", "process", "inprocess"],
    }
    assert _grant("a").isolation is Isolation.PROCESS


def _least(isolation: Isolation) -> Grant:
    return replace(_grant("a"), isolation=isolation)


def test_owners_are_printable() -> None:
    with pytest.raises(TrustError, match="owner"):
        TrustedKey(public=_BOB.public, owner="Bob\x1b[2J")


def test_parts_that_do_not_fit_together_are_refused() -> None:
    alice = _ALICE.public.key_id
    with pytest.raises(TrustError, match="version 0"):
        replace(_trust(), version=0)
    with pytest.raises(TrustError, match="id of another"):
        replace(_trust(), keys={alice: _BOB})
    with pytest.raises(TrustError, match="at most 4096"):
        replace(_trust(), keys={f"{i:064x}": _ALICE for i in range(4097)})
    with pytest.raises(TrustError, match="publisher"):
        replace(_grant("a"), publisher="")
    with pytest.raises(TrustError, match="distinct root keys"):
        replace(_trust(), roots=(_ROOT.public, _ROOT.public))
