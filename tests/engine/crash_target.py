"""A process to be killed: runs, or finishes, one execution of fifty tasks.

    python crash_target.py DATABASE SIDE_FILE WORK [helper] [--gate FIFO]

A helper submits nothing: it runs what others offer or leave behind, until its input ends. Each body
appends its name to the side file before it does anything else; then it counts to WORK. With a gate,
bodies go on only once one has begun in a helper.
"""

import argparse
import os
import sys

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, WorkflowBuilder, task

LAYERS, WIDTH = 10, 5


class Gate:
    """A pipe with a name, which can be opened for reading once somebody has opened it for both."""

    def __init__(self, path: str, *, is_helper: bool) -> None:
        self._path = path
        self._mode = os.O_RDWR if is_helper else os.O_RDONLY
        self._opened: list[int] = []

    def pass_through(self) -> None:
        self._opened.append(os.open(self._path, self._mode))


def define(side_file: str, work: int, gate: Gate | None) -> None:
    side = os.open(side_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with WorkflowBuilder("fifty"):
        for layer in range(LAYERS):
            for place in range(WIDTH):
                name = f"t{layer}_{place}"
                before = [f"t{layer - 1}_{p}" for p in (place, (place + 1) % WIDTH)]

                def body(context: Context, name: str = name) -> None:
                    os.write(side, f"{name}\n".encode())
                    if gate is not None:
                        gate.pass_through()
                    context[name] = sum(range(work))

                task(id=name, dependencies=before if layer else [], retry_attempts=1)(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("database")
    parser.add_argument("side_file")
    parser.add_argument("work", type=int)
    parser.add_argument("role", nargs="?", choices=["helper"])
    parser.add_argument("--gate")
    given = parser.parse_args()
    is_helper = given.role == "helper"
    gate = Gate(given.gate, is_helper=is_helper) if given.gate else None
    define(given.side_file, given.work, gate)
    config = DefaultRunnerConfig(max_concurrent_tasks=3)
    if gate is None:  # somebody may be killed, and that is to be noticed soon
        config = DefaultRunnerConfig(
            max_concurrent_tasks=3, lease_seconds=1, heartbeat_seconds=0.2, backstop_seconds=1
        )
    with DefaultRunner(given.database, config=config) as runner:
        if is_helper:
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
