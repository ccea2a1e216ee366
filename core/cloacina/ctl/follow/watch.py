"""Wait for executions to end, showing what happens to their tasks meanwhile."""

import queue
import threading
import time
from collections.abc import Iterable, Sequence

from cloacina.ctl.follow.audience import Audience
from cloacina.ctl.follow.changes import Change
from cloacina.runner.handle import ExecutionHandle
from cloacina.runner.result import WorkflowResult

End = WorkflowResult | Exception
_FINAL = frozenset({"Completed", "Failed", "Skipped", "Cancelled"})


class Watch:
    """What arrives while executions are waited for; ``put`` may be called from any thread."""

    def __init__(self) -> None:
        self.began_at_s = time.monotonic()
        self._arrived: queue.SimpleQueue[Change | tuple[str, End]] = queue.SimpleQueue()

    def put(self, change: Change) -> None:
        """Leave a change, of a watched execution or of another one."""
        self._arrived.put(change)

    def wait(
        self, handles: Sequence[ExecutionHandle], audience: Audience, known: Iterable[Change] = ()
    ) -> list[WorkflowResult]:
        """Show changes until every execution has ended; return what they came to, in order.

        A signal interrupts it at any time.

        Args:
            handles: what to wait for.
            audience: who is shown the changes.
            known: changes from before, shown first.

        Raises:
            CloacinaError: if an execution can no longer be waited for; it is stored.
        """
        for handle in handles:
            threading.Thread(target=self._deliver, args=[handle], daemon=True).start()
        latest: dict[str, dict[str, Change]] = {handle.id: {} for handle in handles}
        results: dict[str, WorkflowResult] = {}
        for change in known:
            latest[change.execution_id][change.task] = change
            audience.show(change)
        while len(results) < len(handles):
            match self._arrived.get():
                case Change() as change:
                    if change.execution_id in latest and change.execution_id not in results:
                        latest[change.execution_id][change.task] = change
                        audience.show(change)
                case (execution_id, WorkflowResult() as result):
                    _show_rest(result, latest[execution_id], audience)
                    results[execution_id] = result
                case (_, error):
                    raise error
        return [results[handle.id] for handle in handles]

    def _deliver(self, handle: ExecutionHandle) -> None:
        self._arrived.put((handle.id, _end_of(handle)))


def _end_of(handle: ExecutionHandle) -> End:
    try:
        return handle.wait()
    except Exception as error:  # noqa: BLE001 - carried to the thread that waits, and raised there
        return error


def _show_rest(result: WorkflowResult, latest: dict[str, Change], audience: Audience) -> None:
    """Show the ends that no hook tells of: skipped tasks, and what another runner did."""
    for task in result.tasks.values():
        seen = latest.get(task.task)
        if task.status in _FINAL and (seen is None or seen.status != task.status):
            audience.show(
                Change(
                    execution_id=result.execution_id,
                    task=task.task,
                    status=task.status,
                    attempt=task.attempts,
                    detail=task.error or task.reason or "",
                )
            )
