"""What a seed stands for: graphs, how their bodies behave, submissions, runners and faults.

Swarm testing: each seed enables a random choice of the kinds of fault, so that some runs have one
kind in plenty and others none, which finds more than every kind at once in every run.
"""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from cloacina.model.states import Wish
from cloacina_sdk.backoff import BackoffStrategy
from cloacina_sdk.mapped import Mapped
from cloacina_sdk.retry import RetryCondition, RetryPolicy
from cloacina_sdk.rules import (
    Rule,
    all_of,
    always,
    any_of,
    context_value,
    none_of,
    parse_rule,
    task_failed,
    task_skipped,
    task_success,
)
from cloacina_sdk.spec import TaskSpec, WorkflowSpec
from cloacina_sdk.throttle import RateLimit, Throttle
from simulation.scripts import EVENTS, SECOND, Script, draw_script

MOST_URGENT = 5
_WISHES = (Wish.CANCEL, Wish.PAUSE, Wish.RESUME, Wish.SET_PRIORITY)
FAULTS_END_US = 60 * SECOND
"""From then on nothing goes wrong any more, and everything submitted must end."""


class Liveness(StrEnum):
    """How runners know which of them live."""

    LOCKS = "locks"
    """By locks of the operating system: one machine, and whoever dies is missed at once."""
    LEASES = "leases"
    """By leases: a database server, and whoever is silent is evicted when somebody looks."""


class Nature(StrEnum):
    """How the body of a task behaves."""

    RELIABLE = "reliable"
    FLAKY = "flaky"
    BROKEN = "broken"
    DEADLY = "deadly"
    """It takes its runner's process with it more often than not, as long as faults strike."""


class Mishap(StrEnum):
    """What happens to a runner at a moment, rather than at a point of its program."""

    KILL = "kill"
    FALL_SILENT = "fall silent"
    """The others take it for dead while it goes on."""
    CLOCK_JUMP = "clock jump"
    JOIN = "join"
    LEAVE = "leave"
    LEARN = "learn"
    OUTAGE = "outage"
    """The database cannot be used for a while, by nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How probable each fault is at each point at which it can strike."""

    death: float = 0.0
    """The process dies: before or after a commit, or between two effects."""
    stall: float = 0.0
    """The process stands still for a while, perhaps until it is taken for dead."""
    unavailable: float = 0.0
    """A transaction fails, nothing is written, and the same may succeed later."""
    lost_answer: float = 0.0
    """Nobody is told whether a transaction was written (where there is a server to tell it)."""


NO_FAULTS = Faults()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One submission."""

    at_us: int
    workflow: int
    priority: int
    go: int | None
    """The value of the key ``go`` in the input."""
    items: str | None
    """The text under the key ``list`` in the input, which mapped tasks run over."""
    is_refused: bool
    """The database refuses its rows (too large, say)."""

    @property
    def key(self) -> str | None:
        """The idempotency key, which urgent orders of one workflow share."""
        return "urgent" if self.priority == MOST_URGENT else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that is drawn before a simulation begins."""

    liveness: Liveness
    workflows: tuple[WorkflowSpec, ...]
    natures: tuple[tuple[Nature, ...], ...]
    """For each workflow, how each of its tasks behaves."""
    scripts: tuple[tuple[Script, ...], ...]
    """For each workflow, what the bodies of its tasks wait for, if they take a handle."""
    orders: tuple[Order, ...]
    wishes: tuple[tuple[int, Wish], ...]
    """When something is asked of an execution."""
    events: tuple[tuple[int, str], ...]
    """When somebody sends an event to an execution, and which."""
    retries: tuple[int, ...]
    """When somebody wants one that failed to run again."""
    slots: tuple[int, ...]
    """How many attempts each of the first runners may run at once."""
    knowledge: float
    """How probable it is that a runner knows a workflow."""
    faults: Faults
    mishaps: tuple[tuple[int, Mishap], ...]
    restarts: float
    """How probable it is that a runner that died is replaced soon."""
    hosts: int
    """How many machines the runners are spread over, where they need not be on one."""


