"""A process that runs twenty executions under one concurrency key, or two that stay.

    python limits_target.py DATABASE SIDE_FILE go|stay

Each body writes "in" to the side file when it begins, and "out" before it ends.
"""

import os
import sys
import threading

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, WorkflowBuilder, task


def define(side_file: str, *, is_stuck: bool) -> None:
    side = os.open(side_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with WorkflowBuilder("stay" if is_stuck else "go"):

        @task(concurrency_key="api", max_concurrent=2, retry_attempts=1)
        def hold(context: Context) -> None:
            os.write(side, b"in\n")
            if is_stuck:
                print("holds", flush=True)
                threading.Event().wait()
            sum(range(20_000))
            os.write(side, b"out\n")


def main() -> None:
    database, side_file, mode = sys.argv[1:]
    define(side_file, is_stuck=mode == "stay")
    config = DefaultRunnerConfig(
        max_concurrent_tasks=4, lease_seconds=1, heartbeat_seconds=0.2, backstop_seconds=1
    )
    with DefaultRunner(database, config=config) as runner:
        handles = [runner.submit(mode) for _ in range(2 if mode == "stay" else 20)]
        for handle in handles:
            handle.wait(50).raise_for_status()
        print("done", flush=True)


if __name__ == "__main__":
    main()
