"""Saying whose packages may run here."""

import pytest
from click.testing import CliRunner

from cloacina.ctl.cli import cli
from cloacina.packages.home import Home
from cloacina_signing.keys import PrivateKey, PublicKey
from cloacina_signing.trust import Isolation
from ctl.commands import Place, document, ok
from packages.makers import AUTHOR

FRIEND = PrivateKey.generate("friend")
KEY_IDS = sorted([AUTHOR.public.key_id, FRIEND.public.key_id])


def init(place: Place) -> str:
    return ok(place.invoke("trust", "init", "--insecure-no-passphrase")).output


def test_init_makes_a_root_and_prints_its_fingerprint(place: Place) -> None:
    shown = init(place)
    root = PublicKey.from_pem((place.home / "root.pub.pem").read_bytes())
    assert f"root fingerprint {root.key_id}\n" in shown
    trust = Home(place.home).trust()
    assert trust is not None
    assert (trust.version, trust.grants) == (1, ())
    assert place.home.stat().st_mode & 0o777 == 0o700
    assert (place.home / "keys").stat().st_mode & 0o777 == 0o700
    assert (place.home / "keys/root.key.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("left", ["trust.json", "root.pub.pem", "keys/root.key.json"])
def test_init_refuses_whatever_is_left_of_an_existing_root(place: Place, left: str) -> None:
    init(place)
    for name in {"trust.json", "root.pub.pem", "keys/root.key.json"} - {left}:
        (place.home / name).unlink()
    before = (place.home / left).read_bytes()
    again = place.invoke("trust", "init", "--insecure-no-passphrase")
    assert again.exit_code == 2
    assert left.rpartition("/")[2] in again.output
    assert (place.home / left).read_bytes() == before


def test_a_second_init_says_what_there_is_and_what_to_do(place: Place) -> None:
    init(place)
    again = place.invoke("trust", "init", "--insecure-no-passphrase")
    assert again.exit_code == 2
    assert "was made before: trust.json, root.key.json, root.pub.pem; nothing" in again.output
    assert "trust add NAME.pub.pem --grant PACKAGE" in again.output
    assert "move these files away first" in again.output
    (place.home / "trust.json").unlink()
    in_part = place.invoke("trust", "init", "--insecure-no-passphrase")
    assert "is there in part: root.key.json, root.pub.pem; nothing" in in_part.output


@pytest.mark.parametrize("home", ["/proc/nope", "file/below"])
def test_a_home_that_cannot_be_made_is_a_sentence(place: Place, home: str) -> None:
    (place.path / "file").write_text("")
    line = ["--home", home, "trust", "init", "--insecure-no-passphrase"]
    result = CliRunner().invoke(cli, line)
    assert result.exit_code == 2
    assert "cannot be made: " in result.output
    assert "--home or $CLOACINA_HOME" in result.output
    assert "Traceback" not in result.output


def test_a_grant_is_made_and_shown(place: Place) -> None:
    init(place)
    shown = ok(place.invoke("trust", "add", place.public_key(), "--grant", "Acme_*")).output
    assert (
        f"granted acme-*: packages of publisher local, signed by 1 of author ({AUTHOR.public.key_id[:16]})"
        in shown
    )
    assert shown in ok(place.invoke("trust", "show")).output
    described = document(ok(place.invoke("trust", "show", "--json")))
    assert described["version"] == 2
    assert described["keys"] == [{"key_id": AUTHOR.public.key_id, "owner": "author"}]
    assert described["grants"] == [
        {
            "pattern": "acme-*",
            "publisher": "local",
            "key_ids": [AUTHOR.public.key_id],
            "threshold": 1,
            "isolation": "process",
        }
    ]


def test_a_grant_of_the_same_pattern_takes_the_key_in_addition(place: Place) -> None:
    init(place)
    first = ["--grant", "acme-*", "--publisher", "acme", "--allow-inprocess"]
    ok(place.invoke("trust", "add", place.public_key(), *first))
    second = ["--grant", "ACME.*", "--threshold", "2"]
    ok(place.invoke("trust", "add", place.public_key(FRIEND), *second))
    trust = Home(place.home).trust()
    assert trust is not None
    (grant,) = trust.grants
    assert (grant.publisher, grant.threshold, list(grant.key_ids)) == ("acme", 2, KEY_IDS)
    assert grant.isolation is Isolation.INPROCESS
    assert trust.version == 3


def test_a_threshold_that_no_keys_can_reach_is_refused(place: Place) -> None:
    init(place)
    result = place.invoke("trust", "add", place.public_key(), "--grant", "a", "--threshold", "2")
    assert result.exit_code == 5
    assert "choose a threshold from 1 to 1" in result.output
    assert document(place.invoke("trust", "show", "--json"))["grants"] == []


def test_without_a_trust_file_the_command_that_makes_one_is_named(place: Place) -> None:
    result = place.invoke("trust", "add", place.public_key(), "--grant", "x")
    assert result.exit_code == 5
    assert f"cloacina-ctl --home {place.home} trust init" in result.output
    assert place.invoke("trust", "show").exit_code == 5


def test_a_wrong_passphrase_of_the_root_changes_nothing(place: Place) -> None:
    right, wrong = place.path / "right", place.path / "wrong"
    right.write_text("sesame")
    wrong.write_text("simsalabim")
    ok(place.invoke("trust", "init", "--passphrase-file", right))
    before = (place.home / "trust.json").read_bytes()
    add = ("trust", "add", place.public_key(), "--grant", "x")
    refused = place.invoke(*add, "--passphrase-file", wrong)
    assert refused.exit_code == 2
    assert "the passphrase is wrong" in refused.output
    assert (place.home / "trust.json").read_bytes() == before
    assert place.invoke(*add).exit_code == 2  # nobody to ask
    ok(place.invoke(*add, "--passphrase-file", right))


def test_a_trust_file_that_its_root_did_not_sign_is_not_used(place: Place) -> None:
    init(place)
    raw = (place.home / "trust.json").read_bytes()
    (place.home / "trust.json").write_bytes(raw.replace(b'"version":1', b'"version":2'))
    result = place.invoke("trust", "show")
    assert result.exit_code == 5
    assert "signed by 0 of the pinned root keys" in result.output


def test_what_is_no_public_key_is_refused(place: Place) -> None:
    init(place)
    (place.path / "x.pub.pem").write_text("hello")
    result = place.invoke("trust", "add", "x.pub.pem", "--grant", "x")
    assert result.exit_code == 2
    assert "not exactly one PEM block" in result.output
