"""Executions keep to the version that they began with, unless somebody migrates them."""

from collections.abc import Callable
from typing import Any

import pytest

from cloacina import Answer, Context, DefaultRunner, Runtime, WorkflowBuilder, all_of, task
from cloacina.errors import ExecutionNotFoundError, WishRefusedError
from cloacina.store import migration
from cloacina.store.renumber import naming_tables
from cloacina.store.tables import METADATA
from cloacina_sdk import task_success
from cloacina_sdk.collect import collecting
from engine.databases import HASTY, Where
from engine.gate import Gate
from engine.waiting import eventually

DEADLINE_S = 30


def says(word: str) -> Callable[[Any], None]:
    """Return a body that appends a word to what the context says."""

    def body(context: Context) -> None:
        said = context.get("said", [])
        assert isinstance(said, list)
        context["said"] = [*said, word]

    body.__name__ = word
    return body


def waits_at(gate: Gate) -> Callable[[Any], None]:
    """Return a body that waits at a gate."""

    def first(context: Context) -> None:
        gate.pass_through()
        context["said"] = ["first"]

    return first


def define(gate: Gate, *rest: tuple[str, str, str]) -> str:
    """Define ``w``: ``first``, which waits, and more (id, dependency, word); return its version."""
    with WorkflowBuilder("w") as builder:
        for name, before, word in rest:
            if before == "":
                task(id=name)(says(word))
        task(id="first")(waits_at(gate))
        for name, before, word in rest:
            if before:
                task(id=name, dependencies=[before])(says(word))
    return builder.workflow_built.version


OLD = (("second", "first", "second"), ("third", "second", "third"))
NEW = (
    ("before", "", "before"),
    ("other", "first", "other"),
    ("second", "other", "new second"),
    ("third", "second", "third"),
)


def paused_after_first(runner: DefaultRunner, gate: Gate) -> str:
    handle = runner.submit("w")
    gate.await_body()
    assert handle.pause() is Answer.GRANTED
    gate.open()
    eventually(lambda: handle.current().tasks["first"].status == "Completed")
    return handle.id


def test_a_run_ends_by_the_graph_it_began_with_though_the_workflow_is_defined_anew(
    where: Where, runtime: Runtime
) -> None:
    gate = Gate()
    define(gate, *OLD)
    with DefaultRunner(where.url, runtime=runtime) as runner:
        handle = runner.submit("w")
        gate.await_body()
        define(gate, *NEW)
        gate.open()
        result = handle.wait(DEADLINE_S)
        assert list(result.tasks) == ["first", "second", "third"]
        assert result.final_context["said"] == ["first", "second", "third"]
        assert list(runner.execute("w", timeout=DEADLINE_S).tasks) == [
            "before",
            "first",
            "other",
            "second",
            "third",
        ]


def test_a_run_goes_on_by_its_own_graph_where_only_the_new_version_is_registered(
    where: Where, runtime: Runtime
) -> None:
    gate = Gate()
    define(gate, *OLD)
    with DefaultRunner(where.url, runtime=runtime) as first:
        execution_id = paused_after_first(first, gate)
    later = Runtime()
    with collecting(later.collection), WorkflowBuilder("w"):
        task(id="first")(says("not again"))
        task(id="second", dependencies=["first"], trigger_rules=all_of(task_success("first")))(
            says("new second")
        )
        task(id="between", dependencies=["second"])(says("between"))
        task(id="third", dependencies=["between"])(says("third"))
    with DefaultRunner(where.url, runtime=later) as second:
        again = second.handle(execution_id)
        again.resume()
        result = again.wait(DEADLINE_S)
    # its own graph, and the only bodies that there are
    assert list(result.tasks) == ["first", "second", "third"]
    assert result.final_context["said"] == ["first", "new second", "third"]


def test_a_run_is_left_alone_where_the_version_registered_lacks_one_of_its_tasks(
    where: Where, runtime: Runtime
) -> None:
    gate = Gate()
    define(gate, *OLD)
    with DefaultRunner(where.url, runtime=runtime) as first:
        execution_id = paused_after_first(first, gate)
    later = Runtime()
    with collecting(later.collection):
        define(gate, ("second", "first", "second"))
    with DefaultRunner(where.url, runtime=later) as second:
        assert second.resume(execution_id) is Answer.GRANTED
        assert second.explain(execution_id).reason.value == "WorkflowChanged"
        assert second.execution(execution_id).status == "Running"
    with DefaultRunner(where.url, runtime=runtime) as third:
        assert third.handle(execution_id).wait(DEADLINE_S).status == "Completed"


