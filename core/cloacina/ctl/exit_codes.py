"""The exit codes of the command line; those of refused packages are with their reasons."""

from typing import Final

USAGE: Final = 2
"""Also for what was named and is not there, and for input that is not valid."""

FORMAT: Final = 3
UNTRUSTED: Final = 5
INTERRUPTED: Final = 130
