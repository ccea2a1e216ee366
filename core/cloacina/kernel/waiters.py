"""Who waits for what: the ends of executions, and the answers to questions."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from cloacina.errors import EngineError
from cloacina.planner.events import Verdict
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
        self._commands: dict[str, Future[Verdict]] = {}

    @property
    def awaited(self) -> list[str]:
        """The executions whose end somebody waits for."""
        return list(self._ends)

    @property
    def open_commands(self) -> list[str]:
        """The commands, left to other runners, whose answer somebody waits for."""
        for command_id in [each for each, future in self._commands.items() if future.done()]:
            del self._commands[command_id]  # whoever asked has gone
        return list(self._commands)

    def expect_answer(self, command_id: str, answered: Future[Verdict]) -> None:
        """Tell ``answered`` when a command was answered by the runner that it is left to."""
        self._commands[command_id] = answered

    def tell_answer(self, command_id: str, verdict: Verdict) -> None:
        """Tell whoever left a command what became of it."""
        tell([self._commands.pop(command_id)], verdict)

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
                tell([answer.future], answer.value)
            else:
                refuse([answer.future], error)

    def refuse_answers(self, execution_id: str, error: EngineError) -> None:
        """Say at once that what was asked of an execution in this turn will not be written."""
        mine = [answer for answer in self._answers if answer.execution_id == execution_id]
        self._answers = [each for each in self._answers if each.execution_id != execution_id]
        refuse([answer.future for answer in mine], error)

    def tell_end(self, execution_id: str, execution: ExecutionState) -> None:
        """Tell everybody who waits for an execution that it ended."""
        tell(self._ends.pop(execution_id, ()), execution)

    def refuse_end(self, execution_id: str, error: EngineError) -> None:
        """Tell everybody who waits for an execution why its end will not be known here."""
        refuse(self._ends.pop(execution_id, ()), error)

    def dismiss(self, error: EngineError) -> None:
        """Tell everybody that there will be no answer."""
        refuse([answer.future for answer in self._answers], error)
        refuse(self._commands.values(), error)
        self._commands.clear()
        for waiters in self._ends.values():
            refuse(waiters, error)
        self._ends.clear()


def refuse(waiters: Iterable[Future[Any]], error: EngineError) -> None:
    """Tell those who still wait that there will be no answer, and why."""
    for waiter in waiters:
        if not waiter.done() and waiter.set_running_or_notify_cancel():
            waiter.set_exception(error)


def tell(waiters: Iterable[Future[Any]], value: object) -> None:
    """Answer those who still wait."""
    for waiter in waiters:
        if waiter.set_running_or_notify_cancel():  # whoever waited may have gone
            waiter.set_result(value)