def draw(dice: Random) -> Scenario:
    """Draw a scenario."""
    most = dice.choice((1, 1, 2, 3))
    workflows = tuple(_workflow(dice, f"w{n}", most) for n in range(dice.choice((1, 1, 2, 3))))
    natures = tuple(tuple(_nature(dice) for _ in workflow.tasks) for workflow in workflows)
    return Scenario(
        workflows=workflows,
        natures=natures,
        scripts=tuple(tuple(draw_script(dice) for _ in each.tasks) for each in workflows),
        orders=_orders(dice, len(workflows)),
        wishes=_wishes(dice),
        events=_events(dice),
        retries=_retries(dice),
        slots=tuple(dice.choice((1, 1, 2, 3, 8)) for _ in range(dice.choice((1, 2, 2, 3)))),
        knowledge=dice.choice((1.0, 1.0, 0.7)),
        faults=Faults(
            death=dice.choice((0.0, 0.003, 0.02)),
            stall=dice.choice((0.0, 0.0, 0.01, 0.04)),
            unavailable=dice.choice((0.0, 0.05, 0.3)),
            lost_answer=dice.choice((0.0, 0.02, 0.2)),
        ),
        mishaps=_mishaps(dice),
        restarts=dice.choice((0.0, 0.7, 1.0)),
        liveness=dice.choice(tuple(Liveness)),
        hosts=dice.choice((1, 2, 3)),
    )


def _orders(dice: Random, workflows: int) -> tuple[Order, ...]:
    burst_us = dice.randrange(30 * SECOND)
    refused = dice.choice((0.0, 0.0, 0.0, 0.3))
    return tuple(
        Order(
            at_us=dice.choice((0, burst_us, burst_us, dice.randrange(30 * SECOND))),
            workflow=dice.randrange(workflows),
            priority=dice.choice((0, 0, 0, MOST_URGENT, -1)),
            go=dice.choice((None, 0, 1)),
            items=dice.choice(("[]", "[1]", "[1,2,3]", "[1,2,3]", '["a",{},null,1,2]', "7", None)),
            is_refused=dice.random() < refused,
        )
        for _ in range(dice.randrange(1, 6))
    )


def _wishes(dice: Random) -> tuple[tuple[int, Wish], ...]:
    enabled = dice.choice(((), (), (Wish.CANCEL,), (Wish.PAUSE, Wish.RESUME), _WISHES, _WISHES))
    count = dice.randrange(8) if enabled else 0
    moments = sorted(dice.randrange(40 * SECOND) for _ in range(count))
    return tuple((moment, dice.choice(enabled)) for moment in moments)


def _events(dice: Random) -> tuple[tuple[int, str], ...]:
    moments = sorted(dice.randrange(50 * SECOND) for _ in range(dice.choice((0, 2, 8))))
    return tuple((moment, dice.choice(EVENTS)) for moment in moments)


def _retries(dice: Random) -> tuple[int, ...]:
    count = dice.choice((0, 0, 1, 3))
    return tuple(sorted(dice.randrange(2 * SECOND, 50 * SECOND) for _ in range(count)))


def _mishaps(dice: Random) -> tuple[tuple[int, Mishap], ...]:
    enabled = [mishap for mishap in Mishap if dice.random() < 0.5]
    if not enabled:
        return ()
    moments = [dice.randrange(FAULTS_END_US) for _ in range(dice.randrange(8))]
    return tuple((moment, dice.choice(enabled)) for moment in sorted(moments))


def _nature(dice: Random) -> Nature:
    return dice.choices(list(Nature), (60, 30, 10, 1))[0]


