"""The beginning of a worker: decide what can be imported, then serve the host.

Arguments: the descriptors of the socket and of the lifeline, how large frames may be, the
package's directory, and `name=directory` for each top-level module that comes from the host's installation.

* Those names come first, so that no package can stand in for them; the package's directory
  comes last, after the standard library. There is nothing else.
* Nothing but the standard library can be imported before the finder is installed.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder

TYPE_CHECKING = False  # importing typing for this one name would cost milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


VARIABLE = "CLOACINA_WORKER_RUNTIME"


class RuntimeFinder:
    """Find a few top-level modules, each in the directory where the host has it."""

    def __init__(self, homes: dict[str, str]) -> None:
        self._homes = homes

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return where a module is; None leaves it to the finders that follow."""
        home = self._homes.get(fullname)
        return None if home is None else PathFinder.find_spec(fullname, [home], target)


def serve_imports(homes: list[str]) -> None:
    """Install the finder, here and in every process that `multiprocessing` starts from here."""
    sys.meta_path.insert(0, RuntimeFinder(dict(home.split("=", 1) for home in homes)))
    os.environ[VARIABLE] = "\n".join(homes)


def main(arguments: list[str]) -> None:
    """Serve until the host closes the socket; never returns."""
    channel, lifeline, max_frame_bytes, package, *homes = arguments
    serve_imports(homes)
    sys.path.append(package)
    sys.argv[:] = ["cloacina-worker"]

    from cloacina_native.worker.session import serve  # noqa: PLC0415 - found from here on only

    serve(int(channel), int(lifeline), int(max_frame_bytes))


if __name__ == "__main__":
    main(sys.argv[1:])
elif __name__ == "__mp_main__":  # `multiprocessing` copies sys.path, but not finders
    serve_imports(os.environ[VARIABLE].split("\n"))
