"""Making keys."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from cloacina_signing.errors import WrongPassphraseError
from cloacina_signing.key_file import read_key_file
from cloacina_signing.keys import PublicKey
from ctl.commands import Place, ok, read_terminal

ON_A_TERMINAL = (
    "import fcntl, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "from cloacina.ctl.__main__ import main\n"
    "main()\n"
)


def type_answers(place: Place, arguments: list[str], answers: list[tuple[str, str]]) -> str:
    """Run a command on a terminal, answering each question when it has come; return what it said."""
    ours, theirs = pty.openpty()
    line = [sys.executable, "-c", ON_A_TERMINAL, "--home", str(place.home), *arguments]
    process = subprocess.Popen(
        line, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    said = ""
    try:
        for question, answer in answers:
            while question not in said:
                said += os.read(ours, 4096).decode()
            said = said.partition(question)[2]
            os.write(ours, f"{answer}\n".encode())
        while chunk := read_terminal(ours):
            said += chunk.decode()
        assert process.wait(30) == 0, said
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return said


def test_a_key_is_two_files_and_the_private_one_is_its_owners(place: Place) -> None:
    shown = ok(place.invoke("key", "new", "author", "--insecure-no-passphrase")).output
    private = read_key_file(place.path / "author.key.json", None)
    public = PublicKey.from_pem((place.path / "author.pub.pem").read_bytes())
    assert private.public == public
    assert (place.path / "author.key.json").stat().st_mode & 0o777 == 0o600
    assert public.key_id in shown
    assert f"cloacina-ctl --home {place.home} sign FILE --key author.key.json" in shown


def test_a_key_is_never_written_over(place: Place) -> None:
    ok(place.invoke("key", "new", "author", "-o", "keys", "--insecure-no-passphrase"))
    before = (place.path / "keys/author.key.json").read_bytes()
    again = place.invoke("key", "new", "author", "-o", "keys", "--insecure-no-passphrase")
    assert again.exit_code == 2
    assert "exists already" in again.output
    (place.path / "keys/author.key.json").unlink()
    again = place.invoke("key", "new", "author", "-o", "keys", "--insecure-no-passphrase")
    assert again.exit_code == 2
    assert "author.pub.pem" in again.output
    assert not (place.path / "keys/author.key.json").exists()
    assert before


def test_the_passphrase_comes_from_a_file(place: Place) -> None:
    secret = place.path / "secret"
    secret.write_text("open sesame\n")
    ok(place.invoke("key", "new", "one", "--passphrase-file", secret))
    ok(place.invoke("key", "new", "two", env={"CLOACINA_PASSPHRASE_FILE": str(secret)}))
    for name in ("one", "two"):
        assert read_key_file(place.path / f"{name}.key.json", b"open sesame").name == name
        with pytest.raises(WrongPassphraseError):
            read_key_file(place.path / f"{name}.key.json", None)


def test_without_a_terminal_and_without_a_file_the_command_says_what_to_give(place: Place) -> None:
    result = place.run("key", "new", "author")
    assert result.returncode == 2
    assert "this is no terminal to ask on; give --passphrase-file FILE" in result.stderr
    assert list(place.path.glob("author.*")) == []


def test_a_passphrase_and_none_at_once_are_refused(place: Place) -> None:
    secret = place.path / "secret"
    secret.write_text("x")
    both = ("--passphrase-file", secret, "--insecure-no-passphrase")
    assert place.invoke("key", "new", "author", *both).exit_code == 2
    environment = {"CLOACINA_PASSPHRASE_FILE": str(secret)}
    ok(place.invoke("key", "new", "plain", "--insecure-no-passphrase", env=environment))
    assert read_key_file(place.path / "plain.key.json", None).name == "plain"


@pytest.mark.parametrize("content", ["", "\n", "x" * 5000])
def test_a_file_that_holds_no_passphrase_is_refused(place: Place, content: str) -> None:
    secret = place.path / "secret"
    secret.write_text(content)
    assert place.invoke("key", "new", "author", "--passphrase-file", secret).exit_code == 2


@pytest.mark.parametrize("name", ["../evil", "a b", ""])
def test_a_name_that_is_no_part_of_a_file_name_is_refused(place: Place, name: str) -> None:
    result = place.invoke("key", "new", name, "--insecure-no-passphrase")
    assert result.exit_code == 2
    assert "choose another name" in result.output


def test_on_a_terminal_the_passphrase_is_asked_for_twice_and_not_shown(place: Place) -> None:
    said = type_answers(
        place,
        ["key", "new", "author"],
        [
            ("New passphrase: ", "one thing"),
            ("Repeat for confirmation: ", "another"),
            ("New passphrase: ", "sesame"),
            ("Repeat for confirmation: ", "sesame"),
        ],
    )
    assert "sesame" not in said
    assert read_key_file(Path("author.key.json"), b"sesame").name == "author"


def test_a_terminal_is_asked_only_for_keys_that_need_it(place: Place) -> None:
    package = place.package(keys=())
    secret = place.path / "secret"
    secret.write_text("sesame")
    ok(place.invoke("key", "new", "sealed", "--passphrase-file", secret))
    ok(place.invoke("key", "new", "plain", "--insecure-no-passphrase"))
    type_answers(place, ["sign", str(package), "--key", "plain.key.json"], [])
    type_answers(
        place,
        ["sign", str(package), "--key", "sealed.key.json"],
        [("Passphrase of sealed.key.json: ", "sesame")],
    )
