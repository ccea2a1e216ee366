import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from cloacina_signing.dsse import MANIFEST_TYPE, TRUST_TYPE, pre_authentication_encoding
from cloacina_signing.ed25519_point import point_problem
from cloacina_signing.errors import KeyFileError
from cloacina_signing.keys import PrivateKey, PublicKey

from .builders import private_key

_PRIME = 2**255 - 19
# Every encoding of the eight points of small order, canonical or not, sign bit included.
_ORDER_EIGHT = (
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)
_SMALL_Y = (
    0,
    1,
    _PRIME - 1,
    _PRIME,
    _PRIME + 1,
    *(int.from_bytes(bytes.fromhex(text), "little") for text in _ORDER_EIGHT),
)
_RFC_8032 = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
)


def test_the_encoding_of_the_dsse_specification_is_reproduced() -> None:
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_are_counted_in_bytes_and_types_are_told_apart() -> None:
    assert pre_authentication_encoding("\u00e9", b"") == b"DSSEv1 2 \xc3\xa9 0 "
    assert MANIFEST_TYPE != TRUST_TYPE


@pytest.mark.parametrize(("seed", "public", "message", "signature"), _RFC_8032)
def test_the_vectors_of_rfc_8032_hold(seed: str, public: str, message: str, signature: str) -> None:
    private = PrivateKey("vector", bytes.fromhex(seed))
    assert private.public.raw.hex() == public
    assert private.sign(bytes.fromhex(message)).hex() == signature
    assert private.public.verify(bytes.fromhex(signature), bytes.fromhex(message))


@settings(max_examples=40)
@given(st.integers(0, 63), st.integers(1, 255), st.binary(max_size=30))
def test_a_changed_signature_does_not_verify(position: int, change: int, message: bytes) -> None:
    key = private_key(1)
    signature = bytearray(key.sign(message))
    assert key.public.verify(bytes(signature), message)
    signature[position] ^= change
    assert not key.public.verify(bytes(signature), message)


def test_signatures_of_another_length_key_or_message_do_not_verify() -> None:
    key = private_key(1)
    signature = key.sign(b"m")
    assert not key.public.verify(signature, b"n")
    assert not key.public.verify(signature[:-1], b"m")
    assert not key.public.verify(signature + b"\x00", b"m")
    assert not key.public.verify(b"", b"m")
    assert not private_key(2).public.verify(signature, b"m")


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", _SMALL_Y)
def test_points_of_small_order_are_refused_in_every_encoding(y: int, sign: int) -> None:
    raw = (y | sign << 255).to_bytes(32, "little")
    with pytest.raises(KeyFileError, match=r"small order|canonical"):
        PublicKey.from_raw(raw)


@pytest.mark.parametrize("excess", range(19))
def test_coordinates_beyond_the_prime_are_refused(excess: int) -> None:
    raw = (_PRIME + excess).to_bytes(32, "little")
    assert point_problem(raw) == "the point is not encoded canonically"


def test_bytes_that_are_no_point_are_refused() -> None:
    assert point_problem((2).to_bytes(32, "little")) == "the point is not on the curve"
    assert point_problem(bytes(31)) == "31 bytes, an Ed25519 public key has 32"


@settings(max_examples=40)
@given(st.binary(min_size=32, max_size=32))
def test_every_true_public_key_is_accepted(seed: bytes) -> None:
    private = PrivateKey("any", seed)
    assert PublicKey.from_raw(private.public.raw) == private.public


def test_about_half_of_all_coordinates_are_points() -> None:
    outcomes = [point_problem(hashlib.sha256(b"%d" % i).digest()) for i in range(200)]
    assert 60 < sum(outcome is None for outcome in outcomes) < 140


def test_pem_and_key_id_are_those_of_the_library() -> None:
    key = private_key(3).public
    library = Ed25519PrivateKey.from_private_bytes(private_key(3).secret_seed()).public_key()
    assert key.to_pem() == library.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = library.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key.key_id == hashlib.sha256(der).hexdigest()
    assert PublicKey.from_pem(key.to_pem()) == key


def _foreign_pem(key: x25519.X25519PublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(_foreign_pem(x25519.X25519PrivateKey.generate().public_key()), id="x25519"),
        pytest.param(
            _foreign_pem(ec.generate_private_key(ec.SECP256R1()).public_key()), id="p-256"
        ),
        pytest.param(b"", id="nothing"),
        pytest.param(private_key(1).public.raw, id="raw bytes"),
        pytest.param(private_key(1).public.to_pem() * 2, id="two blocks"),
        pytest.param(private_key(1).public.to_pem().replace(b"MCow", b"MCox"), id="broken"),
        pytest.param(private_key(1).public.to_pem()[:60], id="cut"),
        pytest.param(private_key(1).public.to_pem() + b" " * 70_000, id="too long"),
    ],
)
def test_anything_but_one_ed25519_public_key_is_refused(raw: bytes) -> None:
    with pytest.raises(KeyFileError, match="public key"):
        PublicKey.from_pem(raw)


def test_a_small_order_point_is_refused_in_pem_too() -> None:
    identity = (1).to_bytes(32, "little")
    body = private_key(1).public
    pem = body.to_pem()
    forged = object.__new__(PublicKey)
    object.__setattr__(forged, "raw", identity)
    assert forged.to_pem() != pem
    with pytest.raises(KeyFileError, match="small order"):
        PublicKey.from_pem(forged.to_pem())


def test_new_keys_differ_and_never_show_their_secret() -> None:
    one, other = PrivateKey.generate("alice"), PrivateKey.generate("alice")
    assert one.public != other.public
    assert one.name == "alice"
    assert one.secret_seed().hex() not in repr(one)
    assert repr(one) == f"PrivateKey(name='alice', key_id='{one.public.key_id}')"


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "a b", "a\n", "\u00e9", "a" * 101])
def test_names_that_cannot_be_file_names_are_refused(name: str) -> None:
    with pytest.raises(KeyFileError, match="name"):
        PrivateKey.generate(name)


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(KeyFileError, match="32 bytes"):
        PrivateKey("short", bytes(31))
