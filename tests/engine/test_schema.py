"""The tables, the migrations and the revision that a new database is stamped with agree."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from cloacina.errors import EngineError, InvalidUrlError, SchemaVersionError
from cloacina.store import schema
from cloacina.store.sqlite import SqliteDatabase
from cloacina.store.url import SqliteLocation


def described(engine: sa.Engine) -> dict[str, object]:
    """Tables with columns, keys and indexes; a column that was added later stands last."""
    inspector = sa.inspect(engine)
    tables = [name for name in inspector.get_table_names() if name != "alembic_version"]
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master").all()
        made_by = {name: " ".join((sql or "").split()) for name, sql in rows}
    return {
        table: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)],
            inspector.get_pk_constraint(table),
            inspector.get_foreign_keys(table),
            [
                (i["name"], i["column_names"], made_by[i["name"]])
                for i in inspector.get_indexes(table)
            ],
            "WITHOUT ROWID" in made_by[table],
        )
        for table in tables
    }


def test_migrations_from_nothing_lead_to_the_tables_that_a_new_database_gets(
    tmp_path: Path,
) -> None:
    migrated = sa.create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with migrated.begin() as connection:
        schema.upgrade(connection)
        assert schema.current_revision(connection) == schema.HEAD
    database = SqliteDatabase(SqliteLocation(path=tmp_path / "new.db"))
    assert described(migrated) == described(database.engine)
    database.close()
    migrated.dispose()


def test_the_head_named_in_the_code_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "cloacina.store:migrations")
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == schema.HEAD
    assert {revision.revision for revision in script.walk_revisions()} == set(schema._REVISIONS)


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    SqliteDatabase(SqliteLocation(path=path)).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaVersionError, match="upgrade cloacina"):
        SqliteDatabase(SqliteLocation(path=path))


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
