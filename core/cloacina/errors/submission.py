"""Executions that are not begun."""

from cloacina.errors.root import EngineError


class UnknownWorkflowError(EngineError, ValueError, LookupError):
    """No workflow of that name is registered."""

    def __init__(self, name: str, near: list[str], known: int) -> None:
        self.name = name
        self.near = near
        hint = f"did you mean {', '.join(map(repr, near))}?" if near else _count(known)
        super().__init__(f"there is no workflow {name!r}; {hint}")


def _count(known: int) -> str:
    if known:
        return f"none of the {known} registered workflows has a name like it"
    return "no workflow is registered: define one or load a package first"


class AmbiguousWorkflowError(EngineError, ValueError, LookupError):
    """Several packages offer a workflow of that name."""

    def __init__(self, name: str, candidates: list[str]) -> None:
        self.name = name
        self.candidates = candidates
        super().__init__(
            f"the name {name!r} fits several workflows; say which: {', '.join(candidates)}"
        )


class InvalidWorkflowError(EngineError, TypeError, ValueError):
    """What was given in place of a workflow's name is none."""

    def __init__(self, given: object) -> None:
        super().__init__(
            f"a workflow is given by its name, or as a Workflow, and not as {given!r:.100} "
            f"(a {type(given).__name__})"
        )


class InvalidInputError(EngineError, TypeError, ValueError):
    """What was given as the input of an execution is no mapping."""

    def __init__(self, given: object) -> None:
        super().__init__(
            "the input of an execution is a Context or a mapping with texts as keys, and not a "
            f"{type(given).__name__} ({given!r:.100})"
        )


class ContextTooLargeError(EngineError, ValueError):
    """An input that is larger than ``max_context_bytes`` allows."""

    def __init__(self, problem: str, key: str) -> None:
        self.key = key
        super().__init__(f"the input is refused: {problem}")


class InvalidIdempotencyKeyError(EngineError, ValueError):
    """An idempotency key that cannot be kept."""

    def __init__(self, key: object, problem: str) -> None:
        self.key = key
        super().__init__(f"the idempotency key {key!r:.60} {problem}")


class IdempotencyConflictError(EngineError, ValueError):
    """An idempotency key was used again, for another input."""

    def __init__(self, key: str, execution_id: str) -> None:
        self.key = key
        self.execution_id = execution_id
        super().__init__(
            f"the idempotency key {key!r} belongs to execution {execution_id}, which was submitted "
            "with another input; use a key of its own for this input"
        )


class WrongConnectionError(EngineError, ValueError):
    """A connection on which a submission cannot be written."""


class SubmissionRolledBackError(EngineError, LookupError):
    """The transaction that held a submission was rolled back."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        super().__init__(
            f"execution {execution_id} does not exist: the transaction that it was submitted in "
            "was not committed"
        )
