"""Call the conditions that tasks wait for, each on a thread of its own.

Rules it upholds:

* a condition that hangs holds up those who wait for it, and nobody else;
* whoever asks is answered by a call that began after that; those who ask while a call lasts share
  the next one;
* one that is not registered is called as soon as it is.
"""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from cloacina.kernel.bodies import FindFunction
from cloacina.log import Logger
from cloacina.planner.effects import CallCondition
from cloacina.planner.events import ConditionTold
from cloacina_sdk.outcome import TaskFailure, failure_of
from cloacina_sdk.verdict import judge

_LOG = Logger("cloacina")

_TIDY_AT: Final = 64

Answer: TypeAlias = bool | BaseException
Condition: TypeAlias = Callable[[], object | Awaitable[object]]


class Conditions:
    """The conditions of one runner, by name. Safe to use from any thread."""

    def __init__(self, find_function: FindFunction) -> None:
        """Find the bodies whose retry predicates judge an error by ``find_function``."""
        self.send: Callable[[ConditionTold], None]
        self._find_function = find_function
        self._lock = threading.Lock()
        self._registered: dict[str, Condition] = {}
        self._asked: dict[str, list[CallCondition]] = {}
        """By name: who waits for the next call."""
        self._lasting: dict[str, list[CallCondition]] = {}
        """By name: who waits for the call that lasts."""
        self._tidy_at = _TIDY_AT

    @property
    def names(self) -> frozenset[str]:
        """The names of what is registered."""
        with self._lock:
            return frozenset(self._registered)

    def register(self, name: str, condition: Condition) -> None:
        """Know a condition from now on, in place of what had its name before."""
        with self._lock:
            self._registered[name] = condition
            # a call of the one before may hang
            waiting = [*self._asked.pop(name, ()), *self._lasting.pop(name, ())]
            if waiting:
                self._begin(name, waiting)

    def call(self, asked: CallCondition) -> None:
        """Have a condition called, and what it says sent to whoever takes it."""
        with self._lock:
            if asked.name in self._lasting or asked.name not in self._registered:
                waiting = self._asked.setdefault(asked.name, [])
                waiting.append(asked)
                if len(waiting) >= self._tidy_at:  # else those that were cancelled would pile up
                    waiting[:] = [each for each in waiting if _is_waited_for(each)]
                    self._tidy_at = max(_TIDY_AT, 2 * len(waiting))
            else:
                self._begin(asked.name, [asked])

    def _begin(self, name: str, asked: list[CallCondition]) -> None:
        """Call a condition on a thread; the lock is held."""
        self._lasting[name] = asked
        arguments = name, self._registered[name], asked
        try:
            threading.Thread(
                target=self._run, args=arguments, name="cloacina-condition", daemon=True
            ).start()
        except RuntimeError as error:  # there are too many threads, or the process ends
            _LOG.error("condition %r could not be called: %s", name, error)
            del self._lasting[name]
            for each in asked:  # the next interval tries again
                self.send(_told(each, False, self._find_function))  # noqa: FBT003 - what it says

    def _run(self, name: str, condition: Condition, asked: list[CallCondition]) -> None:
        while asked:
            answer: Answer
            try:
                answer = bool(_value_of(condition))
            except BaseException as error:  # noqa: BLE001 - a user's condition may raise anything
                _LOG.info("condition %r raised a %s", name, type(error).__name__)
                answer = error
            for each in asked:
                self.send(_told(each, answer, self._find_function))
            asked = self._next(name, asked)

    def _next(self, name: str, answered: list[CallCondition]) -> list[CallCondition]:
        """Return who waits for the next call; nobody, if another thread has taken over."""
        with self._lock:
            if self._lasting.get(name) is not answered:
                return []
            waiting = self._asked.pop(name, [])
            if waiting:
                self._lasting[name] = waiting
            else:
                del self._lasting[name]
            return waiting


def _is_waited_for(asked: CallCondition) -> bool:
    task = asked.execution.waiting.get(asked.task_number)
    return task is not None and task.is_polled and task.attempt == asked.attempt


def _value_of(condition: Condition) -> object:
    value: Any = condition()
    if inspect.iscoroutine(value):
        return asyncio.run(value)
    return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(value: Awaitable[object]) -> object:
    return await value


def _told(asked: CallCondition, answer: Answer, find_function: FindFunction) -> ConditionTold:
    return ConditionTold(
        execution_id=asked.execution.id,
        task_number=asked.task_number,
        attempt=asked.attempt,
        answer=_failure(asked, answer, find_function)
        if isinstance(answer, BaseException)
        else answer,
    )


def _failure(
    asked: CallCondition, error: BaseException, find_function: FindFunction
) -> TaskFailure:
    """Return the failure of a task's attempt, as if its body had raised what a condition did."""
    if isinstance(error, Exception):
        with suppress(LookupError):
            task = asked.execution.spec(asked.task_number).id
            body = find_function(asked.execution.identity, task)
            if body is not None:
                judge(body, error)
    return failure_of(error)
