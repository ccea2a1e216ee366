"""What a task says is kept also where another runner than its execution's owner runs it."""

import logging
import threading
import time

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from engine.databases import Where

DEADLINE_S = 30
ONE_SLOT = DefaultRunnerConfig(max_concurrent_tasks=1, heartbeat_seconds=0.5, backstop_seconds=1)
LOG = logging.getLogger("of.a.guest")


def test_what_a_guest_says_is_kept_with_its_attempt(runtime: Runtime, where: Where) -> None:
    together = threading.Barrier(2)  # neither ends before both run, each in a runner of its own
    with WorkflowBuilder("wide"):
        for name in ("a", "b"):

            @task(id=name, retry_attempts=1)
            def meets(_context: Context, name: str = name) -> None:
                LOG.warning("%s begins", name)
                together.wait(DEADLINE_S)
                LOG.warning("%s ends", name)

    with (
        DefaultRunner(where.url, runtime=runtime, config=ONE_SLOT) as owner,
        DefaultRunner(where.url, runtime=runtime, config=ONE_SLOT),
    ):
        deadline = time.monotonic() + DEADLINE_S
        while where.query("SELECT count(*) FROM runners") != [(2,)]:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        result = owner.submit("wide").wait(DEADLINE_S)
        assert result.status == "Completed"
        for name in ("a", "b"):
            said = owner.logs(result.execution_id, name)
            assert [(line.seq, line.text) for line in said] == [
                (1, f"{name} begins"),
                (2, f"{name} ends"),
            ]
    assert len(where.query("SELECT DISTINCT runner FROM task_attempts")) == 2
