"""The command line: what it prints, and what it exits with."""

import re
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from cloacina_build.__main__ import main
from cloacina_build.errors import OutputError
from cloacina_build.output import write_whole
from cloacina_build.signing_key import open_signing_key
from cloacina_signing.archive import package_digest, read_archive
from cloacina_signing.key_envelope import ScryptCost, seal
from cloacina_signing.key_file import write_private
from cloacina_signing.keys import PrivateKey

from .projects import a_project

CHEAP = ScryptCost(n=2**10)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLOACINA_PASSPHRASE_FILE", raising=False)
    return tmp_path


def run(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, list(words), input=typed, catch_exceptions=False)


def a_key(directory: Path, passphrase: bytes | None) -> Path:
    path = directory / "ann.key.json"
    key = PrivateKey.generate("ann")
    plaintext = passphrase is None
    write_private(path, seal(key, passphrase, cost=CHEAP, insecure_plaintext=plaintext))
    return path


def test_from_nothing_to_a_package_by_the_commands_that_are_printed() -> None:
    created = run("new", "hello")
    assert created.exit_code == 0
    assert created.stdout.splitlines()[1:] == [
        "  cloacina-build check hello",
        "  cloacina-build package hello -o hello.cloacina",
    ]

    checked = run("check", "hello")
    assert checked.exit_code == 0
    assert checked.stdout.splitlines() == [
        "hello 0.1.0 (release 100004000) has no problems; 1 workflow, 2 tasks:",
        "  hello: Greets somebody",
        "    choose_name",
        "    greet        after choose_name",
        "Next: cloacina-build package hello",
    ]
    assert not list(Path().glob("*.cloacina"))

    packaged = run("package", "hello", "-o", "hello.cloacina")
    assert packaged.exit_code == 0
    raw = Path("hello.cloacina").read_bytes()
    digest = package_digest(read_archive(raw).manifest)
    assert packaged.stdout.splitlines() == [
        f"Wrote hello.cloacina ({len(raw):,} bytes), hello 0.1.0 (release 100004000), {digest}",
        "It is not signed. Next: cloacina-ctl sign hello.cloacina --key NAME.key.json",
    ]
    assert packaged.stderr == created.stderr == checked.stderr == ""


def test_the_file_is_named_by_the_package_and_verbose_says_how_it_is_built(here: Path) -> None:
    packaged = run("package", str(a_project(here / "greet")), "--verbose")
    assert packaged.exit_code == 0
    assert (here / "acme-greet-1.2.0.cloacina").is_file()
    assert "building acme-greet as of 1980-01-01T00:00:00Z" in packaged.stderr
    assert "nothing is fetched" in packaged.stderr
    assert "importing acme_greet in a worker" in packaged.stderr


@pytest.mark.parametrize("command", ["check", "package"])
def test_a_project_at_fault_ends_with_3(here: Path, command: str) -> None:
    a_project(here / "greet", table="[tool.cloacina]\nmodules = []\nmodles = []\n")
    failed = run(command, "greet")
    assert (failed.exit_code, failed.stdout) == (3, "")
    assert failed.stderr.startswith("Error: greet/pyproject.toml has")
    assert "did you mean 'modules'?" in failed.stderr
    assert not list(here.glob("*.cloacina"))


def test_a_project_without_the_table_is_told_what_to_add(here: Path) -> None:
    a_project(here / "greet", table="")
    failed = run("check", "greet")
    assert failed.exit_code == 3
    assert failed.stderr.splitlines()[:2] == [
        "Error: greet/pyproject.toml has no table [tool.cloacina]",
        "Next: add these lines to it:",
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["new", "json"], "'json' cannot name a project"),
        (["new", "greet"], "greet: it exists already"),
        (["check", "absent"], "absent has no pyproject.toml"),
        (["package", "greet", "-o", "greet"], "greet: it is a directory"),
        (["package", "greet", "-o", "absent/x"], "absent/x: there is no directory absent"),
        (["package", "greet", "--sign", "absent.key.json"], "cannot be read"),
        (["package"], "Missing argument"),
    ],
)
def test_a_command_that_cannot_be_carried_out_ends_with_2(
    here: Path, words: list[str], sentence: str
) -> None:
    a_project(here / "greet")
    failed = run(*words)
    assert failed.exit_code == 2
    assert sentence in failed.stderr
    assert "Traceback" not in failed.stderr


