"""Write results: JSON that is safe on a terminal, and whether this is one."""

import json
import os
from typing import IO, Any

import click


def write_json(document: object) -> None:
    """Write one JSON value to stdout, in pure ASCII."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False))


def is_rich(stream: IO[Any]) -> bool:
    """Tell whether a stream can show more than lines of text."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"
