"""What is asked of executions that another runner has, or none, and what is answered."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import pytest

from cloacina import Answer, Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder
from cloacina.errors import (
    ExecutionNotFoundError,
    InvalidConfigError,
    UnreadableExecutionError,
    WishRefusedError,
)
from cloacina.store import commands
from cloacina_sdk import task
from cloacina_sdk.hooks import AttemptInfo, ExecutionInfo, hookimpl
from engine.databases import HASTY, Where
from engine.gate import Gate
from engine.waiting import eventually

DEADLINE_S = 30
ONE_SLOT = DefaultRunnerConfig(max_concurrent_tasks=1)


def a_gate() -> Gate:
    """Define ``w``, a workflow of two tasks whose first waits at the gate."""
    gate = Gate()
    gate.define("w")
    return gate


def left_behind(where: Where, runtime: Runtime) -> str:
    """Run ``w`` until its first task is done, pause it, and go; nobody owns it then."""
    gate = a_gate()
    with DefaultRunner(where.url, runtime=runtime) as runner:
        handle = runner.submit("w")
        gate.await_body()
        assert handle.pause() is Answer.GRANTED
        gate.open()
    return handle.id


@contextmanager
def a_stranger(where: Where) -> Iterator[DefaultRunner]:
    """Open a runner that knows no workflow."""
    with DefaultRunner(where.url, runtime=Runtime(), config=HASTY) as runner:
        yield runner


def kinds(where: Where, execution_id: str) -> list[str]:
    rows = where.query("SELECT execution_id, kind FROM execution_events ORDER BY execution_id, seq")
    return [kind for found, kind in rows if found == execution_id]


def test_what_nobody_has_is_cancelled_at_once_by_a_runner_that_does_not_know_it(
    where: Where, runtime: Runtime
) -> None:
    execution_id = left_behind(where, runtime)
    seen: list[ExecutionInfo] = []

    class Witness:
        @hookimpl
        def cloacina_execution_finished(self, execution: ExecutionInfo) -> None:
            seen.append(execution)

    with a_stranger(where) as stranger, a_stranger(where) as other:
        stranger.add_plugin(Witness())
        waiting = other.handle(execution_id)
        assert stranger.cancel(execution_id) is Answer.GRANTED
        assert stranger.execution(execution_id).status == "Cancelled"
        assert waiting.wait(DEADLINE_S).tasks["second"].status == "Cancelled"
        assert stranger.cancel(execution_id) is Answer.ENDED
        assert stranger.resume(execution_id) is Answer.ENDED
        assert stranger.set_priority(execution_id, 1) is Answer.ENDED
    assert [(each.execution_id, each.status) for each in seen] == [(execution_id, "Cancelled")]
    assert kinds(where, execution_id)[-4:] == [
        "execution_claimed",
        "execution_stopping",
        "task_cancelled",
        "execution_cancelled",
    ]


def test_what_nobody_has_is_resumed_and_preferred_for_whoever_comes(
    where: Where, runtime: Runtime
) -> None:
    execution_id = left_behind(where, runtime)
    with a_stranger(where) as stranger:
        assert stranger.pause(execution_id) is Answer.UNCHANGED
        assert stranger.set_priority(execution_id, 7) is Answer.GRANTED
        assert stranger.set_priority(execution_id, 7) is Answer.UNCHANGED
        assert stranger.resume(execution_id) is Answer.GRANTED
        assert stranger.resume(execution_id) is Answer.UNCHANGED
        assert stranger.execution(execution_id).status == "Running"
    assert where.query("SELECT owner, priority FROM workflow_executions") == [(None, 7)]
    with DefaultRunner(where.url, runtime=runtime) as knowing:
        assert knowing.handle(execution_id).wait(DEADLINE_S).status == "Completed"


def test_another_runner_answers_for_what_it_has(where: Where, runtime: Runtime) -> None:
    gate = a_gate()
    with DefaultRunner(where.url, runtime=runtime) as owner, a_stranger(where) as stranger:
        handle = owner.submit("w")
        gate.await_body()
        there = stranger.handle(handle.id)
        assert there.pause() is Answer.GRANTED
        assert there.pause() is Answer.UNCHANGED
        assert there.set_priority(-5) is Answer.GRANTED
        assert handle.status == "Paused"
        assert there.cancel() is Answer.GRANTED
        assert handle.cancel() is Answer.UNCHANGED
        assert there.resume() is Answer.ENDING
        gate.open()
        assert there.wait(DEADLINE_S).status == "Cancelled"
        assert there.cancel() is Answer.ENDED
    answers = where.query("SELECT wish, answer FROM commands ORDER BY id")
    assert answers == [
        ("Pause", "Granted"),
        ("Pause", "Unchanged"),
        ("SetPriority", "Granted"),
        ("Cancel", "Granted"),
        ("Resume", "Ending"),
    ]


def test_a_wish_whose_runner_does_not_answer_in_time_stands_until_it_does(
    where: Where, runtime: Runtime
) -> None:
    busy, release = threading.Event(), threading.Event()

    class Blocks:
        @hookimpl
        def cloacina_before_attempt(self, attempt: AttemptInfo) -> None:
            assert attempt.attempt == 1
            busy.set()
            assert release.wait(DEADLINE_S)

    a_gate().open()
    # a lease that lasts, as its thread is to be busy and not to be taken for dead
    with DefaultRunner(where.url, runtime=runtime) as owner, a_stranger(where) as stranger:
        owner.add_plugin(Blocks())
        handle = owner.submit("w")
        assert busy.wait(DEADLINE_S)
        assert stranger.cancel(handle.id, timeout=0.01) is Answer.LEFT
        release.set()
        assert stranger.handle(handle.id).wait(DEADLINE_S).execution_id == handle.id
        eventually(lambda: where.query("SELECT answer FROM commands") != [(None,)])


def test_a_higher_priority_starts_first_even_if_it_was_given_late(
    where: Where, runtime: Runtime
) -> None:
    began, release, order = threading.Event(), threading.Event(), []
    with WorkflowBuilder("blocks"):

        @task
        def blocks(_context: Context) -> None:
            began.set()
            assert release.wait(DEADLINE_S)

    with WorkflowBuilder("named"):

        @task
        def named(context: Context) -> None:
            order.append(context["name"])

    with (
        DefaultRunner(where.url, runtime=runtime, config=ONE_SLOT) as owner,
        a_stranger(where) as stranger,
    ):
        first = owner.submit("blocks")
        assert began.wait(DEADLINE_S)
        handles = {name: owner.submit("named", {"name": name}) for name in "abcd"}
        assert handles["c"].set_priority(5) is Answer.GRANTED
        assert stranger.set_priority(handles["a"].id, -5) is Answer.GRANTED
        assert stranger.set_priority(handles["d"].id, 6) is Answer.GRANTED
        assert stranger.set_priority(handles["d"].id, 0) is Answer.GRANTED
        release.set()
        for handle in (first, *handles.values()):
            assert handle.wait(DEADLINE_S).status == "Completed"
    assert order == ["c", "b", "d", "a"]
    assert "execution_priority_changed" in kinds(where, handles["c"].id)


@pytest.mark.parametrize("priority", [1_000_001, -1_000_001, 1.0, True, "7"])
def test_a_priority_that_is_none_is_refused(runtime: Runtime, priority: int) -> None:
    with (
        DefaultRunner(":memory:", runtime=runtime) as runner,
        pytest.raises(InvalidConfigError, match="priority"),
    ):
        runner.set_priority("e", priority)


def test_wishes_for_what_does_not_exist_are_errors(where: Where) -> None:
    with a_stranger(where) as stranger:
        for ask in (stranger.cancel, stranger.pause, stranger.resume):
            with pytest.raises(ExecutionNotFoundError):
                ask("no such execution")
        with pytest.raises(ExecutionNotFoundError):
            stranger.set_priority("no such execution", 3)
    assert where.query("SELECT * FROM commands") == []


def a_row(execution_id: str, wish: str, argument: str = "NULL") -> str:
    return f"('{uuid4()}', '{execution_id}', '{wish}', {argument}, '2026-11-20T19:30:00.000001Z')"


INSERT = "INSERT INTO commands (id, execution_id, wish, argument, created_at) VALUES "
HOSTILE = [
    ("Explode", "NULL"),
    ("", "NULL"),
    ("cancel", "NULL"),
    ("x" * 100_000, "NULL"),
    ("SetPriority", "NULL"),
    ("SetPriority", "'1e3'"),
    ("SetPriority", "'99999999999999999999'"),
    ("SetPriority", "'\u0661'"),
    ("SetPriority", "'" + "9" * 100_000 + "'"),
    ("SendEvent", "NULL"),
    ("SendEvent", "''"),
    ("SendEvent", "'{'"),
    ("SendEvent", "'7'"),
    ("SendEvent", """'{"name": 7}'"""),
    ("SendEvent", """'{"name": ""}'"""),
    ("SendEvent", """'{"payload": 1}'"""),
    ("SendEvent", """'{"name": "a", "seq": 1}'"""),
    ("SendEvent", """'{"name": "a\\u0000"}'"""),
    ("SendEvent", """'{"name": "\\ud800"}'"""),
    ("SendEvent", """'{"name": "a", "payload": NaN}'"""),
    ("SendEvent", """'{"name": "a", "payload": "\\ud800"}'"""),
    ("SendEvent", "'" + '{"name": "a", "' + "k" * 100_000 + '": 1}' + "'"),
    ("SendEvent", "'" + '{"name": "' + "x" * 201 + '"}' + "'"),
    ("SendEvent", "'" + '{"name": "a", "payload": ' + "[" * 5_000 + "]" * 5_000 + "}'"),
    ("SendEvent", "'" + '{"name": "a", "payload": ' + "9" * 5_000 + "}'"),
    ("SendEvent", "'" + '{"name": "a", "payload": "' + "x" * 17_000_000 + '"}' + "'"),
]


@pytest.mark.parametrize("is_owned", [True, False])
def test_a_wish_that_makes_no_sense_is_refused_and_harms_nothing(
    where: Where, runtime: Runtime, *, is_owned: bool
) -> None:
    execution_id = left_behind(where, runtime)
    where.query(INSERT + ", ".join(a_row(execution_id, *each) for each in HOSTILE))
    known = runtime if is_owned else Runtime()
    with DefaultRunner(where.url, runtime=known) as runner:
        eventually(lambda: not where.query("SELECT 1 FROM commands WHERE answer IS NULL"))
        assert runner.execution(execution_id).status == "Paused"
        assert runner.cancel(execution_id) is Answer.GRANTED
    rows = where.query("SELECT answer, detail FROM commands")
    assert {answer for answer, _ in rows} == {"Refused"}
    assert all(detail and len(detail) < 500 for _, detail in rows)


def test_an_inbox_of_long_commands_is_read_bit_by_bit(
    where: Where, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_CHARACTERS_AT_ONCE", 50)
    execution_id = left_behind(where, runtime)
    payloads = ['"short"', f'"{"x" * 100}"', "1", f'"{"y" * 1_000}"', "2"]
    arguments = [f"""'{{"name": "a", "payload": {payload}}}'""" for payload in payloads]
    rows = sorted(a_row(execution_id, "SendEvent", argument) for argument in arguments)
    where.query(INSERT + ", ".join(rows))
    with DefaultRunner(where.url, runtime=runtime):
        eventually(lambda: not where.query("SELECT 1 FROM commands WHERE answer IS NULL"))
    sent = where.query("SELECT payload FROM sent_events")
    assert {payload for (payload,) in sent} == set(payloads)
    assert len(sent) == len(payloads)


def test_an_inbox_of_thousands_is_emptied(where: Where, runtime: Runtime) -> None:
    execution_id = left_behind(where, runtime)
    where.query(INSERT + ", ".join(a_row(execution_id, "Pause") for _ in range(1_401)))
    with DefaultRunner(where.url, runtime=runtime) as runner:
        eventually(lambda: not where.query("SELECT 1 FROM commands WHERE answer IS NULL"))
        assert runner.execution(execution_id).status == "Paused"
    assert where.query("SELECT answer, count(*) FROM commands GROUP BY answer") == [
        ("Unchanged", 1_401)
    ]


UNREADABLE = "UPDATE graphs SET document = '{\"tasks\": 7}'"


def test_what_cannot_be_read_is_refused_and_the_runner_goes_on(
    where: Where, runtime: Runtime
) -> None:
    execution_id = left_behind(where, runtime)
    where.query(UNREADABLE)
    with a_stranger(where) as stranger:
        with pytest.raises(WishRefusedError, match="cannot be read, but cancelled: "):
            stranger.resume(execution_id)
        for look in (stranger.execution, stranger.explain, stranger.handle):
            with pytest.raises(UnreadableExecutionError, match="that version, or cancel it"):
                look(execution_id)
        where.query(INSERT + a_row(execution_id, "Resume"))
        with a_stranger(where):  # whose coming makes the other look around
            eventually(lambda: where.query("SELECT answer FROM commands") == [("Refused",)])
    assert where.query("SELECT status FROM workflow_executions") == [("Paused",)]


@pytest.mark.parametrize("is_in_inbox", [False, True])
def test_what_cannot_be_read_can_be_cancelled(
    where: Where, runtime: Runtime, is_in_inbox: bool
) -> None:
    execution_id = left_behind(where, runtime)
    where.query(UNREADABLE)
    with a_stranger(where) as stranger:
        if is_in_inbox:
            where.query(INSERT + a_row(execution_id, "Cancel"))
            with a_stranger(where):  # whose coming makes the other look around
                eventually(lambda: where.query("SELECT answer FROM commands") == [("Granted",)])
        else:
            assert stranger.cancel(execution_id) is Answer.GRANTED
        assert stranger.cancel(execution_id) is Answer.ENDED
        events = list(stranger.events(execution_id))  # which ends, as the execution has
    assert [event.sequence for event in events] == [*range(1, len(events) + 1)]
    assert events[-1].kind == "execution_cancelled"
    query = "SELECT status, stopping, owner, event_count FROM workflow_executions"
    assert where.query(query) == [("Cancelled", "Cancel", None, len(events))]
    left = "status NOT IN ('Completed', 'Failed', 'Skipped', 'Cancelled') OR finished_at IS NULL"
    assert where.query(f"SELECT * FROM task_executions WHERE {left}") == []  # noqa: S608 - ours
    assert where.query("SELECT * FROM task_attempts WHERE outcome IS NULL") == []
    cancelled = [event.task for event in events if event.kind == "task_cancelled"]
    assert cancelled
    count = "SELECT count(*) FROM task_executions WHERE status = 'Cancelled'"
    assert where.query(count) == [(len(cancelled),)]


def test_commands_that_were_answered_long_ago_are_removed(where: Where, runtime: Runtime) -> None:
    gate = a_gate()
    old = "00000000-0000-7000-8000-000000000000"
    with DefaultRunner(where.url, runtime=runtime) as owner, a_stranger(where) as stranger:
        handle = owner.submit("w")
        gate.await_body()
        at = "'2020-01-01T00:00:00.000000Z'"
        columns = "id, execution_id, wish, created_at, answered_at, answer"
        where.query(
            f"INSERT INTO commands ({columns}) VALUES "  # noqa: S608 - the test's own values
            f"('{old}', '{handle.id}', 'Pause', {at}, {at}, 'Granted')"
        )
        assert stranger.set_priority(handle.id, 3) is Answer.GRANTED
        assert old not in {name for (name,) in where.query("SELECT id FROM commands")}
        gate.open()
        assert handle.wait(DEADLINE_S).status == "Completed"


def test_cancelling_while_others_claim_ends_it_once(where: Where, runtime: Runtime) -> None:
    gate_config = replace(HASTY, shutdown_timeout_seconds=5)
    execution_id = left_behind(where, runtime)
    answers: list[Answer] = []

    def cancel() -> None:
        with DefaultRunner(where.url, runtime=Runtime(), config=gate_config) as runner:
            answers.append(runner.cancel(execution_id))

    def claim() -> None:
        with DefaultRunner(where.url, runtime=runtime, config=gate_config) as runner:
            assert runner.handle(execution_id).wait(DEADLINE_S).status == "Cancelled"

    threads = [threading.Thread(target=each) for each in (cancel, claim, cancel, claim)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) in [["Ended", "Granted"], ["Granted", "Unchanged"]]
    assert kinds(where, execution_id).count("execution_cancelled") == 1
