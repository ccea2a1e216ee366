"""A process to be killed: runs, or finishes, one execution of fifty tasks.

    python crash_target.py DATABASE SIDE_FILE WORK [helper]

A helper submits nothing: it runs what others offer or leave behind, until its input ends. Each body appends its name to the side file before it does anything else; then it counts to WORK.
"""

import os
import sys

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, WorkflowBuilder, task

LAYERS, WIDTH = 10, 5


def define(side_file: str, work: int) -> None:
    side = os.open(side_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with WorkflowBuilder("fifty"):
        for layer in range(LAYERS):
            for place in range(WIDTH):
                name = f"t{layer}_{place}"
                before = [f"t{layer - 1}_{p}" for p in (place, (place + 1) % WIDTH)]

                def body(context: Context, name: str = name) -> None:
                    os.write(side, f"{name}\n".encode())
                    context[name] = sum(range(work))

                task(id=name, dependencies=before if layer else [], retry_attempts=1)(body)


def main() -> None:
    database, side_file, work, *role = sys.argv[1:]
    define(side_file, int(work))
    config = DefaultRunnerConfig(
        max_concurrent_tasks=3, lease_seconds=1, heartbeat_seconds=0.2, backstop_seconds=1
    )
    with DefaultRunner(database, config=config) as runner:
        if role == ["helper"]:
            print("running", flush=True)
            sys.stdin.read()
            return
        earlier = runner.executions()
        handle = runner.handle(earlier[0].execution_id) if earlier else runner.submit("fifty")
        print("running", flush=True)
        result = handle.wait(60)
        print(result.status, len(result.final_context), flush=True)


if __name__ == "__main__":
    main()
