"""Who waits for what: the ends of executions, and the answers to questions."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from cloacina.errors import EngineError
from cloacina.planner.execution import ExecutionState


@dataclass(frozen=True, slots=True)
class _Answer:
    """What to tell somebody once the changes of an execution are committed."""

    execution_id: str
    future: Future[Any]
    value: object


class Waiters:
    """Futures that the kernel's thread will answer. Belongs to that thread."""

    def __init__(self) -> None:
        self._ends: dict[str, list[Future[ExecutionState]]] = {}
        self._answers: list[_Answer] = []

    @property
    def awaited(self) -> list[str]:
        """The executions whose end somebody waits for."""
        return list(self._ends)

    def expect_end(self, execution_id: str, ended: Future[ExecutionState]) -> None:
        """Tell ``ended`` when an execution has ended."""
        self._ends.setdefault(execution_id, []).append(ended)

    def answer_later(self, execution_id: str, future: Future[Any], value: object) -> None:
        """Answer ``value`` once what this turn changes of an execution is committed."""
        self._answers.append(_Answer(execution_id, future, value))

    def answer(self, gone: Mapping[str, EngineError]) -> None:
        """Answer what was asked in this turn; ``gone`` tells which executions were not written."""
        while self._answers:
            answer = self._answers.pop(0)
            error = gone.get(answer.execution_id)
            if error is None:
                _tell([answer.future], answer.value)
            else:
                refuse([answer.future], error)

    def tell_end(self, execution_id: str, execution: ExecutionState) -> None:
        """Tell everybody who waits for an execution that it ended."""
        _tell(self._ends.pop(execution_id, ()), execution)

    def refuse_end(self, execution_id: str, error: EngineError) -> None:
        """Tell everybody who waits for an execution why its end will not be known here."""
        refuse(self._ends.pop(execution_id, ()), error)

    def dismiss(self, error: EngineError) -> None:
        """Tell everybody that there will be no answer."""
        refuse([answer.future for answer in self._answers], error)
        for waiters in self._ends.values():
            refuse(waiters, error)
        self._ends.clear()


def refuse(waiters: Iterable[Future[Any]], error: EngineError) -> None:
    """Tell those who still wait that there will be no answer, and why."""
    for waiter in waiters:
        if not waiter.done() and waiter.set_running_or_notify_cancel():
            waiter.set_exception(error)


def _tell(waiters: Iterable[Future[Any]], value: object) -> None:
    for waiter in waiters:
        if waiter.set_running_or_notify_cancel():  # whoever waited may have gone
            waiter.set_result(value)
