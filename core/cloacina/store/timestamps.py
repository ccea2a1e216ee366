"""UTC moments as microseconds since the epoch and as the text that the tables hold."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_text(at_us: int) -> str:
    """Return ``2026-11-20T19:30:00.000001Z`` for microseconds since the epoch."""
    return f"{(_EPOCH + timedelta(microseconds=at_us)).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def from_text(text: str) -> int:
    """Return microseconds since the epoch for text that ``to_text`` wrote."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)
