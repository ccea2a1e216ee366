"""What the bodies of running attempts asked for, until they are answered.

Rules it upholds:

* every ask is answered once: when what it asks for is durable, or as soon as it is known that its
  attempt is not the one that runs any more;
* a parked body whose attempt is lost is asked to end: nobody else would ever tell it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cloacina.planner.effects import AnswerAsk
from cloacina.planner.events import AttemptAsked
from cloacina_sdk.executor import Ask, Park, Reply, Unpark

Answer = Callable[[Reply], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An attempt asks for something, and who takes the answer."""

    execution_id: str
    task_number: int
    token: str
    ask: Ask
    answer: Answer


class Running(Protocol):
    """Whoever knows which attempts are recorded as running here."""

    def is_running(self, execution_id: str, task_number: int, token: str) -> bool:
        """Whether an attempt is."""
        ...


class Asks:
    """The asks of one runner. Belongs to the kernel's thread."""

    def __init__(self) -> None:
        """Begin without any."""
        self._count = 0
        self._open: dict[int, Asked] = {}
        self._parked: dict[str, Asked] = {}
        """By token: bodies that wait where they are, since they were told that they are parked."""

    def take(self, asked: Asked) -> AttemptAsked:
        """Remember who is to be answered; return what the planner is told."""
        self._count += 1
        self._open[self._count] = asked
        return AttemptAsked(
            execution_id=asked.execution_id,
            task_number=asked.task_number,
            token=asked.token,
            ask=asked.ask,
            number=self._count,
        )

    def answer(self, effect: AnswerAsk) -> None:
        """Answer an ask, as what it asks for is durable."""
        asked = self._open.pop(effect.number, None)
        if asked is None:
            return
        if isinstance(asked.ask, Park):
            self._parked[asked.token] = asked
        elif isinstance(asked.ask, Unpark):
            self._parked.pop(asked.token, None)
        asked.answer(effect.reply)

    def end(self, token: str) -> None:
        """Forget an attempt whose body has ended."""
        self._parked.pop(token, None)
        self._lose([n for n, asked in self._open.items() if asked.token == token])

    def sweep(self, running: Running, cancel: Callable[[str], None]) -> None:
        """Tell those whose attempts are not running any more that they are lost."""
        if self._open:
            self._lose([n for n, asked in self._open.items() if not _runs(asked, running)])
        for token in [t for t, asked in self._parked.items() if not _runs(asked, running)]:
            del self._parked[token]
            cancel(token)

    def dismiss(self, cancel: Callable[[str], None]) -> None:
        """Tell everybody that nothing counts any more."""
        self._lose(list(self._open))
        for token in self._parked:
            cancel(token)
        self._parked.clear()

    def _lose(self, numbers: list[int]) -> None:
        for number in numbers:
            self._open.pop(number).answer(Reply.LOST)


def _runs(asked: Asked, running: Running) -> bool:
    return running.is_running(asked.execution_id, asked.task_number, asked.token)
