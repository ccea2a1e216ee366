"""Signing packages, and what verification says of them."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloacina_signing.archive import read_archive
from cloacina_signing.keys import PrivateKey
from cloacina_signing.signatures import SignatureSet
from ctl.commands import Place, document, ok
from packages.makers import AUTHOR, GREETER, digest_of

STRANGER = PrivateKey.generate("stranger")


def signers_in(path: Path) -> list[str]:
    raw = read_archive(path.read_bytes()).signatures
    return [] if raw is None else [entry.key_id for entry in SignatureSet.parse(raw).entries]


def test_a_public_key_cannot_sign_and_its_private_half_is_named(place: Place) -> None:
    result = place.invoke("sign", place.package(), "--key", place.public_key())
    assert result.exit_code == 2
    assert "it holds a public key; name the private half, such as author.key.json" in result.output


def test_a_signature_is_put_inside_and_changes_no_digest(place: Place) -> None:
    package = place.package(keys=())
    digest = digest_of(package.read_bytes())
    package.chmod(0o640)
    shown = ok(place.invoke("sign", package, "--key", place.private_key(AUTHOR))).output
    assert digest in shown
    assert signers_in(package) == [AUTHOR.public.key_id]
    assert digest_of(package.read_bytes()) == digest
    assert package.stat().st_mode & 0o777 == 0o640
    ok(place.invoke("sign", package, "--key", place.private_key(STRANGER)))
    assert set(signers_in(package)) == {AUTHOR.public.key_id, STRANGER.public.key_id}
    assert [path.name for path in place.path.glob(".*")] == []


def test_a_detached_signature_lies_beside_the_file_and_counts(place: Place) -> None:
    place.trust()
    package = place.package(keys=())
    before = package.read_bytes()
    assert place.invoke("verify", package).exit_code == 4
    ok(place.invoke("sign", package, "--key", place.private_key(AUTHOR), "--detached"))
    assert package.read_bytes() == before
    verdict = document(ok(place.invoke("verify", package, "--json")))
    assert verdict["signers"] == [AUTHOR.public.key_id]


def test_a_stale_detached_signature_does_not_hide_a_good_one_inside(place: Place) -> None:
    place.trust()
    package = place.package(keys=())
    ok(place.invoke("sign", package, "--key", place.private_key(AUTHOR), "--detached"))
    rebuilt = place.package(version="2.0", keys=())
    assert place.invoke("verify", rebuilt).exit_code == 4
    ok(place.invoke("sign", rebuilt, "--key", place.private_key(AUTHOR)))
    ok(place.invoke("verify", rebuilt))


def test_a_malformed_detached_signature_is_refused(place: Place) -> None:
    place.trust()
    package = place.package()
    Path(f"{package}.sig").write_text("{}")
    verdict = place.invoke("verify", package, "--json")
    assert verdict.exit_code == 3
    assert document(verdict)["digest"] is None


def test_what_is_malformed_is_not_signed(place: Place) -> None:
    package = place.package(keys=())
    raw = package.read_bytes()
    package.write_bytes(raw[:-1])
    result = place.invoke("sign", package, "--key", place.private_key(AUTHOR))
    assert result.exit_code == 3
    assert package.read_bytes() == raw[:-1]
    wrong = place.package(keys=(), entries=())
    result = place.invoke("sign", wrong, "--key", place.private_key(AUTHOR))
    assert result.exit_code == 3
    assert "is not in the manifest" in result.output


def test_a_wrong_passphrase_signs_nothing(place: Place) -> None:
    right, wrong = place.path / "right", place.path / "wrong"
    right.write_text("sesame")
    wrong.write_text("simsalabim")
    ok(place.invoke("key", "new", "author", "--passphrase-file", right))
    package = place.package(keys=())
    sign = ("sign", package, "--key", "author.key.json")
    refused = place.invoke(*sign, "--passphrase-file", wrong)
    assert refused.exit_code == 2
    assert "the passphrase is wrong or the file was altered; try again" in refused.output
    assert signers_in(package) == []
    ok(place.invoke(*sign, env={"CLOACINA_PASSPHRASE_FILE": str(right)}))
    assert len(signers_in(package)) == 1


def test_an_accepted_package_is_described(place: Place) -> None:
    place.trust()
    package = place.package()
    shown = ok(place.invoke("verify", package)).output
    assert "greeter 1.0 by local" in shown
    assert f"signed by author ({AUTHOR.public.key_id})" in shown
    assert document(ok(place.invoke("verify", package, "--json"))) == {
        "ok": True,
        "digest": digest_of(package.read_bytes()),
        "signers": [AUTHOR.public.key_id],
        "reasons": [],
    }


def test_every_reason_is_given_and_the_first_one_decides_the_exit_code(place: Place) -> None:
    package = place.package(keys=(), requires_python=">=99", expires="2025-07-01T00:00:00Z")
    result = place.invoke("verify", package, "--json")
    assert result.exit_code == 4
    verdict = document(result)
    assert not verdict["ok"]
    codes = [reason["code"] for reason in verdict["reasons"]]
    assert codes == ["unsigned", "untrusted", "expired", "incompatible"]
    assert verdict["digest"] == digest_of(package.read_bytes())


def test_several_files_give_a_list_and_the_code_of_the_first_refused(place: Place) -> None:
    place.trust()
    good = place.package("good.cloacina")
    late = place.package("late.cloacina", expires="2025-07-01T00:00:00Z")
    short = place.path / "short.cloacina"
    short.write_bytes(good.read_bytes()[:100])
    result = place.invoke("verify", good, late, short, "--json")
    assert result.exit_code == 8
    assert [verdict["ok"] for verdict in document(result)] == [True, False, False]
    shown = place.invoke("verify", good, short)
    assert shown.exit_code == 3
    assert f"accepted: {good}" in shown.output
    assert f"refused: {short}" in shown.output


@pytest.mark.parametrize(
    ("fields", "exit_code", "words"),
    [
        ({"tag": "cp39-cp39-win32"}, 9, "none of its wheels fits this platform"),
        ({"requires_python": ">=99"}, 9, "it needs Python >=99"),
        ({"expires": "2025-07-01T00:00:00Z"}, 8, "expired at"),
        ({"publisher": "acme"}, 5, "its publisher is 'acme'"),
        ({"keys": (STRANGER,)}, 5, "signed by 0 of the keys granted"),
    ],
)
def test_each_kind_of_refusal_has_its_exit_code(
    place: Place, fields: dict[str, Any], exit_code: int, words: str
) -> None:
    place.trust()
    result = place.invoke("verify", place.package(**fields))
    assert result.exit_code == exit_code
    assert words in result.output


def test_what_is_no_package_is_refused_in_one_sentence(place: Place) -> None:
    (place.path / "notes.txt").write_text("hello\x1b[31m")
    result = place.invoke("verify", "notes.txt")
    assert result.exit_code == 3
    assert "not a canonical package archive" in result.output
    assert "\x1b" not in result.output
    assert place.invoke("verify", "nowhere.cloacina").exit_code == 2


def advised(refusal: str) -> list[str]:
    """Return the commands that a refusal names, as they are."""
    _, _, advice = refusal.partition("If you want it accepted here:\n")
    return [line.strip() for line in advice.splitlines()]


def without_home(place: Place, steps: list[str]) -> list[str]:
    return [step.removeprefix(f"cloacina-ctl --home {place.home} ") for step in steps]


def carry_out(place: Place, steps: list[str]) -> None:
    """Do what the commands say, with keys that need no passphrase."""
    for step in without_home(place, steps):
        words = shlex.split(step)
        makes_key = words[:2] in (["key", "new"], ["trust", "init"])
        ok(place.invoke(*words, *(["--insecure-no-passphrase"] if makes_key else [])))


def type_in_a_shell(place: Place, steps: list[str]) -> None:
    (place.path / "secret").write_text("sesame")
    python = shlex.quote(sys.executable)
    typed = "\n".join(["set -e", f'cloacina-ctl() {{ {python} -m cloacina.ctl "$@"; }}', *steps])
    done = subprocess.run(
        ["bash", "-c", typed],
        env={**os.environ, "CLOACINA_PASSPHRASE_FILE": "secret"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_commands_that_a_refusal_names_mend_it(place: Place) -> None:
    package = place.package("my package.cloacina", keys=())
    refused = place.invoke("verify", package)
    assert refused.exit_code == 4
    steps = advised(refused.output)
    assert without_home(place, steps) == [
        "key new local",
        f"sign '{package}' --key local.key.json",
        "trust init",
        "trust add local.pub.pem --grant greeter",
    ]
    type_in_a_shell(place, steps)
    ok(place.invoke("verify", package))


def test_only_the_commands_still_needed_are_named(place: Place) -> None:
    package = place.package(publisher="Acme & Sons")
    place.public_key()
    ok(place.invoke("trust", "init", "--insecure-no-passphrase"))
    refused = place.invoke("verify", package)
    assert refused.exit_code == 5
    steps = advised(refused.output)
    assert without_home(place, steps) == [
        "trust add author.pub.pem --grant greeter --publisher 'Acme & Sons'"
    ]
    carry_out(place, steps)
    ok(place.invoke("verify", package))


def test_a_second_signature_is_asked_for_where_one_is_not_enough(place: Place) -> None:
    place.trust("greeter")
    place.private_key(STRANGER)
    place.public_key(STRANGER)
    package = place.package(min_signatures=3)
    refused = place.invoke("verify", package)
    assert refused.exit_code == 5
    steps = advised(refused.output)
    assert without_home(place, steps) == [
        f"sign {package} --key stranger.key.json",
        "key new local",
        f"sign {package} --key local.key.json",
        "trust add stranger.pub.pem --grant greeter",
        "trust add local.pub.pem --grant greeter",
    ]
    carry_out(place, steps)
    ok(place.invoke("verify", package))


def test_a_public_key_that_is_not_at_hand_is_asked_for(place: Place) -> None:
    place.trust("other")
    refused = place.invoke("verify", place.package(keys=(STRANGER,)))
    assert f"# get the public key {STRANGER.public.key_id} from 'local'" in refused.output
    assert "trust add theirs.pub.pem --grant greeter" in refused.output


@pytest.mark.parametrize("fields", [{"publisher": "other"}, {"requires_python": ">=99"}])
def test_no_commands_are_named_where_none_should_mend_it(
    place: Place, fields: dict[str, Any]
) -> None:
    place.trust("greeter")
    refused = place.invoke("verify", place.package(**fields))
    assert refused.exit_code in {5, 9}
    assert "cloacina-ctl" not in refused.output


def test_no_code_of_a_package_runs_when_it_is_verified_inspected_or_signed(place: Place) -> None:
    canary = place.path / "canary"
    source = GREETER.format(word="hello") + f"\nopen({str(canary)!r}, 'w').close()\n"
    place.trust()
    package = place.package(source=source)
    assert canary.exists()  # made when the test described its workflows
    canary.unlink()
    ok(place.invoke("verify", package))
    ok(place.invoke("inspect", package))
    ok(place.invoke("sign", package, "--key", place.private_key(AUTHOR)))
    assert not canary.exists()
    assert place.run("run", package, "--context", '{"name": "x"}').returncode == 0
    assert canary.exists()  # so the canary does sing when the code runs
