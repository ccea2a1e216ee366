"""The database, looked after from the command line, on both kinds."""

import subprocess
import sys
from pathlib import Path

import pytest

from cloacina import DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina.store.schema import HEAD
from cloacina.store.sqlite import sidecar_of
from cloacina_sdk.collect import Collection, collecting
from ctl.commands import Place, document, ok
from engine import revision_0001
from engine.databases import Where
from engine.test_schema import untouched

HOLDER = """
import sys
from cloacina import DefaultRunner, Runtime
with DefaultRunner(sys.argv[1], runtime=Runtime()):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def database(where: Where, place: Place, monkeypatch: pytest.MonkeyPatch) -> Where:
    """The database that is configured; nothing is in it yet."""
    assert place.path.is_dir()
    monkeypatch.setenv("CLOACINA_DATABASE", where.url)
    return where


def test_migrating_says_from_where_to_where_and_may_be_repeated(
    place: Place, database: Where
) -> None:
    with untouched(database) as connection:
        revision_0001.populate(connection)
    first = ok(place.invoke("db", "migrate"))
    assert f"from revision 0001 to revision {HEAD}" in first.output
    assert len(first.output.splitlines()) == 1  # Alembic keeps quiet
    assert document(ok(place.invoke("db", "migrate", "--json"))) == {"from": HEAD, "to": HEAD}
    assert f"is at revision {HEAD} already" in ok(place.invoke("db", "migrate")).output
    assert database.query("SELECT id FROM workflow_executions") == [(revision_0001.EXECUTION,)]


def test_migrating_makes_a_new_database(place: Place, database: Where) -> None:
    assert database.url not in {each.name for each in place.path.iterdir()}
    made = ok(place.invoke("db", "migrate"))
    assert f"from nothing to revision {HEAD}" in made.output
    assert document(ok(place.invoke("execution", "list", "--json"))) == []


def test_the_status_of_a_database_without_tables_of_ours(place: Place, database: Where) -> None:
    if database.is_postgres:
        shown = ok(place.invoke("db", "status")).output
        assert "there are no tables yet" in shown
    else:
        missing = place.invoke("db", "status")
        assert missing.exit_code == 2
        assert "there is no database" in missing.output
        assert not Path(database.url).exists()


def test_the_status_counts_what_there_is(place: Place, database: Where) -> None:
    with collecting(Collection()) as collection, WorkflowBuilder("w"):
        task(id="only", retry_attempts=1)(lambda context: 1 // context["zero"] and None)
    with DefaultRunner(database.url, runtime=Runtime(collection=collection)) as runner:
        for zero in (1, 1, 0):
            runner.execute("w", {"zero": zero}, timeout=30)
        found = document(ok(place.invoke("db", "status", "--json")))
        shown = ok(place.invoke("db", "status")).output
    assert found["executions"] == {"Completed": 2, "Failed": 1}
    assert (found["revision"], found["head"], found["is_newer"]) == (HEAD, HEAD, False)
    assert found["size_bytes"] > 50_000
    assert [each["is_alive"] for each in found["runners"]] == [True]
    assert "executions  2 Completed, 1 Failed" in shown
    assert "runners     1 alive\n" in shown
    after = document(ok(place.invoke("db", "status", "--json")))
    assert after["runners"] == []
    if database.is_postgres:
        assert found["database"].endswith(" schema public")


def test_a_runner_that_was_killed_is_shown_as_gone(place: Place, database: Where) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, database.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "open\n"
            (alive,) = document(ok(place.invoke("db", "status", "--json")))["runners"]
            assert (alive["is_alive"], alive["process_id"]) == (True, holder.pid)
        finally:
            holder.kill()
    if database.is_postgres:
        database.query("UPDATE runners SET lease_until = now() - interval '1 second'")
    (gone,) = document(ok(place.invoke("db", "status", "--json")))["runners"]
    assert gone == {**alive, "is_alive": False}
    assert "0 alive, 1 gone: the next runner takes over" in ok(place.invoke("db", "status")).output


def test_the_status_of_another_revision_is_shown_without_what_it_may_mean_by_now(
    place: Place, database: Where
) -> None:
    with untouched(database) as connection:
        revision_0001.populate(connection)
    old = ok(place.invoke("db", "status")).output
    assert f"revision    0001; 'cloacina-ctl db migrate' brings it to {HEAD}" in old
    assert "executions" not in old
    database.query("UPDATE cloacina_version SET version_num = '9999'")
    newer = ok(place.invoke("db", "status")).output
    assert f"9999, newer than this version knows ({HEAD})" in newer
    refused = place.invoke("db", "migrate")
    assert refused.exit_code == 1
    assert "upgrade cloacina" in refused.output


def test_looking_at_the_status_changes_nothing(place: Place, database: Where) -> None:
    ok(place.invoke("db", "migrate"))
    before = database.query("SELECT count(*) FROM runners")
    ok(place.invoke("db", "status"))
    assert database.query("SELECT count(*) FROM runners") == before
    assert not sidecar_of(Path(database.url)).exists()


def test_pruning_removes_what_ended_long_ago_and_nothing_else(
    place: Place, database: Where
) -> None:
    with collecting(Collection()) as collection, WorkflowBuilder("w"):
        task(id="only")(lambda _context: None)
    with DefaultRunner(database.url, runtime=Runtime(collection=collection)) as runner:
        ids = [runner.execute("w", timeout=30).execution_id for _ in range(3)]
        years_ago = "created_at = '2001-01-01T00:00:00.000000Z'"
        ended = "finished_at = '2001-01-02T00:00:00.000000Z'"
        change = f"UPDATE workflow_executions SET {years_ago}, {ended} WHERE id"  # noqa: S608 - ours
        database.query(f"{change} = '{ids[0]}'")
        database.query(f"{change} = '{ids[1]}'")
        trial = ok(place.invoke("db", "prune", "--older-than", "30d", "--dry-run")).output
        assert trial.startswith("2 executions would be removed that ended before 20")
        database.query(
            f"UPDATE workflow_executions SET status = 'Running', finished_at = NULL "  # noqa: S608
            f"WHERE id = '{ids[1]}'"
        )
        done = document(ok(place.invoke("db", "prune", "--older-than", "30d", "--json")))
        assert (done["executions"], done["dry_run"]) == (1, False)
        assert [each.execution_id for each in runner.executions()] == [ids[2], ids[1]]
    assert database.query("SELECT count(*) FROM task_executions") == [(2,)]
    again = ok(place.invoke("--set", "retention_seconds=60", "db", "prune")).output
    assert again.startswith("0 executions removed")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "say how old, such as --older-than 30d"),
        (["--older-than", "soon"], "--older-than"),
        (["--older-than", "-1d"], "--older-than"),
    ],
)
def test_pruning_needs_an_age(place: Place, options: list[str], problem: str) -> None:
    result = place.invoke("db", "prune", *options)
    assert result.exit_code == 2
    assert problem in result.output


def test_pruning_makes_no_database(place: Place) -> None:
    result = place.invoke("db", "prune", "--older-than", "1d", "--database", "missing.db")
    assert result.exit_code == 2
    assert "there is no database" in result.output
    assert not Path("missing.db").exists()
