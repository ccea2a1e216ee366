"""The kernel's clocks and randomness, in one place so that a simulation can replace them."""

import os
import random
import time

from cloacina.planner.events import Now


class Clock:
    """The machine's clocks."""

    def now(self) -> Now:
        """Read both clocks."""
        return Now(time.time_ns() // 1000, time.monotonic_ns() // 1000)

    def pause(self, seconds: float) -> None:
        """Wait before a failed write is tried again."""
        time.sleep(seconds)


def new_token() -> str:
    """Return 128 random bits in hex."""
    return os.urandom(16).hex()


def jitter() -> float:
    """Draw from [0, 1)."""
    return random.random()  # noqa: S311 - spreads retries, guards nothing


def new_execution_id(utc_us: int) -> str:
    """Return a UUIDv7 (RFC 9562): ordered by time, 62 random bits."""
    value = (utc_us // 1000) << 80 | 0x7 << 76 | 0b10 << 62
    # the 12 bits after the version hold the fraction of the millisecond, which keeps the order
    value |= ((utc_us % 1000) * 4096 // 1000) << 64
    value |= int.from_bytes(os.urandom(8)) & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
