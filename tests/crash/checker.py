"""Compare what bodies did, by the side file, with what the database remembers.

* What was accepted is there, once, and completed with the right result.
* Every run of a body has an attempt of its own that was recorded before, and no body ran under an
  attempt of which another one had begun already.
* Exactly one attempt of each task succeeded, it is the last, and its body had ended before.
* No body began before all that it depends on had ended.
* Histories have no gaps, and nothing is left: no open attempt, no offer.
"""

from collections.abc import Iterator, Mapping

from crash.history import Attempt, Execution, History, Task
from crash.load import expected, shape_of
from crash.side_file import Line, Word

_Key = tuple[int, str, int | None]
"""Run, task and element."""


def problems(lines: list[Line], history: History, results: Mapping[int, object]) -> list[str]:
    """Return everything that is wrong, each as one sentence.

    Args:
        lines: the side file.
        history: the database, once all has ended.
        results: by run, what the final contexts hold under ``"result"``.
    """
    found = [*_accepted(lines, history), *_repeated(history)]
    if history.open_offers:
        found.append(f"{history.open_offers} offers are left")
    for execution in history.executions:
        own = [line for line in lines if line.run == execution.run and line.word != Word.ACCEPTED]
        where = f"run {execution.run} ({execution.workflow})"
        checks = (_ended(execution, results), _bodies(execution, own), _order(execution, own))
        found += [f"{where}: {problem}" for check in checks for problem in check]
    return found


def _accepted(lines: list[Line], history: History) -> Iterator[str]:
    stored = {execution.id: execution.run for execution in history.executions}
    for line in lines:
        if line.word is Word.ACCEPTED and stored.get(line.subject) != line.run:
            yield f"run {line.run} was accepted as {line.subject}, which is not stored"


def _repeated(history: History) -> Iterator[str]:
    seen: dict[int, str] = {}
    for execution in history.executions:
        if execution.run in seen:
            yield f"run {execution.run} is stored twice: {seen[execution.run]} and {execution.id}"
        seen[execution.run] = execution.id


def _ended(execution: Execution, results: Mapping[int, object]) -> Iterator[str]:
    if execution.status != "Completed":
        yield f"it is {execution.status}"
    if execution.workflow != shape_of(execution.run):
        yield f"it should be of {shape_of(execution.run)}"
    if results.get(execution.run) != expected(execution.run):
        yield f"it came to {results.get(execution.run)}, not to {expected(execution.run)}"
    sequences = [sequence for sequence, _ in execution.events]
    if sequences != list(range(1, len(sequences) + 1)):
        yield f"its events have gaps: {sequences}"
    kinds = [kind for _, kind in execution.events]
    if kinds[-1:] != ["execution_completed"] or kinds.count("execution_completed") != 1:
        yield f"its history ends with {kinds[-3:]}"


def _bodies(execution: Execution, lines: list[Line]) -> Iterator[str]:
    began: dict[_Key, list[int]] = {}
    ended: dict[_Key, list[int]] = {}
    for line in lines:
        book = began if line.word is Word.BEGAN else ended
        book.setdefault((line.run, line.subject, line.element), []).append(line.at_us)
    known: set[_Key] = set()
    for task in execution.tasks:
        key = (execution.run, task.name, task.element)
        known.add(key)
        if task.status != "Completed":
            yield f"{_name(task)} is {task.status}"
        if _has_elements(execution, task):
            continue  # its elements have the attempts
        yield from _attempts(task)
        yield from _runs(task, began.get(key, []), ended.get(key, []))
    for _, name, element in (began.keys() | ended.keys()) - known:
        yield f"a body of {name} {element} ran, of which nothing is stored"


def _has_elements(execution: Execution, task: Task) -> bool:
    return task.element is None and any(
        each.name == task.name and each.element is not None for each in execution.tasks
    )


def _attempts(task: Task) -> Iterator[str]:
    outcomes = [attempt.outcome for attempt in task.attempts]
    if outcomes[-1:] != ["Succeeded"] or outcomes.count("Succeeded") != 1:
        yield f"{_name(task)} completed with attempts that ended as {outcomes}"
    if not {*outcomes[:-1]} <= {"RunnerLost", "Failed"}:
        yield f"{_name(task)} has attempts that ended as {outcomes}"
    numbers = [attempt.number for attempt in task.attempts]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"{_name(task)} has attempts {numbers}"


def _runs(task: Task, began: list[int], ended: list[int]) -> Iterator[str]:
    """Match every run of the body with the attempt that it must belong to."""
    for attempt, after in zip(task.attempts, [*task.attempts[1:], None], strict=True):
        until = None if after is None else after.began_at_us
        runs = [at for at in began if _is_within(at, attempt.began_at_us, until)]
        if len(runs) > 1:
            yield f"the body of {_name(task)} ran {len(runs)} times in attempt {attempt.number}"
        if attempt.outcome == "Succeeded":
            yield from _success(task, attempt, runs, ended)
    if task.attempts and any(at < task.attempts[0].began_at_us for at in began):
        yield f"the body of {_name(task)} ran before its attempt was recorded"


def _success(task: Task, attempt: Attempt, runs: list[int], ended: list[int]) -> Iterator[str]:
    done = attempt.ended_at_us
    if done is None:
        yield f"{_name(task)} succeeded, and its attempt is open"
        return
    if not runs:
        yield f"{_name(task)} succeeded without a run of its body"
    if any(at > done for at in runs):
        yield f"the body of {_name(task)} ran again after it had completed"
    if not any(_is_within(at, attempt.began_at_us, done + 1) for at in ended):
        yield f"{_name(task)} completed before its body had ended"


def _order(execution: Execution, lines: list[Line]) -> Iterator[str]:
    ended: dict[str, set[int | None]] = {}
    elements: dict[str, set[int | None]] = {}
    for task in execution.tasks:
        if not _has_elements(execution, task):
            elements.setdefault(task.name, set()).add(task.element)
    for line in lines:
        if line.word is Word.ENDED:
            ended.setdefault(line.subject, set()).add(line.element)
            continue
        for dependency in execution.dependencies.get(line.subject, ()):
            missing = elements.get(dependency, set()) - ended.get(dependency, set())
            if missing:
                yield f"the body of {line.subject} began before {dependency} had ended"


def _name(task: Task) -> str:
    return task.name if task.element is None else f"{task.name}[{task.element}]"


def _is_within(at: int, begin: int, end: int | None) -> bool:
    return begin <= at and (end is None or at < end)