def _workflow(dice: Random, name: str, most: int) -> WorkflowSpec:
    tasks: list[TaskSpec] = []
    for number in range(dice.choice((1, 2, 3, 4, 5, 6, 8, 12))):
        wanted = min(number, dice.choice((0, 1, 1, 1, 2, 3)))
        dependencies = tuple(spec.id for spec in dice.sample(tasks, wanted))
        ancestors = _ancestors(tasks, dependencies)
        tasks.append(
            TaskSpec(
                id=f"t{number}",
                dependencies=dependencies,
                retry=_retry(dice),
                trigger_rule=_rule(dice, ancestors) if dice.random() < 0.35 else None,
                allow_failure=dice.random() < 0.2,
                timeout_ms=dice.choice((None, None, None, 2_000)),
                throttle=_throttle(dice, most) if dice.random() < 0.2 else None,
                takes_handle=dice.random() < 0.25,
                mapped=_mapped(dice, f"t{number}", ancestors) if dice.random() < 0.15 else None,
            )
        )
    dice.shuffle(tasks)  # definition order is not execution order
    workflow = WorkflowSpec(
        name=name,
        description="",
        tags=(),
        tasks=tuple(tasks),
        timeout_ms=dice.choice((None, None, None, 15_000)),
        fail_fast=dice.random() < 0.2,
    )
    workflow.validate()
    return workflow


def _throttle(dice: Random, most: int) -> Throttle:
    """Draw a key that is shared by all workflows, ``most`` at once, or a rate, or both."""
    rate = dice.choice((None, None, RateLimit(1, "s"), RateLimit(3, "s"), RateLimit(2, "m")))
    key = dice.choice(("k", "k", "k{go}", "{go}")) if rate is None or dice.random() < 0.5 else None
    return Throttle(key=key, max_concurrent=most, rate=rate)


def _mapped(dice: Random, name: str, ancestors: list[str]) -> Mapped:
    """Draw how a task is mapped: over the input, or over what may be results of another."""
    over = f"results_{dice.choice(ancestors)}" if ancestors and dice.random() < 0.4 else "list"
    return Mapped(over=over, into=f"results_{name}", max_parallel=dice.choice((None, None, 1, 2)))


def _ancestors(tasks: list[TaskSpec], dependencies: tuple[str, ...]) -> list[str]:
    known = {spec.id: spec for spec in tasks}
    found: dict[str, None] = {}
    left = list(dependencies)
    while left:
        name = left.pop()
        if name not in found:
            found[name] = None
            left.extend(known[name].dependencies)
    return sorted(found)


def _retry(dice: Random) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=dice.choice((0, 1, 1, 2, 3, 4)),
        initial_delay_ms=dice.choice((0, 1, 500, 5_000)),
        max_delay_ms=20_000,
        backoff=dice.choice(
            (BackoffStrategy.fixed(), BackoffStrategy.linear(), BackoffStrategy.exponential())
        ),
        conditions=(
            dice.choice(
                (
                    RetryCondition.all_errors(),
                    RetryCondition.all_errors(),
                    RetryCondition.transient_only(),
                    RetryCondition.never(),
                )
            ),
        ),
        with_jitter=dice.random() < 0.5,
    )


def _rule(dice: Random, ancestors: list[str]) -> Rule:
    """Draw a rule about ancestors: only how they ended is sure when the rule is asked."""
    kind = dice.randrange(5)
    if kind == 0 or not ancestors:
        return dice.choice((always(), parse_rule(_condition(dice, ancestors))))
    conditions = [_condition(dice, ancestors) for _ in range(dice.randrange(3))]
    if kind == 1:
        conditions.append(none_of(_condition(dice, ancestors)))
    return dice.choice((all_of, any_of, any_of, none_of))(*conditions)


def _condition(dice: Random, ancestors: list[str]) -> Rule:
    if not ancestors or dice.random() < 0.2:
        operator = dice.choice(("exists", "not_exists", "==", ">"))
        return context_value("go", operator, *(() if "exists" in operator else (0,)))
    name = dice.choice(ancestors)
    if dice.random() < 0.2:
        return context_value(f"from_{name}", dice.choice(("<", "!=")), 50)
    return dice.choice((task_success, task_failed, task_failed, task_skipped))(name)
