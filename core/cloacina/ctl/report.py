"""What an execution came to, for people and for programs."""

from collections.abc import Iterator
from dataclasses import asdict

from cloacina.ctl.escaping import escaped
from cloacina.ctl.json_view import member_lines
from cloacina.runner.result import WorkflowResult

FINAL_STATUSES = frozenset({"Completed", "Failed", "Cancelled"})


def result_document(result: WorkflowResult, package: str) -> dict[str, object]:
    """Return the JSON form; ``package`` is the name of the package that the workflow is of."""
    return {
        "execution_id": result.execution_id,
        "workflow": result.workflow,
        "status": result.status,
        "final_context": result.final_context.to_dict(),
        "tasks": [
            {
                "task": task.task,
                "status": task.status,
                "attempts": task.attempts,
                "error": task.error,
                **({"reason": task.reason} if task.reason else {}),
                **({"elements": asdict(task.elements)} if task.elements else {}),
            }
            for task in result.tasks.values()
        ],
        "package": package,
    }


def result_lines(result: WorkflowResult, package: str) -> Iterator[str]:
    """Say what an execution came to, or where it stands."""
    yield f"{escaped(package)}::{escaped(result.workflow)}: {result.status}"
    yield f"execution {result.execution_id}"
    width = max((len(task.task) for task in result.tasks.values()), default=0)
    for task in result.tasks.values():
        attempts = f"{task.attempts} attempt{'' if task.attempts == 1 else 's'}"
        words = [f"  {escaped(task.task):{width}}  {task.status:10}  {attempts}"]
        if task.elements is not None:
            words.append(f"{task.elements.done:,}/{task.elements.total:,} elements done")
        words += [escaped(word) for word in (task.error, task.reason) if word]
        yield "  ".join(words)
    if result.error_message is not None:
        yield f"why: {escaped(result.error_message)}"
    if result.status in FINAL_STATUSES:
        yield "final context:"
        for key, text in result.final_context.texts().items():
            yield from (f"  {line}" for line in member_lines(key, text))
