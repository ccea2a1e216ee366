"""Build a Python project into a Cloacina package, from the command line or by `build_package`.

Names are loaded when they are first used, so importing the package costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing for this one name would cost milliseconds
if TYPE_CHECKING:
    from cloacina_build.errors import BuildError
    from cloacina_build.package import BuiltPackage, build_package

__all__ = ["BuildError", "BuiltPackage", "build_package"]

_HOMES = {"BuildError": "errors", "BuiltPackage": "package", "build_package": "package"}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - the package itself imports nothing

    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
