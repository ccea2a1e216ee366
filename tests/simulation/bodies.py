"""The bodies that simulated executors run, kept as the only witness of what really happened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from cloacina_sdk.changes import Changes
from cloacina_sdk.mapped import Element
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.spec import TaskSpec
from cloacina_sdk.waiting import Memory, Wait
from simulation.scenario import Nature
from simulation.scripts import SECOND, Script, wait_at


@dataclass(slots=True, kw_only=True)
class Body:
    """One run of a task's body."""

    execution_id: str
    task_number: int
    attempt: int
    runner_id: str
    texts: Mapping[str, str]
    element: Element | None
    duration_us: int
    result: Changes | TaskFailure | Wait
    is_deadly: bool
    obedience: float
    """Below 0.4 it never yields, from 0.7 on when it is asked, in between when it is killed."""
    does_checkpoint: bool = False
    parks_for_us: int | None = None
    may_lack_slot: bool = False
    """Whether it asked to be parked, and was not given a slot again."""
    report: Callable[[], None] = print
    """Ends it; set when it begins."""
    is_reported: bool = False
    has_spoken: bool = False

    def yields_to(self, *, is_kill: bool) -> bool:
        """Whether it ends when it is asked to, or killed; if so, it ends by failing."""
        if self.is_reported or self.obedience < (0.4 if is_kill else 0.7):
            return False
        self.lose()
        return True

    def lose(self) -> None:
        """End by failing."""
        self.result = TaskFailure(
            error_type="CancelledError", message="stopped", traceback="", is_transient=False
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An attempt that is to run."""

    execution_id: str
    workflow: str
    task: TaskSpec
    task_number: int
    attempt: int
    token: str
    texts: Mapping[str, str]
    element: Element | None = None
    memory: Memory | None = None
    utc_us: int = 0
    """What the clock of the body's machine shows."""


def begun(start: Order, runner_id: str, nature: Nature, script: Script, dice: Random) -> Body:
    """Decide what a body that starts now will do."""
    is_asking = start.memory is not None
    return Body(
        execution_id=start.execution_id,
        task_number=start.task_number,
        attempt=start.attempt,
        runner_id=runner_id,
        texts=start.texts,
        element=start.element,
        duration_us=_duration_us(dice),
        result=_result(start, nature, script, dice),
        does_checkpoint=is_asking and dice.random() < 0.4,
        parks_for_us=dice.randrange(5 * SECOND) if is_asking and dice.random() < 0.3 else None,
        obedience=dice.random(),
        is_deadly=nature is Nature.DEADLY and dice.random() < 0.9,
    )


def _duration_us(dice: Random) -> int:
    longest = dice.choice((2_000, 50_000, SECOND, SECOND, 10 * SECOND))
    return dice.randrange(longest)


def _result(
    start: Order, nature: Nature, script: Script, dice: Random
) -> Changes | TaskFailure | Wait:
    fails = {Nature.FLAKY: 0.5, Nature.BROKEN: 1.0}.get(nature, 0.03)
    if dice.random() < fails:
        is_transient = dice.random() < 0.5
        return TaskFailure(
            error_type="ConnectionError" if is_transient else "ValueError",
            message=f"no {dice.randrange(1000)}",
            traceback="",
            is_transient=is_transient,
        )
    if start.memory is not None and len(start.memory.waits) < len(script):
        return wait_at(script, len(start.memory.waits), start.utc_us)
    if start.element is not None:
        result = {start.element.result_key: str(dice.randrange(100))}
        return Changes(assigned=result, removed=frozenset())
    # every key has one writer, so that what a task must see can be told without merging
    assigned = {f"from_{start.task.id}": str(dice.randrange(100))} if dice.random() < 0.8 else {}
    may_remove = start.task_number == 0 and "go" in start.texts and dice.random() < 0.3
    return Changes(assigned=assigned, removed=frozenset({"go"} if may_remove else ()))
