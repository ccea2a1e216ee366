"""The delay of a retry across a restart: by the wall clock, and never longer than it was."""

import threading

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina_sdk.collect import collecting
from engine.databases import Where

PATIENCE_S = 60.0


def test_a_clock_set_back_by_hours_does_not_lengthen_a_delay_across_a_restart(
    where: Where,
) -> None:
    runtime, has_failed = Runtime(), threading.Event()
    with collecting(runtime.collection), WorkflowBuilder("w"):

        @task(retry_attempts=2, retry_delay="2s", retry_jitter=False, retry_backoff="fixed")
        def flaky(_context: Context) -> None:
            if not has_failed.is_set():
                has_failed.set()
                raise OSError("not yet")

    config = DefaultRunnerConfig(shutdown_timeout_seconds=PATIENCE_S)
    with DefaultRunner(where.url, runtime=runtime, config=config) as runner:
        handle = runner.submit("w")
        assert has_failed.wait(PATIENCE_S)
    assert where.query("SELECT sub_status FROM task_executions") == [("Retrying",)]
    # what the clock said then lies in the far future of what it says now
    where.query("UPDATE task_executions SET due_at = '2999-01-01T00:00:02.000000Z'")
    where.query("UPDATE task_attempts SET finished_at = '2999-01-01T00:00:00.000000Z'")
    with DefaultRunner(where.url, runtime=runtime) as runner:
        result = runner.handle(handle.id).wait(PATIENCE_S)
    assert (result.status, result.tasks["flaky"].attempts) == ("Completed", 2)
