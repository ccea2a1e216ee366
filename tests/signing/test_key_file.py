import base64
import errno
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from cloacina_signing.errors import KeyFileError, SigningError, WrongPassphraseError
from cloacina_signing.key_file import ScryptCost, open_key, read_key_file, seal, write_private
from cloacina_signing.keys import PrivateKey
from cloacina_signing.strict_json import JsonValue

from .builders import CHEAP, private_key

_WORD = b"correct horse"


def _sealed() -> bytes:
    return seal(private_key(1), _WORD, cost=CHEAP)


def _plain() -> bytes:
    return seal(private_key(1), None, insecure_plaintext=True)


def _pem(encryption: KeySerializationEncryption) -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(private_key(1).secret_seed())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _changed(raw: bytes, changes: Mapping[str, JsonValue]) -> bytes:
    return json.dumps({**json.loads(raw), **changes}).encode()


def _protection(raw: bytes, **changes: JsonValue) -> bytes:
    return _changed(raw, {"protection": {**json.loads(raw)["protection"], **changes}})


def test_a_sealed_key_opens_with_its_passphrase_and_no_other() -> None:
    opened = open_key(_sealed(), _WORD)
    assert (opened.name, opened.public) == ("key-1", private_key(1).public)
    assert opened.secret_seed() == private_key(1).secret_seed()
    with pytest.raises(WrongPassphraseError, match="wrong"):
        open_key(_sealed(), b"wrong")
    with pytest.raises(WrongPassphraseError, match="encrypted"):
        open_key(_sealed(), None)


def test_the_error_is_a_permission_error_too() -> None:
    with pytest.raises(PermissionError):
        open_key(_sealed(), b"wrong")
    assert issubclass(WrongPassphraseError, SigningError)


def test_the_default_cost_is_the_strong_one() -> None:
    raw = seal(private_key(1), _WORD)
    protection = json.loads(raw)["protection"]
    assert (protection["n"], protection["r"], protection["p"]) == (2**17, 8, 1)
    assert open_key(raw, _WORD).public == private_key(1).public


def test_the_secret_stands_in_a_plain_envelope_only_and_two_seals_differ() -> None:
    secret = base64.b64encode(private_key(1).secret_seed())
    assert secret not in _sealed()
    assert secret in _plain()
    assert _sealed() != _sealed()


def test_a_plain_envelope_needs_the_explicit_wish() -> None:
    assert open_key(_plain(), None).public == private_key(1).public
    for passphrase, plaintext in ((None, False), (b"", False), (_WORD, True)):
        with pytest.raises(KeyFileError, match="either by a passphrase"):
            seal(private_key(1), passphrase, insecure_plaintext=plaintext)


def test_every_changed_byte_of_a_sealed_key_is_refused() -> None:
    raw = _sealed()
    for offset in range(len(raw) - 1):  # the last byte is the newline that ends the text
        flipped = bytearray(raw)
        flipped[offset] ^= 0x01
        with pytest.raises(KeyFileError):
            open_key(bytes(flipped), _WORD)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"key_id": private_key(2).public.key_id},
        {"secret": json.loads(seal(private_key(2), _WORD, cost=CHEAP))["secret"]},
    ],
)
def test_changed_fields_are_found_by_the_authenticated_encryption(
    changes: dict[str, JsonValue],
) -> None:
    with pytest.raises(WrongPassphraseError, match="altered"):
        open_key(_changed(_sealed(), changes), _WORD)


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 1},
        {"type": "other"},
        {"format": 2},
        {"format": True},
        {"algorithm": "rsa"},
        {"name": 5},
        {"name": ""},
        {"protection": {"kdf": "rot13"}},
        {"protection": None},
        {"secret": "AAAA"},
        {"secret": "****"},
    ],
)
def test_a_malformed_envelope_is_refused(changes: dict[str, JsonValue]) -> None:
    with pytest.raises(KeyFileError) as caught:
        open_key(_changed(_sealed(), changes), _WORD)
    assert not isinstance(caught.value, WrongPassphraseError)


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 2**21},
        {"n": 2**30},
        {"n": 1000},
        {"n": 0},
        {"n": 1024.0},
        {"r": 17},
        {"n": 2**20, "r": 8},
        {"p": 5},
        {"p": 0},
        {"salt": ""},
        {"salt": "AAAA"},
        {"nonce": base64.b64encode(bytes(16)).decode()},
        {"cipher": "none"},
        {"note": ""},
    ],
)
def test_parameters_are_capped_before_anything_is_derived(changes: dict[str, JsonValue]) -> None:
    with pytest.raises(KeyFileError) as caught:
        open_key(_protection(_sealed(), **changes), _WORD)
    assert not isinstance(caught.value, WrongPassphraseError)


def test_a_cost_out_of_bounds_cannot_be_asked_for() -> None:
    with pytest.raises(KeyFileError, match="scrypt"):
        ScryptCost(n=2**20, r=16)


def test_a_plain_envelope_whose_secret_is_another_key_is_refused() -> None:
    other = json.loads(seal(private_key(2), None, insecure_plaintext=True))["secret"]
    with pytest.raises(KeyFileError, match="another key"):
        open_key(_changed(_plain(), {"secret": other}), None)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\x00", b"-----BEGIN nothing"])
def test_what_is_no_key_file_is_refused(raw: bytes) -> None:
    with pytest.raises(KeyFileError):
        open_key(raw, _WORD)


