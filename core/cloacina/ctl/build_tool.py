"""The build tool: a distribution of its own, which need not be installed."""

from importlib.util import find_spec

from cloacina.ctl.exit_codes import USAGE
from cloacina.ctl.failure import Failure


def require_build_tool(what_for: str) -> None:
    """Do nothing if the build tool is installed.

    Raises:
        Failure: saying how to install it.
    """
    if find_spec("cloacina_build") is None:
        raise Failure(
            f"{what_for} takes the build tool, which is not installed; install it:",
            steps=["python -m pip install 'cloacina[build]'"],
            exit_code=USAGE,
        )
