"""The facts about this host that packages must be compatible with."""

import platform
from functools import cache
from importlib.metadata import version

from packaging.tags import sys_tags

from cloacina.packages.compatibility import HostFacts


@cache
def this_host() -> HostFacts:
    """Return the facts about the running interpreter and platform."""
    return HostFacts(
        host_version=version("cloacina"),
        python_version=platform.python_version(),
        tags=tuple(sys_tags()),
    )