def test_keys_made_by_openssl_are_read() -> None:
    for raw in (_pem(NoEncryption()), b"\n" + _pem(BestAvailableEncryption(_WORD))):
        opened = open_key(raw, _WORD, name="mine")
        assert (opened.name, opened.public) == ("mine", private_key(1).public)


def test_an_encrypted_pem_wants_its_passphrase() -> None:
    raw = _pem(BestAvailableEncryption(_WORD))
    with pytest.raises(WrongPassphraseError, match="wrong"):
        open_key(raw, b"wrong")
    with pytest.raises(WrongPassphraseError, match="encrypted"):
        open_key(raw, None)


def test_pem_of_another_kind_is_refused() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    foreign = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    ssh = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    )
    for raw in (foreign, ssh, private_key(1).public.to_pem(), _pem(NoEncryption()) * 2):
        with pytest.raises(KeyFileError):
            open_key(raw, None)


def _der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


def _encrypted_pem(iterations: bytes) -> bytes:
    """Return PKCS#8 by PBES2 with this many iterations, its ciphertext being nonsense."""
    pbes2 = bytes.fromhex("2a864886f70d01050d")
    pbkdf2 = bytes.fromhex("2a864886f70d01050c")
    aes = bytes.fromhex("60864801650304012a")
    derivation = _der(0x30, _der(0x06, pbkdf2), _der(0x30, _der(4, bytes(8)), _der(2, iterations)))
    cipher = _der(0x30, _der(0x06, aes), _der(4, bytes(16)))
    algorithm = _der(0x30, _der(0x06, pbes2), _der(0x30, derivation, cipher))
    return _armoured("ENCRYPTED PRIVATE KEY", _der(0x30, algorithm, _der(4, bytes(16))))


def _armoured(label: str, der: bytes) -> bytes:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode()


@pytest.mark.parametrize("iterations", [b"\x7f\xff\xff\xff", b"\x10\x00\x00\x01", b"\x00", b"\xff"])
def test_a_pem_that_would_keep_the_reader_busy_is_refused(iterations: bytes) -> None:
    with pytest.raises(KeyFileError, match="too costly"):
        open_key(_encrypted_pem(iterations), _WORD)


def test_a_pem_of_ordinary_cost_is_tried() -> None:
    with pytest.raises(WrongPassphraseError):
        open_key(_encrypted_pem(b"\x08\x00"), _WORD)


def test_a_private_file_is_new_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "alice.key.json"
    before = os.umask(0)
    try:
        write_private(path, _plain())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path, None).public == private_key(1).public
    with pytest.raises(KeyFileError, match="exists already"):
        write_private(path, b"other")
    assert path.read_bytes() == _plain()


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="exists already"):
        write_private(link, b"secret")
    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be written"):
        write_private(tmp_path / "none" / "key", b"secret")
    with pytest.raises(KeyFileError, match="cannot be read"):
        read_key_file(tmp_path / "none", None)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
@pytest.mark.parametrize("raw", [_plain(), _pem(NoEncryption())], ids=["envelope", "pem"])
def test_a_plain_key_that_others_may_read_is_refused(tmp_path: Path, raw: bytes, mode: int) -> None:
    path = tmp_path / "alice.key.json"
    write_private(path, raw)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_key_file(path, None)


def test_a_sealed_key_may_be_read_by_others_and_still_needs_its_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "alice.key.json"
    write_private(path, _sealed())
    path.chmod(0o644)
    assert read_key_file(path, _WORD).public == private_key(1).public
    with pytest.raises(WrongPassphraseError):
        read_key_file(path, b"wrong")


def test_a_pem_key_takes_the_name_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "alice.pem"
    write_private(path, _pem(NoEncryption()))
    assert read_key_file(path, None).name == "alice"


def test_a_file_too_long_to_be_a_key_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "big"
    write_private(path, bytes(20_000))
    with pytest.raises(KeyFileError, match="no key file"):
        read_key_file(path, None)


def test_a_generated_key_survives_the_round_trip() -> None:
    private = PrivateKey.generate("bob")
    opened = open_key(seal(private, _WORD, cost=CHEAP), _WORD)
    assert opened.public.verify(opened.sign(b"m"), b"m")
    assert private.public == opened.public


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(b"\x30", id="no length"),
        pytest.param(b"\x30\x80\x02\x01\x01\x00\x00", id="indefinite length"),
        pytest.param(b"\x30\x84\x00\x00\x00\x01\x00", id="length of four bytes"),
        pytest.param(b"\x30\x05\x02\x01\x01", id="cut short"),
        pytest.param(b"\x30\x02\x04\x00", id="no parameters"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_an_encrypted_pem_of_broken_der_is_refused_before_it_is_opened(der: bytes) -> None:
    with pytest.raises(KeyFileError) as caught:
        open_key(_armoured("ENCRYPTED PRIVATE KEY", der), _WORD)
    assert not isinstance(caught.value, WrongPassphraseError)


def test_a_plain_pem_of_broken_der_is_refused() -> None:
    with pytest.raises(KeyFileError, match="cannot be read"):
        open_key(_armoured("PRIVATE KEY", b"\x30\x00"), None)


def test_a_broken_envelope_in_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "alice.key.json"
    write_private(path, _sealed()[:-5])
    with pytest.raises(KeyFileError, match="refused JSON"):
        read_key_file(path, _WORD)


def test_a_private_file_that_cannot_be_finished_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(KeyFileError, match="No space left"):
        write_private(tmp_path / "key", b"secret")
    assert list(tmp_path.iterdir()) == []
