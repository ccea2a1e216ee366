"""A process to be killed in the middle of a mapped task.

    python mapped_target.py DATABASE SIDE_FILE HOLD_AT

Each body appends its element to the side file; from the element HOLD_AT on, unless that is 0, it
stays. What an earlier process left is finished.
"""

import os
import sys
import threading

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, WorkflowBuilder, task


def define(side_file: str, hold_at: int) -> None:
    side = os.open(side_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with WorkflowBuilder("many"):

        @task(map_over="xs", retry_attempts=1)
        def visit(context: Context, item: int) -> int:
            os.write(side, f"{item}\n".encode())
            if hold_at and item >= hold_at:
                if item == hold_at:
                    print(f"reached {hold_at}", flush=True)
                threading.Event().wait()
            return item

        @task(dependencies=[visit])
        def add(context: Context) -> None:
            found = context["visit"]
            assert isinstance(found, list)
            context["count"], context["sum"] = (
                len(found),
                sum(each for each in found if isinstance(each, int)),
            )


def main() -> None:
    database, side_file, hold_at = sys.argv[1:]
    define(side_file, int(hold_at))
    config = DefaultRunnerConfig(lease_seconds=1, heartbeat_seconds=0.2, backstop_seconds=1)
    with DefaultRunner(database, config=config) as runner:
        earlier = runner.executions()
        handle = (
            runner.handle(earlier[0].execution_id)
            if earlier
            else runner.submit("many", {"xs": list(range(200))})
        )
        result = handle.wait(100)
        context = result.final_context
        print(result.status, context["count"], context["sum"], flush=True)


if __name__ == "__main__":
    main()
