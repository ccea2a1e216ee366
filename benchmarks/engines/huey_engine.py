"""huey on SQLite, with consumer threads in this process.

A task queue: a result is removed when it is read, and a task that runs when the process dies is
lost. The consumer polls every 1 to 10 ms instead of every 100 ms to 10 s.
"""

import logging
import time
from pathlib import Path
from typing import Any

from huey import SqliteHuey
from huey.api import group
from huey.consumer import Consumer
from workloads import FAN, PAYLOAD, Engine, Kind

_WORKERS = 16
_LOOK_EVERY_S = 0.001


class _Huey(Engine):
    durability = "WAL, synchronous=FULL; a crash loses what runs"

    def __init__(self, directory: Path) -> None:
        logging.getLogger("huey").setLevel(logging.ERROR)
        self._huey = SqliteHuey(filename=str(directory / "h.db"), timeout=30)

        @self._huey.task()
        def copy(*given: Any, **splatted: Any) -> Any:
            return dict(given[0] if given else splatted)  # a dict result arrives as keywords

        @self._huey.task()
        def join(results: Any) -> Any:
            return dict(results[-1])

        self._copy, self._join = copy, join
        self._consumer = Consumer(
            self._huey, workers=_WORKERS, periodic=False, initial_delay=0.001, max_delay=0.01
        )
        self._consumer.start()

    def run(self, kind: Kind) -> None:
        copy = self._copy
        match kind:
            case "single":
                last = copy(PAYLOAD)
            case "chain":
                last = list(self._huey.enqueue(copy.s(PAYLOAD).then(copy).then(copy)))[-1]
            case "fan":
                head = self._result(copy(PAYLOAD))
                members = group([copy.s(head) for _ in range(FAN)])
                last = self._huey.enqueue(members.then(self._join.s())).callback
        assert self._result(last) == PAYLOAD

    def run_at_once(self, kind: Kind, count: int) -> None:
        assert kind == "single"
        results = [self._copy(PAYLOAD) for _ in range(count)]
        assert all(self._result(each) == PAYLOAD for each in results)

    @staticmethod
    def _result(handle: Any) -> Any:
        while (value := handle.get()) is None:
            time.sleep(_LOOK_EVERY_S)
        return value


def open_engine(directory: Path, _url: str | None, _variant: str) -> Engine:
    """Start a consumer on a new file."""
    return _Huey(directory)
