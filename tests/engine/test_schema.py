"""The tables, the migrations and the revision that a new database is stamped with agree."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine.interfaces import ReflectedIndex

from cloacina import DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina.errors import EngineError, InvalidUrlError, SchemaVersionError
from cloacina.store import schema
from cloacina.store.postgres import PostgresDatabase
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.url import PostgresLocation, SqliteLocation
from cloacina_sdk.collect import collecting
from engine import revision_0001
from engine.databases import Where
from engine.racing import race


def described(engine: sa.Engine, schema_name: str | None = None) -> dict[str, object]:
    """What each table is made of."""
    look = sa.inspect(engine)
    return {
        table: (
            [
                (each["name"], str(each["type"]), each["nullable"])
                for each in look.get_columns(table, schema_name)
            ],
            look.get_pk_constraint(table, schema_name),
            [{**key, "referred_schema": None} for key in look.get_foreign_keys(table, schema_name)],
            [
                (each["name"], each["column_names"], each["unique"], _condition(each))
                for each in look.get_indexes(table, schema_name)
            ],
            look.get_table_options(table, schema_name),
        )
        for table in look.get_table_names(schema_name)
        if table != "alembic_version"
    }


def _condition(index: ReflectedIndex) -> list[str]:
    return [f"{key}={value}" for key, value in index.get("dialect_options", {}).items()]


def made(where: Where, schema_name: str = "public") -> SqliteDatabase | PostgresDatabase:
    """Open a database, which makes or upgrades its tables."""
    if where.is_postgres:
        location = PostgresLocation(url=where.url, schema=schema_name)
        return PostgresDatabase(location, lease_s=15)
    return SqliteDatabase(SqliteLocation(path=Path(where.url)))


@contextmanager
def untouched(where: Where, schema_name: str | None = None) -> Iterator[sa.Connection]:
    """Open a transaction on a database that nobody has brought up to date."""
    if where.is_postgres:
        engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=partial(psycopg.connect, where.url),
            execution_options={"schema_translate_map": {None: schema_name or "public"}},
        )
    else:
        engine = sa.create_engine(f"sqlite:///{where.url}")
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_migrations_from_nothing_lead_to_the_tables_that_a_new_sqlite_file_gets(
    tmp_path: Path,
) -> None:
    old = Where(url=str(tmp_path / "migrated.db"), is_postgres=False)
    with untouched(old) as connection:
        schema.upgrade(connection)
        assert schema.current_revision(connection) == schema.HEAD
    migrated, new = made(old), SqliteDatabase(SqliteLocation(path=tmp_path / "new.db"))
    assert len(described(new.engine)) == 10
    assert described(migrated.engine) == described(new.engine)
    migrated.close()
    new.close()


def test_migrations_from_nothing_lead_to_the_tables_that_a_new_postgres_schema_gets(
    postgres: Where,
) -> None:
    postgres.query("CREATE SCHEMA migrated")
    with untouched(postgres, "migrated") as connection:
        schema.upgrade(connection)
        assert schema.current_revision(connection) == schema.HEAD
    database = made(postgres, "new")
    assert len(described(database.engine, "new")) == 10
    assert described(database.engine, "migrated") == described(database.engine, "new")
    assert described(database.engine, "public") == {}
    database.close()


@pytest.mark.parametrize("revision", schema._REVISIONS)
def test_an_upgrade_from_any_revision_loses_nothing_and_runs_go_on(
    where: Where, revision: str
) -> None:
    with untouched(where) as connection:
        revision_0001.populate(connection)
        if revision != "0001":
            schema.upgrade(connection, revision)
        assert schema.current_revision(connection) == revision
    database = made(where)
    with database.read() as connection:
        assert schema.current_revision(connection) == schema.HEAD
        assert revision_0001.contents(connection) == revision_0001.ROWS
    database.close()
    runtime = Runtime()
    with collecting(runtime.collection), WorkflowBuilder("w"):
        task(id="a")(lambda context: context.__setitem__("a", "done again"))
        task(id="b", dependencies=["a"])(lambda context: context.__setitem__("b", context["a"]))
    with DefaultRunner(where.url, runtime=runtime) as runner:
        result = runner.handle(revision_0001.EXECUTION).wait(10)
    assert result.status == "Completed"
    assert result.final_context.to_dict() == {"n": 1, "a": "done", "b": "done"}
    assert [each.attempts for each in result.tasks.values()] == [1, 2]


def test_several_processes_may_open_a_new_database_at_once(where: Where) -> None:
    script = (
        "import sys, cloacina.store.postgres; from cloacina import DefaultRunner\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "with DefaultRunner(sys.argv[1], schema=sys.argv[2] or None) as runner:\n"
        "    print(runner.executions())"
    )
    schema_name = "tenant" if where.is_postgres else ""
    found = race(script, where.url, schema_name, count=4)
    assert found == [("[]\n", "")] * 4


def test_the_head_named_in_the_code_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "cloacina.store:migrations")
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == schema.HEAD
    assert {revision.revision for revision in script.walk_revisions()} == set(schema._REVISIONS)


def test_a_database_of_a_newer_version_is_refused(where: Where) -> None:
    made(where).close()
    where.query("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaVersionError, match="upgrade cloacina"):
        made(where)


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear reader, " * 100)
    with pytest.raises(EngineError, match=r"letter\.db"):
        SqliteDatabase(SqliteLocation(path=path))
    assert [found.name for found in tmp_path.iterdir()] == ["letter.db"]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///abs/c.db", "/abs/c.db"),
        ("sqlite://./rel.db", "rel.db"),
        ("sqlite://rel.db", "rel.db"),
        ("rel.db", "rel.db"),
        ("sqlite:///c.db?mode=rw", "/c.db"),
    ],
)
def test_a_url_means_the_path_after_its_scheme(url: str, path: str) -> None:
    assert SqliteLocation.parse(url).path == Path(path)


@pytest.mark.parametrize("url", [":memory:", "sqlite://:memory:"])
def test_memory_is_private(url: str) -> None:
    assert SqliteLocation.parse(url).path is None


@pytest.mark.parametrize(
    ("url", "fact"),
    [
        ("mysql://x/y", "'mysql'"),
        ("sqlite://", "no file"),
        ("", "no file"),
        ("sqlite:///c.db?cache=shared", "'cache'"),
        ("sqlite:///c.db?mode=fast", "'fast'"),
        ("a\0b", "NUL"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_fact(url: str, fact: str) -> None:
    with pytest.raises(InvalidUrlError, match=fact):
        SqliteLocation.parse(url)


def test_a_missing_file_is_created_only_where_the_mode_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidUrlError, match="does not exist"):
        SqliteDatabase(SqliteLocation.parse(f"sqlite://{tmp_path}/c.db?mode=rw"))
    with pytest.raises(InvalidUrlError, match="not a directory"):
        SqliteDatabase(SqliteLocation.parse(f"sqlite://{tmp_path}/no/c.db"))
    assert list(tmp_path.iterdir()) == []
