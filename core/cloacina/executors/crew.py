"""Threads that take work in turn, made when all others are busy, up to a limit.

A thread whose body is parked does not count: another one may be made in its place. When too many
count again, the first that has nothing to do goes.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from cloacina_sdk.asking import Ask, Park, Reply, Unpark

W = TypeVar("W")


class Crew(Generic[W]):
    """The threads. Safe to use from any thread."""

    def __init__(self, name: str, size: int, labour: Callable[[Iterator[W]], None]) -> None:
        """Make at most ``size`` threads that count; each calls ``labour`` with what it takes."""
        self._name = name
        self._size = size
        self._labour = labour
        self._changed = threading.Condition()
        self._queue: deque[W] = deque()
        self._threads: set[threading.Thread] = set()
        self._parked: set[threading.Thread] = set()
        self._leaving: set[threading.Thread] = set()
        self._ended: list[threading.Thread] = []
        self._idle = 0
        self._made = 0
        self._is_closing = False

    def put(self, work: W) -> None:
        """Have a thread take this as soon as one is free."""
        with self._changed:
            self._queue.append(work)
            self._grow()
            self._changed.notify()

    def park(self, thread: threading.Thread) -> None:
        """Do not count a thread, which is one of these, until ``unpark`` or its next work."""
        with self._changed:
            self._parked.add(thread)
            self._grow()

    def unpark(self, thread: threading.Thread) -> None:
        """Count a thread again."""
        with self._changed:
            self._parked.discard(thread)
            self._changed.notify_all()

    def close(self) -> None:
        """Let threads end when they have taken everything that waits."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def join(self, timeout_s: float, *, parked: bool) -> None:
        """Wait for threads to end, at most so long; for those that are parked only if told so."""
        deadline_s = time.monotonic() + timeout_s
        while (awaited := self._awaited(parked=parked)) and time.monotonic() <= deadline_s:
            awaited[0].join(max(0.0, deadline_s - time.monotonic()))

    def _awaited(self, *, parked: bool) -> list[threading.Thread]:
        with self._changed:
            threads = [*self._ended, *self._threads]
            left_out = set() if parked else set(self._parked)
        left_out.add(threading.current_thread())  # a body may close its own runner
        return [each for each in threads if each not in left_out and each.is_alive()]

    def _grow(self) -> None:
        """Make a thread if one is wanted; the lock is held."""
        if len(self._queue) > self._idle and self._count < self._size:
            self._made += 1
            thread = threading.Thread(
                target=self._work, name=f"{self._name}-{self._made}", daemon=True
            )
            self._threads.add(thread)
            thread.start()

    @property
    def _count(self) -> int:
        return len(self._threads) - len(self._parked | self._leaving)

    def _work(self) -> None:
        thread = threading.current_thread()
        try:
            self._labour(self._taken(thread))
        finally:
            with self._changed:
                for among in (self._threads, self._parked, self._leaving):
                    among.discard(thread)
                self._ended = [each for each in self._ended if each.is_alive()] + [thread]
                self._grow()

    def _taken(self, thread: threading.Thread) -> Iterator[W]:
        while True:
            with self._changed:
                self._parked.discard(thread)
                self._idle += 1
                while not (self._queue or self._is_closing or self._count > self._size):
                    self._changed.wait()
                self._idle -= 1
                if self._count > self._size or not self._queue:
                    self._leaving.add(thread)
                    return
                work = self._queue.popleft()
            yield work


class Stand:
    """The place of one attempt in a crew: others may have it while the body is parked."""

    def __init__(self, crew: Crew[Any]) -> None:
        """Stand wherever the attempt runs."""
        self._crew = crew
        self._lock = threading.Lock()
        self._is_left = False

    def following(self, ask: Ask, answer: Callable[[Reply], None]) -> Callable[[Reply], None]:
        """Return what takes the engine's answer to what this thread's body asks.

        It takes the first one, and passes that on to ``answer``.
        """
        thread = threading.current_thread()
        waiting = [answer]

        def follow(reply: Reply) -> None:
            with self._lock:
                if self._is_left or not waiting:
                    return
                tell = waiting.pop()
                if reply is Reply.DONE and isinstance(ask, Park):
                    self._crew.park(thread)
                elif reply is Reply.DONE and isinstance(ask, Unpark):
                    self._crew.unpark(thread)
            tell(reply)

        return follow

    def leave(self) -> None:
        """Take no more answers: the attempt has ended."""
        with self._lock:
            self._is_left = True
