"""The command `cloacina-build`, also `python -m cloacina_build`."""

from __future__ import annotations

import click

from cloacina_build.commands import check, new, package


@click.group(
    epilog="Exit codes: 0 done; 2 the command cannot be carried out as it was given; "
    "3 the project cannot become a package."
)
@click.version_option(package_name="cloacina-build", prog_name="cloacina-build")
def main() -> None:
    """Make, check and build the projects that Cloacina packages come from."""


main.add_command(new)
main.add_command(check)
main.add_command(package)

if __name__ == "__main__":
    main()