def test_debug_shows_the_traceback() -> None:
    failed = run("check", "absent", "--debug")
    assert failed.exit_code == 2
    assert "Traceback (most recent call last)" in failed.stderr
    assert "MissingProjectError" in failed.stderr


def test_a_failure_leaves_an_earlier_file_as_it_was(here: Path) -> None:
    a_project(here / "greet", module="raise RuntimeError('not today')\n")
    (here / "greet.cloacina").write_bytes(b"earlier")
    failed = run("package", "greet", "-o", "greet.cloacina")
    assert failed.exit_code == 3
    assert "RuntimeError: not today" in failed.stderr
    assert (here / "greet.cloacina").read_bytes() == b"earlier"
    assert sorted(path.name for path in here.iterdir()) == ["greet", "greet.cloacina"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(here: Path) -> None:
    target = here / ("n" * 300)
    with pytest.raises(OutputError, match="cannot be written: File name too long"):
        write_whole(target, b"content")
    assert list(here.iterdir()) == []


def test_a_success_replaces_an_earlier_file(here: Path) -> None:
    a_project(here / "greet")
    (here / "greet.cloacina").write_bytes(b"earlier")
    assert run("package", "greet", "-o", "greet.cloacina").exit_code == 0
    assert read_archive((here / "greet.cloacina").read_bytes()).signatures is None
    assert sorted(path.name for path in here.iterdir()) == ["greet", "greet.cloacina"]


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_package_is_signed_by_a_key_whose_passphrase_is_in_a_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    a_project(here / "greet")
    key = a_key(here, b"open sesame")
    (here / "passphrase").write_bytes(b"open sesame\n")
    words = ["package", "greet", "-o", "greet.cloacina", "--sign", str(key)]
    if by_variable:
        monkeypatch.setenv("CLOACINA_PASSPHRASE_FILE", "passphrase")
    else:
        words += ["--passphrase-file", "passphrase"]
    signed = run(*words)
    assert signed.exit_code == 0
    assert "It is signed by ann. Next: cloacina-ctl verify greet.cloacina" in signed.stdout
    assert read_archive((here / "greet.cloacina").read_bytes()).signatures is not None


def test_a_passphrase_is_asked_for_only_where_it_is_needed(here: Path) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("asked")
        return "open sesame"

    assert open_signing_key(a_key(here, None), None, ask).name == "ann"
    assert asked == []
    (here / "ann.key.json").unlink()
    assert open_signing_key(a_key(here, b"open sesame"), None, ask).name == "ann"
    assert asked == ["asked"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "it is encrypted"),
        (b"wrong", "the passphrase is wrong"),
        (b"x" * 5000, "longer than 4096 bytes"),
    ],
)
def test_a_key_that_does_not_open_signs_nothing(
    here: Path, content: bytes | None, sentence: str
) -> None:
    a_project(here / "greet")
    words = ["package", "greet", "--sign", str(a_key(here, b"open sesame"))]
    if content is not None:
        (here / "passphrase").write_bytes(content)
        words += ["--passphrase-file", "passphrase"]
    failed = run(*words)
    assert failed.exit_code == 2
    assert sentence in failed.stderr
    assert not list(here.glob("*.cloacina"))


def test_the_other_command_line_finds_the_commands() -> None:
    found = {entry.name: entry.load() for entry in entry_points(group="cloacina.ctl_commands")}
    assert {"new", "check", "package"} <= set(found)
    assert all(isinstance(found[name], click.Command) for name in ("new", "check", "package"))


def test_help_tells_the_exit_codes() -> None:
    shown = re.sub(r"\s+", " ", run("--help").stdout)
    assert "0 done; 2 the command cannot be carried out as it was given; 3 the project" in shown