def history(where: Where) -> list[tuple[str, str]]:
    """What happened to which task, by the names that the numbers stand for now."""
    names = dict(where.query("SELECT number, task FROM task_executions"))
    rows = where.query("SELECT task_number, kind FROM execution_events ORDER BY seq")
    return [(names[number], kind) for number, kind in rows if number is not None]


def test_an_execution_goes_on_by_the_new_graph_after_its_migration(
    where: Where, runtime: Runtime
) -> None:
    gate = Gate()
    old = define(gate, *OLD)
    with DefaultRunner(where.url, runtime=runtime) as runner:
        execution_id = paused_after_first(runner, gate)
        new = define(gate, *NEW)
        handle = runner.handle(execution_id)
        assert handle.migrate() is Answer.GRANTED
        assert handle.migrate() is Answer.UNCHANGED
        assert handle.migrate(new) is Answer.UNCHANGED
        assert handle.status == "Paused"
        assert history(where)[:2] == [("first", "task_started"), ("first", "task_completed")]
        assert handle.resume() is Answer.GRANTED
        result = handle.wait(DEADLINE_S)
        assert handle.migrate() is Answer.ENDED
    assert list(result.tasks) == ["before", "first", "other", "second", "third"]
    assert [each.attempts for each in result.tasks.values()] == [1, 1, 1, 1, 1]
    said = result.final_context["said"]  # lists of two branches are merged into one
    assert said == ["before", "first", "other", "new second", "third"]
    details = where.query("SELECT detail FROM execution_events WHERE kind = 'execution_migrated'")
    assert details == [(f"{old} -> {new}",)]
    rows = where.query("SELECT workflow_version, epoch > 1 FROM workflow_executions")
    assert [(version, bool(raised)) for version, raised in rows] == [(new, True)]
    attempts = where.query("SELECT task_number, number FROM task_attempts ORDER BY task_number")
    assert attempts == [(number, 1) for number in range(5)]


def test_what_the_new_version_does_not_have_goes_and_its_history_stays(
    where: Where, runtime: Runtime
) -> None:
    gate = Gate()
    define(gate, *OLD, ("extra", "first", "extra"))
    with DefaultRunner(where.url, runtime=runtime) as runner:
        execution_id = paused_after_first(runner, gate)
        define(gate, ("second", "first", "second"))
        assert runner.migrate(execution_id) is Answer.GRANTED
        runner.resume(execution_id)
        result = runner.handle(execution_id).wait(DEADLINE_S)
    assert list(result.tasks) == ["first", "second"]
    assert result.final_context["said"] == ["first", "second"]
    (detail,) = where.query("SELECT detail FROM execution_events WHERE kind = 'execution_migrated'")
    assert detail[0].endswith(", without 'third', 'extra'")


def test_everything_that_stands_against_a_migration_is_said_at_once(
    where: Where, runtime: Runtime
) -> None:
    gate = Gate()
    with WorkflowBuilder("w"):
        task(id="zero")(says("zero"))
        task(id="one", dependencies=["zero"])(says("one"))
        task(id="two", dependencies=["one"])(waits_at(gate))
        task(id="gone", dependencies=["zero"], retry_attempts=2, retry_delay="1h")(_broken)
    with DefaultRunner(where.url, runtime=runtime) as runner:
        handle = runner.submit("w")
        gate.await_body()
        eventually(lambda: handle.current().tasks["gone"].attempts)
        with WorkflowBuilder("w") as builder:
            task(id="zero")(says("another zero"))
            task(id="new")(says("new"))
            task(
                id="one", dependencies=["new", "zero"], trigger_rules=all_of(task_success("zero"))
            )(says("one"))
            task(id="two", dependencies=["one"])(lambda _context: None)
        version = builder.workflow_built.version
        eventually(lambda: handle.current().tasks["gone"].status == "Ready")
        with pytest.raises(WishRefusedError) as refused:
            handle.migrate(version)
        gate.open()
        handle.cancel()
        assert handle.wait(DEADLINE_S).status == "Cancelled"
    problem = refused.value.problem
    assert "task 'one' has ended, and depends on 'new', 'zero' instead of 'zero'" in problem
    assert "task 'one' has ended, and has another trigger rule in that version" in problem
    assert "task 'two' is running: pause the execution and let its attempt end" in problem
    assert "task 'gone' was attempted or has ended, and that version does not have it" in problem
    assert problem.count(";") == 3


