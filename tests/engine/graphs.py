"""Builders of graphs and a planner's world without database or threads, for tests."""

from collections.abc import Mapping
from itertools import count

from cloacina.model.states import AttemptOutcome, Wish
from cloacina.model.topology import Topology
from cloacina.planner.effects import (
    AnswerAsk,
    AttemptSettled,
    CallCondition,
    Effect,
    ExecutionEnded,
    StartAttempt,
    StopAttempt,
    WaitFailed,
)
from cloacina.planner.events import (
    AttemptAsked,
    AttemptEnded,
    ConditionTold,
    Event,
    Identity,
    Now,
    Requested,
    Submitted,
    TimePassed,
)
from cloacina.planner.execution import ExecutionState
from cloacina.planner.planner import Planner
from cloacina.planner.queue.limits import Limits, Sources
from cloacina.planner.queue.pools import OnePool, Pools
from cloacina.planner.wishes import event_argument
from cloacina_sdk.changes import Changes
from cloacina_sdk.executor import Ask
from cloacina_sdk.json_text import JsonValue, encode
from cloacina_sdk.mapped import Mapped
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.retry import RetryPolicy
from cloacina_sdk.rules import Rule
from cloacina_sdk.spec import TaskSpec, WorkflowSpec
from cloacina_sdk.waiting import Wait

ONCE = RetryPolicy.builder().max_attempts(1).build()


def a_task(
    id: str,
    *dependencies: str,
    retry: RetryPolicy = ONCE,
    rule: Rule | None = None,
    allow_failure: bool = False,
    timeout_ms: int | None = None,
    mapped: Mapped | None = None,
    takes_handle: bool = False,
) -> TaskSpec:
    return TaskSpec(
        id=id,
        dependencies=dependencies,
        retry=retry,
        trigger_rule=rule,
        allow_failure=allow_failure,
        timeout_ms=timeout_ms,
        mapped=mapped,
        takes_handle=takes_handle,
    )


def a_workflow(
    *tasks: TaskSpec, name: str = "w", timeout_ms: int | None = None, fail_fast: bool = False
) -> WorkflowSpec:
    workflow = WorkflowSpec(
        name=name,
        description="",
        tags=(),
        tasks=tasks,
        timeout_ms=timeout_ms,
        fail_fast=fail_fast,
    )
    workflow.validate()
    return workflow


def assigned(**values: JsonValue) -> Changes:
    return Changes(
        assigned={key: encode(value) for key, value in values.items()}, removed=frozenset()
    )


def removed(*keys: str) -> Changes:
    return Changes(assigned={}, removed=frozenset(keys))


def a_failure(message: str = "no", error_type: str = "ValueError") -> TaskFailure:
    return TaskFailure(error_type=error_type, message=message, traceback="", is_transient=False)


class World:
    """A planner whose clock and commits are moved by hand."""

    def __init__(
        self,
        slots: int = 100,
        attempt_timeout_us: int | None = None,
        pools: Pools | None = None,
    ) -> None:
        tokens = count(1)
        self.planner = Planner(
            limits=Limits(
                slots=slots, attempt_timeout_us=attempt_timeout_us, pools=pools or OnePool()
            ),
            sources=Sources(new_token=lambda: f"t{next(tokens)}", jitter=lambda: 0.5),
        )
        self.stopped: list[StopAttempt] = []
        self.now_us = 10_000_000_000
        self.utc_offset_us = 0
        self.running: dict[tuple[str, str], StartAttempt] = {}
        self.ended: dict[str, ExecutionState] = {}
        self.settled: list[AttemptSettled | WaitFailed] = []
        self.calls: list[CallCondition] = []
        self.answers: list[int] = []
        self.saves = 0
        self.lines: list[str] = []
        """The kinds of what was written into histories."""
        self.ends: list[AttemptOutcome] = []

    @property
    def now(self) -> Now:
        return Now(self.now_us + self.utc_offset_us, self.now_us)

    def submission(
        self, workflow: WorkflowSpec, id: str = "e", priority: int = 0, **values: JsonValue
    ) -> Submitted:
        return Submitted(
            identity=Identity(
                execution_id=id,
                tenant="public",
                package="embedded",
                package_digest=None,
                workflow=workflow.name,
                workflow_version="v",
                priority=priority,
            ),
            topology=Topology.of(workflow),
            input_texts={key: encode(value) for key, value in values.items()},
        )

    def submit(
        self, workflow: WorkflowSpec, id: str = "e", priority: int = 0, **values: JsonValue
    ) -> ExecutionState:
        self.step(self.submission(workflow, id, priority, **values))
        return self.planner_execution(id)

    def planner_execution(self, id: str) -> ExecutionState:
        if id in self.ended:
            return self.ended[id]
        return self.planner._in_flight.by_id[id]

    def end(
        self, task: str, result: Changes | TaskFailure | Wait | None = None, id: str = "e"
    ) -> None:
        start = self.running.pop((id, task))
        self.step(
            AttemptEnded(
                execution_id=id,
                task_number=start.task_number,
                token=start.token,
                result=result if result is not None else assigned(),
            )
        )

    def ask(self, wish: Wish, id: str = "e", argument: str | None = None) -> None:
        self.step(Requested(execution_id=id, wish=wish, argument=argument))

    def send(self, name: str, payload: JsonValue = None, id: str = "e") -> None:
        self.ask(Wish.SEND_EVENT, id, event_argument(name, payload))

    def tell(self, *, answer: bool | TaskFailure) -> None:
        """Answer the oldest call of a condition."""
        call = self.calls.pop(0)
        self.step(
            ConditionTold(
                execution_id=call.execution.id,
                task_number=call.task_number,
                attempt=call.attempt,
                answer=answer,
            )
        )

    def ask_for(self, task: str, ask: Ask, number: int = 0, id: str = "e") -> None:
        """Have the body of a running attempt ask for something."""
        start = self.running[id, task]
        self.step(
            AttemptAsked(
                execution_id=id,
                task_number=start.task_number,
                token=start.token,
                ask=ask,
                number=number,
            )
        )

    def pass_time(self, seconds: float) -> None:
        self.now_us += int(seconds * 1_000_000)
        self.step(TimePassed())

    def step(self, event: Event) -> None:
        effects = self.planner.step(event, self.now)
        for execution in self.planner.take_unsaved():
            self.lines += [line.kind for line in execution.unsaved.history]
            self.ends += [end.outcome for end in execution.unsaved.ends]
            self.planner.saved(execution)
            self.saves += 1
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case StartAttempt():
                name = effect.execution.spec(effect.task_number).id
                if effect.element is not None:
                    name += f"[{effect.element.index}]"
                self.running[effect.execution.id, name] = effect
            case AttemptSettled() | WaitFailed():
                self.settled.append(effect)
            case CallCondition():
                self.calls.append(effect)
            case AnswerAsk():
                self.answers.append(effect.number)
            case StopAttempt():
                self.stopped.append(effect)
            case ExecutionEnded():
                self.ended[effect.execution.id] = effect.execution

    def started(self, id: str = "e") -> list[str]:
        return [task for execution, task in self.running if execution == id]

    def seen_by(self, task: str, id: str = "e") -> Mapping[str, str]:
        return self.running[id, task].texts


def statuses(execution: ExecutionState) -> dict[str, str]:
    return {
        spec.id: task.status.value
        for spec, task in zip(execution.topology.tasks, execution.tasks, strict=True)
    }
