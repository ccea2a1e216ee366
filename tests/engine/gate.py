"""Meet a body of this process: know that it began, and let it go on."""

import threading

from cloacina import Context, WorkflowBuilder, task

DEADLINE_S = 60


class Gate:
    """Where bodies wait until the test lets them go on. Who waits in vain fails."""

    def __init__(self) -> None:
        self._reached, self._opened = threading.Event(), threading.Event()
        self.ran: list[str] = []
        """What began of a workflow that was made by ``define``."""

    def pass_through(self) -> None:
        """Say that a body is here, and wait until the gate is open."""
        self._reached.set()
        assert self._opened.wait(DEADLINE_S), "the gate was not opened in time"

    def await_body(self) -> None:
        """Wait until a body is here."""
        assert self._reached.wait(DEADLINE_S), "no body came in time"

    def open(self) -> None:
        """Let all bodies go on, those that come later too."""
        self._opened.set()

    def define(self, name: str) -> None:
        """Define a workflow of two tasks, ``first``, which waits here, and ``second``."""
        with WorkflowBuilder(name):

            @task(id="first")
            def first(_context: Context) -> None:
                self.ran.append("first")
                self.pass_through()

            @task(id="second", dependencies=["first"])
            def second(_context: Context) -> None:
                self.ran.append("second")
