"""What is asked of an execution that nobody owns, as it is decided; and results that are read early."""

import threading
from dataclasses import replace

import pytest

from cloacina import Context, DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina.errors import TaskFailedError
from cloacina.model.states import ExecutionStatus, TaskStatus, Wish
from cloacina.planner import direct
from cloacina.planner.events import Now, Requested
from engine.databases import Where
from engine.test_explain import DEADLINE_S, with_task


def test_no_task_is_given_up_for_its_losses_where_nobody_runs_it() -> None:
    stored = with_task(status="Running", attempt=5, losses=4, token="t")
    asked = Requested(execution_id="e", wish=Wish.PAUSE)
    granted = direct.grant(replace(stored, epoch=7), asked, Now(utc_us=9, monotonic_us=9))
    lost = granted.execution.tasks[1]
    assert granted.execution.status is ExecutionStatus.PAUSED
    assert (lost.status, lost.losses) == (TaskStatus.READY, 5)


def test_a_result_of_what_still_runs_is_not_said_to_have_ended(
    runtime: Runtime, where: Where
) -> None:
    may_end = threading.Event()
    with WorkflowBuilder("w"):

        @task
        def first(_context: Context) -> None:
            assert may_end.wait(DEADLINE_S)

    with DefaultRunner(where.url, runtime=runtime) as runner:
        handle = runner.submit("w")
        with pytest.raises(TaskFailedError, match="has not ended: it was Running when this result"):
            runner.execution(handle.id).raise_for_status()
        may_end.set()
        handle.wait(DEADLINE_S).raise_for_status()
