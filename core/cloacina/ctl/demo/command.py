"""``cloacina-ctl demo``: the guided main job, in a place of its own."""

import tempfile
import time
from pathlib import Path

import click

from cloacina.ctl.build_tool import require_build_tool
from cloacina.ctl.demo.plot import SAMPLES, Plot
from cloacina.ctl.demo.stage import Stage
from cloacina.ctl.exit_codes import USAGE
from cloacina.ctl.failure import Failure

_SHIPPED = Path(__file__).with_name("samples")
_IN_A_CHECKOUT = Path(__file__).parents[4] / "sample_plugins"


@click.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Leave everything in a new directory instead of removing it.",
)
@click.option(
    "--samples",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The directory with the sample projects.  [default: those installed with cloacina]",
)
def demo(*, keep: Path | None, samples: Path | None) -> None:
    """Build, sign, inspect, verify, run, kill and resume two sample packages.

    Every step is a command that you could type, run as you would run it, in a home directory
    made for the demo; nothing is written elsewhere.
    """
    require_build_tool("the demo")
    found = _samples(samples or (_SHIPPED if _SHIPPED.is_dir() else _IN_A_CHECKOUT))
    began_at_s = time.monotonic()
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="cloacina-demo-") as directory:
            _play(Path(directory), found)
    else:
        if keep.exists():
            raise Failure(f"{keep} exists already; name a new directory", exit_code=USAGE)
        keep.mkdir(parents=True)
        _play(keep.resolve(), found)
        click.echo(f"Everything is in {keep}.")
    click.echo(f"\nThat was all, in {time.monotonic() - began_at_s:.1f} s.")


def _play(directory: Path, samples: Path) -> None:
    stage = Stage(directory)
    stage.prepare()
    Plot(stage, samples).play()


def _samples(directory: Path) -> Path:
    missing = [name for name in SAMPLES if not (directory / name / "pyproject.toml").exists()]
    if missing:
        raise Failure(
            f"the sample project {missing[0]!r} is not in {directory}",
            steps=["Name the directory that has it: cloacina-ctl demo --samples DIR"],
            exit_code=USAGE,
        )
    return directory.resolve()
