"""Change an execution that nobody plans: as one who owns it for a moment and starts nothing."""

from dataclasses import dataclass

from cloacina.planner.events import Claimed, Now, Requested, StoredExecution, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.planner.planner import Planner
from cloacina.planner.queue.limits import Limits, Sources


@dataclass(frozen=True, slots=True)
class Granted:
    """An execution as it is to be stored, and the answer to whoever asked for it."""

    execution: ExecutionState
    verdict: Verdict


def grant(stored: StoredExecution, asked: Requested, now: Now) -> Granted:
    """Take what a dead runner left as a claim would, and do what is asked.

    Attempts that were running are lost with their runner. Nothing starts: what is ready stays so
    until a runner that can run it claims the execution.
    """
    planner = Planner(limits=Limits(slots=0), sources=Sources(new_token=_nothing, jitter=_middle))
    planner.start_nothing_more()
    planner.step(Claimed(stored=stored, purpose=f"for a moment, to {asked.wish}"), now)
    (execution,) = planner.take_unsaved()
    _, verdict = planner.grant(asked, now)
    assert verdict is not None  # noqa: S101 - it was claimed just now
    return Granted(execution, verdict)


def _nothing() -> str:
    raise AssertionError("an attempt was to start where there is no slot")


def _middle() -> float:
    return 0.5
