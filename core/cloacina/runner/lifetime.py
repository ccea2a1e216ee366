"""How long a runner has its engine: in the process that made it, until it is shut down.

A runner that is forgotten lives on; when the process ends, it is shut down then.
"""

import atexit
import os
import threading

from cloacina.errors import ForkedRunnerError, RunnerClosedError
from cloacina.runner.engine import Engine

_OPEN: "set[Lifetime]" = set()


class Lifetime:
    """An engine until its end. Safe to use from several threads."""

    def __init__(self, engine: Engine, shutdown_timeout_s: float) -> None:
        """Begin; ``end`` waits at most ``shutdown_timeout_s`` for attempts that run."""
        self._engine: Engine | None = engine
        self._shutdown_timeout_s = shutdown_timeout_s
        self._process_id = os.getpid()
        self._lock = threading.Lock()
        _OPEN.add(self)

    @property
    def is_over(self) -> bool:
        """Whether it was ended."""
        return self._engine is None

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            RunnerClosedError: after the end.
            ForkedRunnerError: in a child made by ``fork``.
        """
        if os.getpid() != self._process_id:
            raise ForkedRunnerError(self._process_id)
        engine = self._engine
        if engine is None:
            raise RunnerClosedError
        return engine

    def end(self, timeout_s: float | None = None) -> None:
        """Close the engine, once, and in its own process only.

        Waits for attempts that run at most ``timeout_s``, or as long as was said at the beginning.
        """
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None and os.getpid() == self._process_id:
            _OPEN.discard(self)
            engine.bulletin.changed()  # whoever follows finds the runner closed
            engine.close(self._shutdown_timeout_s if timeout_s is None else timeout_s)


def _end_all() -> None:
    for lifetime in list(_OPEN):
        lifetime.end()


atexit.register(_end_all)
