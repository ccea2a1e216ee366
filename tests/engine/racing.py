"""Processes that begin to do something at the same moment."""

import subprocess
import sys
from collections.abc import Sequence

DEADLINE_S = 120


def race(script: str, *arguments: str, count: int) -> Sequence[tuple[str, str]]:
    """Run a script in several processes; return what each wrote to its two streams after that.

    The script gets ready, prints ``ready``, reads a line, and then does what they race for.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate(timeout=DEADLINE_S) for process in processes]
