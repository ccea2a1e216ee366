"""Looking at executions without being a runner."""

import json
import logging
from pathlib import Path

import pytest
import sqlalchemy as sa

from cloacina import Context, DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina.store.schema import HEAD
from cloacina.store.tables import METADATA
from cloacina_sdk.collect import Collection, collecting
from ctl.commands import Place, document, ok
from engine.databases import Where


@pytest.fixture
def ran(place: Place, where: Where, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of three executions in the database that is configured, the oldest first."""
    assert place.path.is_dir()
    monkeypatch.setenv("CLOACINA_DATABASE", where.url)
    with collecting(Collection()) as collection:
        for name in ("plain", "other"):
            with WorkflowBuilder(name):

                @task(id="only", retry_attempts=1)
                def only(context: dict[str, int]) -> None:
                    context["half"] = 1 // context["zero"]

    with DefaultRunner(where.url, runtime=Runtime(collection=collection)) as runner:
        results = [
            runner.execute("plain", {"zero": 1}, timeout=30),
            runner.execute("other", {"zero": 1}, timeout=30),
            runner.execute("plain", {"zero": 0}, timeout=30),
        ]
    return [result.execution_id for result in results]


def listed(place: Place, *options: str) -> list[str]:
    entries = document(ok(place.invoke("execution", "list", "--json", *options)))
    return [entry["execution_id"] for entry in entries]


def test_the_newest_come_first_and_can_be_chosen(place: Place, ran: list[str]) -> None:
    assert listed(place) == ran[::-1]
    assert listed(place, "--limit", "1") == ran[2:]
    assert listed(place, "--workflow", "plain") == [ran[2], ran[0]]
    assert listed(place, "--status", "failed") == [ran[2]]
    assert listed(place, "--status", "Running") == []
    line = ok(place.invoke("execution", "list", "--limit", "1")).output
    assert line.split()[:2] == [ran[2], "Failed"]
    assert line.endswith("embedded::plain\n")


def test_one_execution_is_shown(place: Place, ran: list[str]) -> None:
    shown = document(ok(place.invoke("execution", "show", ran[0], "--json")))
    assert shown["final_context"] == {"zero": 1, "half": 1}
    assert shown["package_digest"] is None
    failed = ok(place.invoke("execution", "show", ran[2])).output
    assert "why: task 'only' failed: ZeroDivisionError" in failed


def test_the_beginning_of_an_id_is_enough_if_it_is_the_only_one(
    place: Place, ran: list[str]
) -> None:
    shared = next(n for n in range(36, 0, -1) if len({i[:n] for i in ran}) == 1)
    several = place.invoke("execution", "show", ran[0][:shared])
    assert several.exit_code == 2
    assert "write more of the one you mean" in several.output
    shown = document(ok(place.invoke("execution", "show", ran[1][:-1], "--json")))
    assert shown["execution_id"] == ran[1]
    for unknown in ("zzz", "%", "_"):
        result = place.invoke("execution", "show", unknown)
        assert result.exit_code == 2
        assert "there is no execution" in result.output


def test_looking_changes_nothing(place: Place, where: Where, ran: list[str]) -> None:
    def everything() -> list[object]:
        return [
            sorted(where.query(str(sa.select(table))), key=repr) for table in METADATA.sorted_tables
        ]

    before = everything()
    ok(place.invoke("execution", "list"))
    ok(place.invoke("execution", "show", ran[0]))
    assert everything() == before
    assert [found.name for found in place.path.iterdir() if found.suffix != ".db"] == []


def test_a_missing_database_is_a_clear_error_and_none_is_made(place: Place) -> None:
    for command in (["list"], ["show", "x"], ["list", "--database", ":memory:"]):
        result = place.invoke("execution", *command)
        assert result.exit_code == 2
        assert "there is no database" in result.output
    result = place.invoke("execution", "list", "--database", "mysql://x")
    assert result.exit_code == 2
    assert "the scheme 'mysql', which is not supported" in result.output
    assert list(place.path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello world, this is no database" * 100, "file is not a database"),
        (b"", "is not a database of cloacina"),
    ],
)
def test_what_is_no_database_is_a_clear_error(place: Place, content: bytes, words: str) -> None:
    Path("x.db").write_bytes(content)
    result = place.invoke("execution", "list", "--database", "x.db")
    assert result.exit_code == 1
    assert words in result.output
    assert Path("x.db").read_bytes() == content


def test_a_database_of_a_newer_version_is_refused(
    place: Place, where: Where, ran: list[str]
) -> None:
    assert ran
    where.query("UPDATE alembic_version SET version_num = '9999'")
    result = place.invoke("execution", "list")
    assert result.exit_code == 1
    assert f"schema revision '9999', and '{HEAD}' is needed" in result.output


def test_a_database_without_executions_lists_nothing(place: Place, where: Where) -> None:
    with DefaultRunner(where.url, runtime=Runtime()):
        pass
    assert listed(place, "--database", where.url) == []


def test_the_schema_of_a_tenant_is_looked_at_when_it_is_named(
    place: Place, postgres: Where
) -> None:
    with collecting(Collection()) as collection, WorkflowBuilder("w"):
        task(id="only")(lambda _context: None)
    runtime = Runtime(collection=collection)
    with DefaultRunner(postgres.url, runtime=runtime, schema="acme") as runner:
        found = runner.execute("w", timeout=30)
    there = ["--database", postgres.url, "--schema", "acme"]
    assert listed(place, *there) == [found.execution_id]
    nowhere = place.invoke("execution", "list", "--database", postgres.url)
    assert nowhere.exit_code == 1
    assert "the schema 'public' of" in nowhere.output
    assert "has no tables of cloacina yet" in nowhere.output
    wrong = place.invoke("execution", "list", "--database", "x.db", "--schema", "acme")
    assert wrong.exit_code == 2
    assert "which alone has schemas" in wrong.output


def test_a_server_that_cannot_be_reached_is_named_without_a_password(place: Place) -> None:
    result = place.invoke("execution", "list", "--database", "postgresql://u:secret@/d?host=/no")
    assert result.exit_code == 1
    assert "postgresql://u:***@/d could not be read" in result.output
    assert "secret" not in result.output


def test_a_directory_is_no_database(place: Place) -> None:
    place.trust()
    for command in (["execution", "list"], ["run", place.package()]):
        result = place.invoke(*command, "--database", place.path)
        assert result.exit_code == 2
        assert "names a directory" in result.output
    assert not place.path.with_name(f"{place.path.name}-runners").exists()


def test_why_an_execution_or_a_task_does_not_run_is_said(place: Place, ran: list[str]) -> None:
    failed = document(ok(place.invoke("execution", "why", ran[2], "--json")))
    assert (failed["reason"], failed["execution_id"]) == ("Failed", ran[2])
    assert "ZeroDivisionError" in failed["sentence"]
    line = ok(place.invoke("execution", "why", ran[0], "only")).output
    assert line == "Completed: task 'only' completed\n"
    unknown = place.invoke("execution", "why", ran[0], "onyl")
    assert unknown.exit_code == 2
    assert "has no task 'onyl'; it has 'only'" in unknown.output


def test_what_nobody_has_is_explained_without_a_runner(
    place: Place, ran: list[str], where: Where
) -> None:
    where.query("UPDATE workflow_executions SET status = 'Running', owner = NULL")
    where.query("UPDATE task_executions SET status = 'Ready'")
    output = ok(place.invoke("execution", "why", ran[0])).output
    assert output.startswith("NoOwner: task 'only' does not run: no runner has the execution\n")
    assert "start a runner that knows workflow 'embedded::plain'" in output


def test_what_tasks_said_is_shown_line_by_line(
    place: Place, where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place.path.is_dir()
    monkeypatch.setenv("CLOACINA_DATABASE", where.url)
    with collecting(Collection()) as collection, WorkflowBuilder("says"):

        @task(id="says")
        def says(_context: dict[str, int]) -> None:
            logging.getLogger("me").warning("two\nlines \x1b[31m")

    with DefaultRunner(where.url, runtime=Runtime(collection=collection)) as runner:
        execution_id = runner.execute("says", timeout=30).execution_id
    lines = ok(place.invoke("execution", "logs", execution_id, "says")).output.splitlines()
    assert [line.partition("  ")[2] for line in lines] == [
        "says  warning me: two",
        "says  warning me: lines \\x1b[31m",
    ]
    (entry,) = document(ok(place.invoke("execution", "logs", execution_id[:20], "--json")))
    assert (entry["task"], entry["attempt"], entry["seq"]) == ("says", 1, 1)
    assert (entry["level"], entry["logger"]) == (30, "me")
    none = ok(place.invoke("execution", "logs", execution_id, "--attempt", "2"))
    assert "nothing was said" in none.output
    wrong = place.invoke("execution", "logs", execution_id, "nobody")
    assert wrong.exit_code != 0
    assert "has no task 'nobody'; it has 'says'" in wrong.output


def test_the_history_is_shown(place: Place, ran: list[str]) -> None:
    lines = ok(place.invoke("execution", "events", ran[0])).output.splitlines()
    assert [line.split()[2] for line in lines] == [
        "execution_submitted",
        "task_started",
        "task_completed",
        "execution_completed",
    ]
    assert lines[1].split()[3] == "only"
    followed = ok(place.invoke("execution", "events", ran[2], "--follow", "--json")).output
    events = [json.loads(line) for line in followed.splitlines()]
    assert [event["sequence"] for event in events] == [1, 2, 3, 4]
    assert (events[2]["kind"], events[2]["task"]) == ("task_failed", "only")
    assert events[2]["detail"].startswith("ZeroDivisionError")
    assert events[2]["at"].endswith("Z")


def test_a_mapped_task_is_shown_as_one_line_with_how_far_it_is(place: Place) -> None:
    with collecting(Collection()) as collection, WorkflowBuilder("mapped"):

        @task(map_over="xs", retry_attempts=1)
        def invert(context: Context, item: int) -> float:
            return 1 / item

    place.home.mkdir()
    database = place.home / "cloacina.db"
    with DefaultRunner(database, runtime=Runtime(collection=collection)) as runner:
        result = runner.execute("mapped", {"xs": [*range(1, 1200), 0]}, timeout=60)
    shown = ok(place.invoke("execution", "show", result.execution_id)).output
    lines = [line for line in shown.splitlines() if line.startswith("  invert")]
    assert len(lines) == 1
    assert "1,200/1,200 elements done" in lines[0]
    assert "1 of 1,200 elements failed; the first is element 1199: ZeroDivisionError" in lines[0]
    (task_shown,) = document(ok(place.invoke("execution", "show", result.execution_id, "--json")))[
        "tasks"
    ]
    told = ok(place.invoke("execution", "events", result.execution_id)).output
    assert "task_failed  invert[1199]  ZeroDivisionError" in told
    assert task_shown["elements"] == {
        "total": 1200,
        "completed": 1199,
        "failed": 1,
        "running": 0,
    }
