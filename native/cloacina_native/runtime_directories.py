"""Where this interpreter has the modules that a worker may import beside its package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from cloacina_native.errors import RuntimeMissingError

NAMES = ("cloacina_sdk", "cloacina_native", "_cffi_backend", "cffi", "pycparser")


def runtime_directories() -> dict[str, Path]:
    """Return the directory that holds each module which workers are served from the host.

    Raises:
        RuntimeMissingError: for the first one that is not installed.
    """
    return {name: _home_of(name) for name in NAMES}


def _home_of(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeMissingError(name)
    own = Path(spec.origin).resolve().parent
    return own if spec.submodule_search_locations is None else own.parent
