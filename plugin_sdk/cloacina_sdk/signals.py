"""Exceptions by which a task's body says what should happen after this attempt."""

from __future__ import annotations

from datetime import timedelta

from cloacina_sdk.duration import to_milliseconds
from cloacina_sdk.errors import CloacinaError


class Retry(CloacinaError):  # noqa: N818 - raised as a request, as elsewhere in the field
    """Run the task again, whatever its retry conditions say, as long as attempts are left.

    Args:
        message: why; it becomes the failure's message.
        after: how long to wait, as a timedelta, seconds, or text such as "5s"; by default what
            the retry policy says.

    Raises:
        InvalidDurationError: if `after` is no duration.
    """

    def __init__(
        self,
        message: str = "the task asked for another attempt",
        *,
        after: timedelta | float | str | None = None,
    ) -> None:
        self.after_ms = None if after is None else to_milliseconds(after)
        super().__init__(message)


class Fatal(CloacinaError):  # noqa: N818 - raised as a verdict, as elsewhere in the field
    """Fail the task now, whatever its retry policy says."""
