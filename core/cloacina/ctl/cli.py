"""The top of the command line: global options, the list of commands, how errors end.

Nothing that is slow to import may be imported here: ``--help`` must be quick.
"""

import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cloacina.ctl.contributed import contributed_commands
from cloacina.ctl.exit_codes import INTERRUPTED
from cloacina.ctl.lazy_group import CommandReference, LazyGroup
from cloacina.ctl.settings import Settings

_BUILT_IN = {
    "config": CommandReference(
        "cloacina.ctl.config:config", "Show the settings and where each is from."
    ),
    "db": CommandReference("cloacina.ctl.db:db", "Look after the database."),
    "demo": CommandReference(
        "cloacina.ctl.demo.command:demo", "Build, sign, run, kill and resume two sample packages."
    ),
    "execution": CommandReference(
        "cloacina.ctl.execution.group:execution", "Look at what ran and what runs, and control it."
    ),
    "inspect": CommandReference(
        "cloacina.ctl.inspect:inspect", "Show what a package says of itself, running none of it."
    ),
    "key": CommandReference("cloacina.ctl.key:key", "Make keys to sign packages with."),
    "run": CommandReference(
        "cloacina.ctl.run:run", "Run a workflow of a package file or of a project directory."
    ),
    "sign": CommandReference("cloacina.ctl.sign:sign", "Sign a package."),
    "tenant": CommandReference(
        "cloacina.ctl.tenant:tenant", "Give tenants schemas and roles of their own (PostgreSQL)."
    ),
    "trust": CommandReference("cloacina.ctl.trust:trust", "Say whose packages may run here."),
    "verify": CommandReference(
        "cloacina.ctl.verify:verify", "Check packages in every respect, with every reason."
    ),
}

_EPILOG = """\b
Exit codes:
    0  success
    1  a run failed, or something unexpected happened
    2  wrong usage: also a name that does not exist, text that is not JSON, a wrong passphrase
    3  not a well-formed package
    4  a signature is missing or not valid
    5  not trusted here
    8  expired
    9  not for this platform, Python or host
  130  interrupted
"""


class CommandLine(LazyGroup):
    """The group on top; it alone turns errors into sentences and exit codes."""

    def __init__(self, **attributes: Any) -> None:
        """Offer what is built in; ``attributes`` are those of ``click.Group``."""
        super().__init__(references=_BUILT_IN, **attributes)

    def references(self) -> Mapping[str, CommandReference]:
        """Return what is built in and what other distributions contribute."""
        return {**dict(contributed_commands()), **_BUILT_IN}

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(INTERRUPTED)
        except Exception as error:
            from cloacina.ctl.failure import translated  # noqa: PLC0415 - only a failure needs it

            if ctx.params.get("is_debugging"):
                traceback.print_exc(file=sys.stderr)
            raise translated(error) from error


@click.group(
    cls=CommandLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.option(
    "--home",
    "home_option",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where keys, trust, packages and the database are kept.  "
    "[default: $CLOACINA_HOME or ~/.cloacina]",
)
@click.option(
    "--config",
    "config_option",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="CLOACINA_CONFIG",
    show_envvar=True,
    help="A TOML file of settings.  [default: config.toml in --home, if there is one]",
)
@click.option(
    "--set",
    "assignments",
    metavar="NAME=VALUE",
    multiple=True,
    help="A setting of runners; 'config show' lists them. Can be given several times.",
)
@click.option("--debug", "is_debugging", is_flag=True, help="Show tracebacks and debug logs.")
@click.version_option(package_name="cloacina", prog_name="cloacina-ctl")
@click.pass_context
def cli(
    ctx: click.Context,
    home_option: Path | None,
    config_option: Path | None,
    assignments: tuple[str, ...],
    *,
    is_debugging: bool,
) -> None:
    """Build, sign, check and run packages of durable workflows."""
    ctx.obj = Settings(
        home_option=home_option,
        is_debugging=is_debugging,
        config_option=config_option,
        assignments=assignments,
    )
