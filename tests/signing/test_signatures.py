import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloacina_signing.dsse import MANIFEST_TYPE, TRUST_TYPE
from cloacina_signing.errors import SignatureError
from cloacina_signing.keys import PublicKey
from cloacina_signing.signatures import Signature, SignatureSet
from cloacina_signing.strict_json import JsonValue

from .builders import private_key

_PAYLOAD = b'{"name":"demo"}\n'


def _signed(*numbers: int) -> SignatureSet:
    signatures = SignatureSet()
    for number in numbers:
        signatures = signatures.with_signature(private_key(number), MANIFEST_TYPE, _PAYLOAD)
    return signatures


def _keys(*numbers: int) -> dict[str, PublicKey]:
    return {(key := private_key(number).public).key_id: key for number in numbers}


def _document(*numbers: int) -> dict[str, JsonValue]:
    document: dict[str, JsonValue] = json.loads(_signed(*numbers).to_bytes())
    return document


def _raw(**changes: JsonValue) -> bytes:
    return json.dumps({**_document(1), **changes}).encode()


@settings(max_examples=25)
@given(st.lists(st.integers(0, 9), max_size=6), st.sets(st.integers(0, 9), max_size=6))
def test_the_trusted_keys_that_signed_are_verified_after_a_round_trip(
    signers: list[int], trusted: set[int]
) -> None:
    signatures = SignatureSet.parse(_signed(*signers).to_bytes())
    assert signatures == _signed(*signers)
    verified = signatures.verified_key_ids(_PAYLOAD, MANIFEST_TYPE, _keys(*trusted))
    assert verified == set(_keys(*set(signers) & trusted))


def test_another_payload_or_type_is_not_verified() -> None:
    signatures, keys = _signed(1), _keys(1)
    assert not signatures.verified_key_ids(_PAYLOAD + b" ", MANIFEST_TYPE, keys)
    assert not signatures.verified_key_ids(_PAYLOAD, TRUST_TYPE, keys)
    assert not SignatureSet().verified_key_ids(_PAYLOAD, MANIFEST_TYPE, keys)


def test_a_key_that_the_caller_files_under_another_id_is_not_counted() -> None:
    forged = {private_key(2).public.key_id: private_key(1).public}
    entry = Signature(
        key_id=private_key(2).public.key_id, signature=_signed(1).entries[0].signature
    )
    claims = SignatureSet((entry,))
    assert not claims.verified_key_ids(_PAYLOAD, MANIFEST_TYPE, forged)
    assert not claims.verified_key_ids(_PAYLOAD, MANIFEST_TYPE, _keys(1, 2))


def test_a_wrong_signature_does_not_spoil_a_right_one() -> None:
    wrong = Signature(key_id=private_key(2).public.key_id, signature=bytes(64))
    entries = sorted([*_signed(1).entries, wrong], key=lambda entry: entry.key_id)
    verified = SignatureSet(tuple(entries)).verified_key_ids(_PAYLOAD, MANIFEST_TYPE, _keys(1, 2))
    assert verified == set(_keys(1))


def test_signing_again_replaces_the_signature_of_the_same_key() -> None:
    again = _signed(1, 2).with_signature(private_key(1), MANIFEST_TYPE, b"new")
    assert len(again.entries) == 2
    assert again.verified_key_ids(b"new", MANIFEST_TYPE, _keys(1, 2)) == set(_keys(1))
    assert _signed(1).with_signature(private_key(1), MANIFEST_TYPE, _PAYLOAD) == _signed(1)


def _entries(*numbers: int) -> list[JsonValue]:
    return list(SignatureSet.parse(_signed(*numbers).to_bytes()).to_document())


def _entry(**changes: JsonValue) -> list[JsonValue]:
    entry = _entries(1)[0]
    assert isinstance(entry, dict)
    return [{**entry, **changes}]


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="no object"),
        pytest.param(_raw(type="other"), id="type"),
        pytest.param(_raw(format=2), id="format"),
        pytest.param(_raw(extra=1), id="unknown key"),
        pytest.param(_raw(signatures={}), id="no array"),
        pytest.param(_raw(signatures=[5]), id="no entries"),
        pytest.param(_raw(signatures=_entry(algorithm="none")), id="algorithm in the file"),
        pytest.param(_raw(signatures=_entry(public_key="x")), id="key in the file"),
        pytest.param(_raw(signatures=_entry(key_id="A" * 64)), id="upper-case id"),
        pytest.param(_raw(signatures=_entry(key_id="a" * 16)), id="short id"),
        pytest.param(_raw(signatures=_entry(signature=_b64(bytes(63)))), id="short signature"),
        pytest.param(
            _raw(signatures=_entry(signature=_b64(bytes(64)).rstrip("="))), id="no padding"
        ),
        pytest.param(
            _raw(signatures=_entry(signature=_b64(bytes(64)) + "\n")), id="newline in base64"
        ),
        pytest.param(
            _raw(signatures=_entry(signature="A" * 85 + "B==")), id="stray bits in base64"
        ),
        pytest.param(_raw(signatures=_entries(1) * 2), id="twice the same key"),
        pytest.param(_raw(signatures=_entries(1, 2)[::-1]), id="unsorted"),
        pytest.param(
            b'{"type":"cloacina-signatures","type":"x","format":1,"signatures":[]}', id="duplicate"
        ),
    ],
)
def test_malformed_sets_are_refused(raw: bytes) -> None:
    with pytest.raises(SignatureError):
        SignatureSet.parse(raw)


def test_stray_bits_would_have_been_read_by_the_standard_decoder() -> None:
    assert base64.b64decode("A" * 85 + "B==", validate=True) == bytes(64)


def test_the_count_is_capped() -> None:
    entries = [Signature(key_id=f"{i:064x}", signature=bytes(64)) for i in range(65)]
    full = SignatureSet(tuple(entries[:64]))
    assert SignatureSet.parse(full.to_bytes()) == full
    with pytest.raises(SignatureError, match="at most 64"):
        SignatureSet(tuple(entries))
    with pytest.raises(SignatureError, match="at most 64"):
        full.with_signature(private_key(1), MANIFEST_TYPE, _PAYLOAD)


def test_a_signature_of_another_length_cannot_be_put_in_a_set() -> None:
    short = Signature(key_id=private_key(1).public.key_id, signature=bytes(63))
    with pytest.raises(SignatureError, match="64 bytes"):
        SignatureSet((short,))
