"""Remove what ended long ago, now and then, from a thread that takes what time the others leave."""

import os
import sys
import threading
import time
from typing import Final

from cloacina.errors import EngineError
from cloacina.kernel.clock import Clock
from cloacina.log import Logger
from cloacina.store.contract import Database
from cloacina.store.retention import prune

_LOG = Logger("cloacina")
_SHORTEST_S: Final = 1.0
_LONGEST_S: Final = 3600.0
_NICE: Final = 10


class Pruner:
    """The thread of one runner, from construction until ``close``.

    The age of what ended is told by a clock that only runs: one that is set forward while the
    runner lives makes nothing older.
    """

    def __init__(self, database: Database, age_s: float, clock: Clock) -> None:
        """Begin to remove what ended more than ``age_s`` ago."""
        self._database = database
        self._age_us = int(age_s * 1_000_000)
        self._every_s = min(max(age_s / 10, _SHORTEST_S), _LONGEST_S)
        self._clock = clock
        self._began = clock.now()
        self._closing = threading.Event()
        self._last_s = 0.0
        self._thread = threading.Thread(target=self._run, name="cloacina-pruner", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after the transaction that runs."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        if sys.platform == "linux":  # where a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._closing.is_set():
            self._last_s = time.monotonic()
            try:
                removed = prune(self._database, self._before_us(), goes_on=self._goes_on)
            except EngineError as error:
                _LOG.warning("%s; nothing more is removed until the next try", error)
            else:
                if removed:
                    _LOG.info("removed %d executions that ended long ago", removed)
            self._closing.wait(self._every_s)

    def _before_us(self) -> int:
        now, began = self._clock.now(), self._began
        steady_us = began.utc_us + now.monotonic_us - began.monotonic_us
        return min(now.utc_us, steady_us) - self._age_us

    def _goes_on(self) -> bool:
        """Leave the database to others for as long as the last transaction took."""
        took_s = time.monotonic() - self._last_s
        is_closing = self._closing.wait(min(took_s, _SHORTEST_S))
        self._last_s = time.monotonic()
        return not is_closing