def _broken(_context: Context) -> None:
    raise ValueError("broken")


def test_changed_code_of_a_task_that_has_ended_stands_against_a_migration(
    where: Where, runtime: Runtime
) -> None:
    gate = Gate()
    with WorkflowBuilder("w"):

        @task(id="start")
        def start_in_one_way(context: Context) -> None:
            context["n"] = 1

        task(id="first", dependencies=["start"])(waits_at(gate))
        task(id="last", dependencies=["first"])(says("last"))

    with DefaultRunner(where.url, runtime=runtime) as runner:
        execution_id = paused_after_first(runner, gate)
        with WorkflowBuilder("w"):

            @task(id="start")
            def start_in_another_way(context: Context) -> None:
                context["n"] = 2

            task(id="first", dependencies=["start"])(waits_at(gate))
            task(id="last", dependencies=["first"])(says("last"))

        with pytest.raises(WishRefusedError, match="'start' has ended, and has other code"):
            runner.migrate(execution_id)


def test_a_version_that_is_not_registered_is_refused(where: Where, runtime: Runtime) -> None:
    gate = Gate()
    define(gate, *OLD)
    with DefaultRunner(where.url, runtime=runtime) as runner:
        execution_id = paused_after_first(runner, gate)
        with pytest.raises(WishRefusedError, match="version 'no such' of its workflow"):
            runner.migrate(execution_id, "no such")
        with pytest.raises(ExecutionNotFoundError):
            runner.migrate("no such execution")
    with (
        DefaultRunner(where.url, runtime=Runtime()) as stranger,
        pytest.raises(WishRefusedError, match="no version of its workflow is registered"),
    ):
        stranger.migrate(execution_id)


def test_another_runner_migrates_what_it_has(where: Where, runtime: Runtime) -> None:
    gate = Gate()
    define(gate, *OLD)
    with (
        DefaultRunner(where.url, runtime=runtime) as owner,
        DefaultRunner(where.url, runtime=Runtime(), config=HASTY) as other,
    ):
        execution_id = paused_after_first(owner, gate)
        new = define(gate, *NEW)
        with pytest.raises(WishRefusedError, match="version 'nonsense'"):
            other.migrate(execution_id, "nonsense")
        assert other.migrate(execution_id, new) is Answer.GRANTED
        assert other.resume(execution_id) is Answer.GRANTED
        assert other.handle(execution_id).wait(DEADLINE_S).status == "Completed"
    answers = where.query("SELECT wish, answer FROM commands ORDER BY id")
    assert ("Migrate", "Granted") in answers


@pytest.mark.parametrize("crash_in", ["renumber", "migrated"])
def test_a_failure_in_the_middle_leaves_everything_as_it_was(
    where: Where, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, crash_in: str
) -> None:
    gate = Gate()
    define(gate, *OLD)
    tables = [
        f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608 - names of our own tables
        for table in ("task_executions", "task_attempts", "execution_events", "workflow_executions")
    ]
    with DefaultRunner(where.url, runtime=runtime) as runner:
        execution_id = paused_after_first(runner, gate)
        define(gate, *NEW)
        before = [where.query(query) for query in tables]
        original = getattr(migration, crash_in)

        def crash(*args: Any, **more: Any) -> Any:
            original(*args, **more)
            raise ValueError("cut off")

        monkeypatch.setattr(migration, crash_in, crash)
        with pytest.raises(WishRefusedError, match="cut off"):
            runner.migrate(execution_id)
        assert [where.query(query) for query in tables] == before
        monkeypatch.undo()
        assert runner.migrate(execution_id) is Answer.GRANTED
        runner.resume(execution_id)
        assert runner.handle(execution_id).wait(DEADLINE_S).status == "Completed"


def test_every_column_that_numbers_tasks_is_renumbered() -> None:
    named = {table.name for table in naming_tables()}
    assert {"task_attempts", "execution_events"} <= named
    # a column of another name would be passed over
    numbers = {
        f"{table.name}.{column.name}"
        for table in METADATA.sorted_tables
        for key in table.foreign_key_constraints
        for column, element in zip(key.columns, key.elements, strict=True)
        if element.column.name == "number" and element.column.table.name == "task_executions"
    }
    assert numbers <= {f"{name}.task_number" for name in named}
