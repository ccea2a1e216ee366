"""Executors that tasks cannot be routed to."""

from collections.abc import Sequence

from cloacina.errors.root import EngineError


class InvalidRoutingError(EngineError, ValueError):
    """A routing rule or a name of an executor that cannot be used."""

    def __init__(self, value: object, problem: str) -> None:
        self.value = value
        super().__init__(f"{value!r} {problem}")


class UnknownExecutorError(EngineError, ValueError, LookupError):
    """A routing rule names an executor that the runner does not have."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"there is no executor {name!r}; this runner has {', '.join(known)}: correct the "
            "routing, or bring the executor with DefaultRunner(..., executors={name: executor})"
        )


class WrongExecutorError(EngineError, ValueError):
    """A task was routed to a built-in executor that cannot run tasks of its kind."""

    def __init__(self, task: str, executor: str, fitting: str) -> None:
        self.executor = executor
        super().__init__(
            f"the routing sends {task} to {executor!r}, which cannot run it; send it to "
            f"{fitting!r}, or to an executor of your own"
        )
