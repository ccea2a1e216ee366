"""What all tests share: how hypothesis searches, and loggers that no test leaves changed.

The same examples on every run, so that a red test is red for everybody; no limits of time, because
machines differ (the first text that is drawn anywhere costs seconds for tables of characters).
"""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """Undo what the command line, run inside a test, does to the loggers of its process."""
    loggers = [logging.getLogger(name) for name in ("cloacina", "cloacina_native", "cloacina.task")]
    before = [(each, each.level, each.propagate, list(each.handlers)) for each in loggers]
    yield
    for logger, level, propagates, handlers in before:
        logger.setLevel(level)
        logger.propagate = propagates
        logger.handlers[:] = handlers
