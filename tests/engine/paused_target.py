"""A process to be stopped and continued: runs one execution, then another.

    python paused_target.py URL

It says when a body has begun, and ends each body when it reads a line.
"""

import sys

from cloacina import Context, DefaultRunner, WorkflowBuilder, task
from engine.databases import HASTY


def define() -> None:
    with WorkflowBuilder("slow"):

        @task
        def waits(context: Context) -> None:
            print("began", flush=True)
            sys.stdin.readline()
            context["by"] = "the stopped process"


def main() -> None:
    define()
    with DefaultRunner(sys.argv[1], config=HASTY) as runner:
        print(runner.execute("slow").final_context["by"], flush=True)
        print(runner.execute("slow").status, flush=True)


if __name__ == "__main__":
    main()
