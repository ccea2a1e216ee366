"""Run the command line: ``cloacina-ctl``, or ``python -m cloacina.ctl``."""

from cloacina.ctl.cli import cli


def main() -> None:
    """Run the command that ``sys.argv`` names and exit with its code."""
    cli(prog_name="cloacina-ctl")


if __name__ == "__main__":
    main()
