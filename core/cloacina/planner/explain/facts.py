"""What an explanation is made of; whoever asks for one collects it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from cloacina.planner.events import StoredExecution, StoredTask
from cloacina.planner.queue.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The runner that has an execution."""

    runner_id: str
    host: str | None = None
    process_id: int | None = None
    is_alive: bool = True

    def __str__(self) -> str:
        where = "" if self.host is None else f" (process {self.process_id} on {self.host})"
        return f"runner {self.runner_id}{where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an explanation is made of.

    Attributes:
        stored: the execution.
        owner: who has it; ``None`` for nobody.
        standing: how it stands with this runner, if this runner has it.
        can_serve: whether this runner could run it; ``None`` if whoever asks is no runner.
        is_known: whether some version of its workflow, or its package, is there at least.
        misrouted: which task this runner's routing sends where it cannot run; empty for none.
        now_us: the time by the wall clock.
        to_text: writes such a time.
        conditions: the names of the conditions that are registered with this runner.
        limits: by the number of a task: ``key`` or ``rate``, and the name of what the database
            says is used up, if another runner has the execution.
        in_threads: the tasks whose attempts run in threads, as far as that is known here.
    """

    stored: StoredExecution
    owner: Owner | None
    standing: Standing | None = None
    can_serve: bool | None = None
    is_known: bool = False
    misrouted: str = ""
    now_us: int
    to_text: Callable[[int], str]
    conditions: Collection[str] = ()
    limits: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    in_threads: Collection[int] = ()

    def name(self, number: int) -> str:
        """Return the id of a task; of an element, with its place behind it."""
        return self.stored.name(number)

    def elements(self, task: StoredTask) -> list[StoredTask]:
        """Return the elements of a mapped task that have moved, in order."""
        return [each for each in self.stored.tasks if each.parent == task.number]

    def limit_of(self, task: StoredTask) -> tuple[str, str] | None:
        """Return the kind and name of the limit that a ready task or element waits for."""
        if self.standing is not None:
            return self.standing.limits.get(task.number)
        return self.limits.get(task.number if task.parent is None else task.parent)
