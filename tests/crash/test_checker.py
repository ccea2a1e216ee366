"""The checker finds what it is there to find."""

from dataclasses import replace

import pytest

from crash.checker import problems
from crash.history import Attempt, Execution, History, Task
from crash.side_file import Line, Word

FIRST, SECOND, THIRD = "first", "second", "third"


def line(at_us: int, word: Word, subject: str) -> Line:
    return Line(at_us=at_us, word=word, run=0, subject=subject, element=None)


def attempt(began_at_us: int, outcome: str = "Succeeded", number: int = 1) -> Attempt:
    ended_at_us = began_at_us + 9
    return Attempt(number=number, began_at_us=began_at_us, ended_at_us=ended_at_us, outcome=outcome)


def a_task(name: str, *attempts: Attempt) -> Task:
    return Task(name=name, element=None, status="Completed", attempts=list(attempts))


LINES = [
    line(1, Word.ACCEPTED, "e"),
    line(12, Word.BEGAN, FIRST),
    line(18, Word.ENDED, FIRST),
    line(22, Word.BEGAN, SECOND),
    line(28, Word.ENDED, SECOND),
    line(32, Word.BEGAN, THIRD),
    line(38, Word.ENDED, THIRD),
]
TASKS = [a_task(FIRST, attempt(10)), a_task(SECOND, attempt(20)), a_task(THIRD, attempt(30))]
KINDS = ["execution_submitted", "task_started", "execution_completed"]
EXECUTION = Execution(
    id="e",
    run=0,
    workflow="chain",
    status="Completed",
    tasks=TASKS,
    events=list(enumerate(KINDS, 1)),
    dependencies={FIRST: [], SECOND: [FIRST], THIRD: [SECOND]},
)


def found(execution: Execution = EXECUTION, lines: list[Line] = LINES, result: int = 3) -> str:
    history = History(executions=[execution], open_offers=0)
    return "; ".join(problems(lines, history, {0: result}))


def with_first(*attempts: Attempt) -> Execution:
    return replace(EXECUTION, tasks=[a_task(FIRST, *attempts), *TASKS[1:]])


def test_a_history_in_order_has_no_problems() -> None:
    assert found() == ""


def test_attempts_that_were_lost_are_no_problem_whether_or_not_their_body_began() -> None:
    lost = [attempt(10, "RunnerLost"), attempt(14, "RunnerLost", 2), attempt(16, number=3)]
    lines = [LINES[0], line(12, Word.BEGAN, FIRST), line(17, Word.BEGAN, FIRST), *LINES[2:]]
    assert found(with_first(*lost), lines) == ""


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([*LINES, line(19, Word.BEGAN, FIRST)], "ran 2 times in attempt 1"),
        ([*LINES, line(50, Word.BEGAN, THIRD)], "ran again after it had completed"),
        ([*LINES, line(5, Word.BEGAN, FIRST)], "ran before its attempt was recorded"),
        ([*LINES[:1], *LINES[2:]], "first succeeded without a run of its body"),
        ([*LINES[:2], *LINES[3:]], "first completed before its body had ended"),
        ([*LINES[:2], LINES[3], LINES[2], *LINES[4:]], "second began before first had ended"),
        ([*LINES, line(40, Word.BEGAN, "other")], "of which nothing is stored"),
        ([*LINES, line(40, Word.ACCEPTED, "lost")], "accepted as lost, which is not stored"),
    ],
)
def test_what_bodies_should_not_have_done_is_found(lines: list[Line], words: str) -> None:
    assert words in found(lines=lines)


@pytest.mark.parametrize(
    ("execution", "words"),
    [
        (replace(EXECUTION, status="Failed"), "it is Failed"),
        (replace(EXECUTION, workflow="fan"), "it should be of chain"),
        (replace(EXECUTION, events=[(1, "x"), (3, "execution_completed")]), "have gaps"),
        (replace(EXECUTION, events=[(1, "execution_submitted")]), "its history ends with"),
        (with_first(attempt(10), attempt(19, number=2)), "ended as"),
        (with_first(attempt(10, "Cancelled")), "ended as"),
        (with_first(attempt(10, number=2)), "has attempts [2]"),
        (with_first(replace(attempt(10), ended_at_us=None)), "its attempt is open"),
        (replace(EXECUTION, tasks=[replace(TASKS[0], status="Ready")]), "first is Ready"),
    ],
)
def test_what_the_database_should_not_hold_is_found(execution: Execution, words: str) -> None:
    assert words in found(execution)


def test_a_wrong_result_a_double_and_an_offer_that_is_left_are_found() -> None:
    assert "it came to 4, not to 3" in found(result=4)
    history = History(executions=[EXECUTION, replace(EXECUTION, id="f")], open_offers=2)
    both = "; ".join(problems(LINES, history, {0: 3}))
    assert "run 0 is stored twice" in both
    assert "2 offers are left" in both
