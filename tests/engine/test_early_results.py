"""Results that are read before their execution has ended."""

import threading

import pytest

from cloacina import Context, DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina.errors import TaskFailedError
from engine.databases import Where
from engine.test_explain import DEADLINE_S


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
