"""What is said of attempts that did not end when they should have."""

from typing import Final

from cloacina.planner.queue.pools import Pool
from cloacina_sdk.outcome import TaskFailure

_LIKE_TIMEOUT: Final = ("TimeoutError", "OSError", "Exception", "BaseException")
"""What a retry condition of exception classes finds: as if the body had raised that."""


def timed_out(
    pool: Pool, limit_us: int, *, has_ended: bool = False, grace_us: int | None = None
) -> TaskFailure:
    """Return the failure of an attempt that took as long as it may.

    Args:
        pool: where it runs.
        limit_us: how long it might take.
        has_ended: whether it ended when it was asked to.
        grace_us: how long it was waited for after it was asked to end, if it was.
    """
    grace = "" if grace_us is None else f", nor {grace_us / 1_000_000:g} s after it was asked to"
    fate = ", and ended when it was asked to" if has_ended else f"{grace}{_fate(pool)}"
    return _failure(
        "TaskTimeout",
        f"the attempt did not end within {limit_us / 1_000_000:g} s{fate}",
        is_transient=True,
        error_types=_LIKE_TIMEOUT,
    )


def given_up(pool: Pool, grace_us: int) -> TaskFailure:
    """Return the failure of an attempt that was asked to end and did not."""
    return _failure(
        "AttemptKilled" if pool.can_kill else "AttemptLeaked",
        f"it did not end within {grace_us / 1_000_000:g} s of being cancelled{_fate(pool)}",
        is_transient=False,
    )


def _fate(pool: Pool) -> str:
    if pool.can_kill:
        return ", and was killed"
    return (
        "; it cannot be killed where it runs, and goes on: it keeps its slot until it ends, and "
        "what it returns is discarded"
    )


def _failure(
    error_type: str, message: str, *, is_transient: bool, error_types: tuple[str, ...] = ()
) -> TaskFailure:
    return TaskFailure(
        error_type=error_type,
        message=message,
        traceback="",
        is_transient=is_transient,
        error_types=error_types,
    )
