"""The executions that one runner has, and which of them changed since the last commit."""

from collections.abc import Iterable, Iterator, Mapping

from cloacina.planner.execution import ExecutionState
from cloacina.planner.task import TaskState


class InFlight:
    """Executions by id. Those with something unsaved are marked, for the store to write."""

    def __init__(self) -> None:
        """Begin without any."""
        self._executions: dict[str, ExecutionState] = {}
        self._unsaved: dict[str, ExecutionState] = {}
        self._clocked: dict[str, ExecutionState] = {}

    def __len__(self) -> int:
        return len(self._executions)

    def __contains__(self, execution_id: str) -> bool:
        return execution_id in self._executions

    @property
    def by_id(self) -> Mapping[str, ExecutionState]:
        """Every execution, by its id."""
        return self._executions

    def get(self, execution_id: str) -> ExecutionState | None:
        """Return an execution; ``None`` for one that this runner does not have."""
        return self._executions.get(execution_id)

    def attempt(
        self, execution_id: str, task_number: int, token: str
    ) -> tuple[ExecutionState, TaskState] | None:
        """Return the execution and task of an attempt if it is recorded as running, else ``None``."""
        execution = self._executions.get(execution_id)
        task = None if execution is None else execution.task(task_number)
        if execution is None or task is None or task.token != token:
            return None
        return execution, task

    def add(self, execution: ExecutionState) -> None:
        """Take an execution in; it is to be written."""
        self._executions[execution.id] = execution
        self._unsaved[execution.id] = execution

    def mark(self, execution: ExecutionState) -> None:
        """Note that ``execution`` has something unsaved."""
        self._unsaved[execution.id] = execution
        if execution.has_suspendable_clock:
            self._clocked[execution.id] = execution

    def take_clocked(self) -> Iterable[ExecutionState]:
        """Return those marked since the last call whose time may begin or cease to stand still."""
        if not self._clocked:
            return ()
        clocked = list(self._clocked.values())
        self._clocked.clear()
        return clocked

    def take_unsaved(self) -> list[ExecutionState]:
        """Return the executions that were marked since the last call."""
        unsaved = list(self._unsaved.values())
        self._unsaved.clear()
        return unsaved

    def drop(self, execution_id: str) -> ExecutionState | None:
        """Forget an execution and what is unsaved of it."""
        self._unsaved.pop(execution_id, None)
        self._clocked.pop(execution_id, None)
        return self._executions.pop(execution_id, None)

    def let_go(self, execution: ExecutionState) -> None:
        """Forget an execution that is final and written."""
        self._executions.pop(execution.id, None)

    @property
    def stored(self) -> list[ExecutionState]:
        """Every execution that the database holds."""
        return [each for each in self._executions.values() if each.stored_status is not None]

    @property
    def running(self) -> Iterator[tuple[ExecutionState, TaskState]]:
        """Every attempt that is recorded as running on this runner."""
        return (
            (execution, task)
            for execution in self._executions.values()
            for task in execution.running
            if task.runner is None
        )
