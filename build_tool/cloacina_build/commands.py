"""The commands `new`, `check` and `package`, for `cloacina-build` and for `cloacina-ctl`.

* A command's result goes to standard output, what it does meanwhile to standard error.
* An error is one sentence and a next step; the traceback comes with `--debug`.
* Everything heavy is imported when a command runs, so that help is quick.
"""

from __future__ import annotations

import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloacina_build.errors import BuildError

if TYPE_CHECKING:
    from cloacina_sdk.manifest import Manifest
    from cloacina_sdk.spec import WorkflowSpec
    from cloacina_signing.keys import PrivateKey

_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path))
_VERBOSE = click.option("--verbose", "-v", is_flag=True, help="Say what is done meanwhile.")
_DEBUG = click.option("--debug", is_flag=True, help="Show the traceback of an error.")


@contextmanager
def _shown_errors(*, debug: bool) -> Iterator[None]:
    try:
        yield
    except BuildError as error:
        if debug:
            traceback.print_exception(error)
        click.echo(f"Error: {error}", err=True)
        if error.next_step:
            click.echo(f"Next: {error.next_step}", err=True)
        raise click.exceptions.Exit(error.exit_code) from error


def _voice(*, verbose: bool) -> Callable[[str], None]:
    def say(line: str) -> None:
        if verbose:
            click.echo(line, err=True)

    return say


@click.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["python", "cffi"]),
    default="python",
    show_default=True,
    help="What the tasks are written in.",
)
@_DEBUG
def new(*, name: str, kind: str, debug: bool) -> None:
    """Make a project NAME with one workflow of two tasks."""
    from cloacina_build.scaffold import Kind, create_project  # noqa: PLC0415 - keeps help quick

    with _shown_errors(debug=debug):
        create_project(name, Kind(kind), Path())
    click.echo(f"Created the project {name}. Next:")
    click.echo(f"  cloacina-build check {name}")
    click.echo(f"  cloacina-build package {name} -o {name}.cloacina")


@click.command()
@_DIRECTORY
@_VERBOSE
@_DEBUG
def check(*, directory: Path, verbose: bool, debug: bool) -> None:
    """Check the project in DIRECTORY.

    Builds its wheel, imports its modules in a process of their own and prints the workflows, or
    everything that keeps it from becoming a package. Nothing is written.
    """
    from cloacina_build.package import prepare  # noqa: PLC0415 - keeps help quick

    with _shown_errors(debug=debug):
        manifest = prepare(directory, say=_voice(verbose=verbose)).manifest
    click.echo(f"{_title(manifest)} has no problems; {_counted(manifest)}:")
    for workflow in manifest.workflows:
        for line in _outline(workflow):
            click.echo(line)
    click.echo(f"Next: {_command('cloacina-build', 'package', directory)}")


@click.command()
@_DIRECTORY
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="The file to write; by default NAME-VERSION.cloacina here.",
)
@click.option(
    "--sign",
    "key",
    type=click.Path(path_type=Path),
    help="Sign the package with this key, a NAME.key.json.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    envvar="CLOACINA_PASSPHRASE_FILE",
    help="The file that holds the key's passphrase; else it is asked for.",
)
@_VERBOSE
@_DEBUG
def package(
    *,
    directory: Path,
    output: Path | None,
    key: Path | None,
    passphrase_file: Path | None,
    verbose: bool,
    debug: bool,
) -> None:
    """Build the project in DIRECTORY into a package file.

    The same source gives the same bytes, whatever the directory, the user and the day.
    """
    from cloacina_build.output import check_target, write_whole  # noqa: PLC0415 - keeps help quick
    from cloacina_build.package import build_package  # noqa: PLC0415 - keeps help quick

    with _shown_errors(debug=debug):
        if output is not None:
            check_target(output)
        signing_key = None if key is None else _opened(key, passphrase_file)
        built = build_package(directory, sign_with=signing_key, say=_voice(verbose=verbose))
        path = output or Path(f"{built.manifest.name}-{built.manifest.version}.cloacina")
        write_whole(path, built.raw)
    click.echo(f"Wrote {path} ({len(built.raw):,} bytes), {_title(built.manifest)}, {built.digest}")
    click.echo(_advice(path, signing_key))


def _opened(key: Path, passphrase_file: Path | None) -> PrivateKey:
    from cloacina_build.signing_key import open_signing_key  # noqa: PLC0415 - loads cryptography

    def ask() -> str:
        text: str = click.prompt(f"Passphrase of {key}", hide_input=True, err=True)
        return text

    return open_signing_key(key, passphrase_file, ask if sys.stdin.isatty() else None)


def _title(manifest: Manifest) -> str:
    return f"{manifest.name} {manifest.version} (release {manifest.release})"


def _counted(manifest: Manifest) -> str:
    tasks = sum(len(workflow.tasks) for workflow in manifest.workflows)
    many = len(manifest.workflows)
    return f"{many} workflow{'s'[: many > 1]}, {tasks} task{'s'[: tasks > 1]}"


def _outline(workflow: WorkflowSpec) -> Iterator[str]:
    yield f"  {workflow.name}" + (f": {workflow.description}" if workflow.description else "")
    width = max(len(task.id) for task in workflow.tasks)
    for task in workflow.tasks:
        after = f"  after {', '.join(task.dependencies)}" if task.dependencies else ""
        yield f"    {task.id:<{width}}{after}".rstrip()


def _advice(path: Path, signing_key: PrivateKey | None) -> str:
    if signing_key is not None:
        verify = _command("cloacina-ctl", "verify", path)
        return f"It is signed by {signing_key.name}. Next: {verify}"
    sign = _command("cloacina-ctl", "sign", path, "--key", "NAME.key.json")
    return f"It is not signed. Next: {sign}"


def _command(*words: str | Path) -> str:
    return shlex.join(map(str, words))
