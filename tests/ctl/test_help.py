"""Help is quick, lists what others contribute, and errors are sentences."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloacina.ctl.cli import cli
from cloacina.ctl.lazy_group import LazyGroup
from ctl.commands import Place, ok

SLOW = {"alembic", "cloacina_build", "cryptography", "packaging.tags", "rich", "sqlalchemy"}


def contribute(folder: Path, **commands: str) -> dict[str, str]:
    """Install a distribution whose commands are in one module; return the environment for it."""
    info = folder / "acme_tools-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tools\nVersion: 1.0\n")
    lines = [f"{name} = {location}\n" for name, location in commands.items()]
    (info / "entry_points.txt").write_text("[cloacina.ctl_commands]\n" + "".join(lines))
    (folder / "acme_tools.py").write_text(
        "import click\n"
        "print('acme_tools is imported')\n"
        "@click.command()\n"
        "def hello():\n"
        "    click.echo('hello from acme')\n"
        "@click.command()\n"
        "def trip():\n"
        "    raise LookupError('nobody expected this')\n"
    )
    return {"PYTHONPATH": str(folder)}


def test_help_imports_nothing_slow() -> None:
    script = (
        "import sys\n"
        "from cloacina.ctl.cli import cli\n"
        "try:\n"
        "    cli(['--help'])\n"
        "except SystemExit:\n"
        "    print(*sys.modules)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "Exit codes:" in shown.stdout
    assert set(shown.stdout.split()) & SLOW == set()


@pytest.mark.parametrize(
    "command",
    [
        ["config", "show"],
        ["db", "migrate"],
        ["db", "prune"],
        ["db", "status"],
        ["execution"],
        ["execution", "cancel"],
        ["execution", "list"],
        ["execution", "logs"],
        ["execution", "pause"],
        ["execution", "resume"],
        ["execution", "send"],
        ["execution", "show"],
        ["execution", "why"],
        ["inspect"],
        ["key", "new"],
        ["run"],
        ["sign"],
        ["tenant", "create"],
        ["tenant", "list"],
        ["tenant", "remove"],
        ["trust", "add"],
        ["trust", "init"],
        ["trust", "show"],
        ["verify"],
    ],
)
def test_every_command_explains_itself(place: Place, command: list[str]) -> None:
    shown = ok(place.invoke(*command, "--help")).output
    assert shown.startswith(f"Usage: cloacina-ctl {' '.join(command)} ")


def test_every_built_in_command_is_where_the_list_says() -> None:
    def check(group: LazyGroup) -> None:
        for name, reference in group._references.items():
            command = reference.load()
            assert command.help, name
            assert command.name == name
            if isinstance(command, LazyGroup):
                check(command)

    assert {"execution", "run", "verify"} <= set(cli._references)
    check(cli)


def test_a_contributed_command_is_listed_without_being_imported(place: Place) -> None:
    environment = contribute(place.path, hello="acme_tools:hello")
    shown = place.run("--help", env=environment).stdout
    assert "hello" in shown
    assert "(from acme-tools)" in shown
    assert "is imported" not in shown
    assert place.run("hello", env=environment).stdout.endswith("hello from acme\n")


def test_a_broken_contributed_command_fails_only_when_it_is_used(place: Place) -> None:
    environment = contribute(place.path, broken="acme_tools:missing", gone="acme_nowhere:x")
    assert place.run("--help", env=environment).returncode == 0
    used = place.run("broken", "--some", "option", env=environment)
    assert used.returncode == 1
    assert "this command of acme-tools cannot be loaded" in used.stderr
    assert "No module named 'acme_nowhere'" in place.run("gone", env=environment).stderr


def test_a_contributed_command_cannot_take_a_name_that_is_built_in(place: Place) -> None:
    environment = contribute(place.path, verify="acme_tools:hello")
    shown = place.run("verify", "--help", env=environment)
    assert "Check packages in every respect" in shown.stdout
    assert "acme" not in place.run("--help", env=environment).stdout


def test_an_unexpected_error_is_a_sentence_and_a_traceback_only_with_debug(place: Place) -> None:
    environment = contribute(place.path, trip="acme_tools:trip")
    plain = place.run("trip", env=environment)
    assert plain.returncode == 1
    assert plain.stderr.splitlines() == [
        "Error: unexpected LookupError: nobody expected this",
        "  Run it again with --debug after cloacina-ctl, and report what it shows.",
    ]
    line = place.line("--debug", "trip")
    debugged = subprocess.run(
        line, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert debugged.returncode == 1
    assert "Traceback" in debugged.stderr
    assert "acme_tools.py" in debugged.stderr


def test_the_home_is_the_one_of_the_environment_unless_an_option_says_otherwise(
    place: Place,
) -> None:
    environment = {"CLOACINA_HOME": str(place.path / "elsewhere")}
    plain = subprocess.run(
        [sys.executable, "-m", "cloacina.ctl", "trust", "init", "--insecure-no-passphrase"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert plain.returncode == 0, plain.stderr
    assert (place.path / "elsewhere" / "trust.json").exists()
    assert place.run("trust", "show", env=environment).returncode == 5


def test_the_version_is_shown(place: Place) -> None:
    assert ok(place.invoke("--version")).output.startswith("cloacina-ctl, version 0.")
