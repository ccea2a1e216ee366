"""Wait for what another thread or process does, with a deadline."""

import time
from collections.abc import Callable

DEADLINE_S = 30.0


def eventually(holds: Callable[[], object]) -> None:
    """Ask again and again until the answer is yes; what is waited for rings no bell of the test's."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)
