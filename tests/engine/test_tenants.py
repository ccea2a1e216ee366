"""PostgreSQL URLs, and a schema for each tenant."""

import subprocess
import sys

import pytest

from cloacina import DefaultRunner, Runtime
from cloacina.errors import InvalidSchemaError, InvalidUrlError, SchemaSetupError
from cloacina.store.url import PostgresLocation, parse_location
from engine.databases import Where
from engine.workflows import a_copier


@pytest.fixture
def runtime(runtime: Runtime) -> Runtime:
    a_copier("w")
    return runtime


def test_tenants_in_one_database_see_only_what_is_theirs(postgres: Where, runtime: Runtime) -> None:
    with (
        DefaultRunner(postgres.url, runtime=runtime, schema="Tenant_1") as one,
        DefaultRunner(postgres.url, runtime=runtime, schema="select") as two,
        DefaultRunner(postgres.url, runtime=runtime) as public,
    ):
        ids = [
            each.execute("w", {"by": n}).execution_id for n, each in enumerate((one, two, public))
        ]
        found = [[row.execution_id for row in each.executions()] for each in (one, two, public)]
    assert found == [[execution_id] for execution_id in ids]
    tables = "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'runners' ORDER BY 1"
    assert postgres.query(tables) == [("Tenant_1",), ("public",), ("select",)]


def test_every_statement_names_the_schema(postgres: Where, runtime: Runtime) -> None:
    nowhere = postgres.with_option(
        "search_path", "pg_catalog"
    ).url  # an unqualified name would not be found
    with DefaultRunner(nowhere, runtime=runtime, schema="tenant") as runner:
        execution_id = runner.execute("w", {"by": "me"}).execution_id
    with DefaultRunner(nowhere, runtime=runtime, schema="tenant") as runner:
        assert runner.handle(execution_id).wait(10).final_context["done"] == "me"


def test_a_schema_of_the_name_is_made_by_with_schema(postgres: Where) -> None:
    with DefaultRunner.with_schema(postgres.url, "acme") as runner:
        assert runner.executions() == []
    assert postgres.query("SELECT count(*) FROM acme.runners") == [(0,)]


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ("", "Schema name cannot be empty"),
        ("a-b", "Schema name must contain only alphanumeric characters and underscores"),
        ('a"; DROP', "Schema name must contain only alphanumeric characters and underscores"),
        ("ä", "Schema name must contain only alphanumeric characters and underscores"),
        ("1a", "must not begin with a digit"),
        ("a" * 64, "longer than 63"),
        ("pg_temp", "reserves"),
        ("information_schema", "reserves"),
    ],
)
def test_a_name_that_no_schema_can_have_is_refused(schema: str, problem: str) -> None:
    with pytest.raises(InvalidSchemaError, match=problem):
        DefaultRunner.with_schema("postgresql://h/d", schema)
    assert issubclass(InvalidSchemaError, ValueError)


def test_a_schema_of_another_database_is_refused_before_its_name() -> None:
    with pytest.raises(ValueError, match="is not of PostgreSQL"):
        DefaultRunner.with_schema("sqlite:///x.db", "")


def test_the_longest_name_of_a_schema_is_taken() -> None:
    assert parse_location("postgres://h/d", "_" + "a" * 62) == PostgresLocation(
        url="postgres://h/d", schema="_" + "a" * 62
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@h/d?sslmode=disable", "postgresql://u:***@h/d"),
        ("postgres://u:secret@/d", "postgres://u:***@/d"),
        ("postgresql://h/d?password=secret", "postgresql://h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    location = parse_location(url)
    assert isinstance(location, PostgresLocation)
    assert location.shown == shown
    assert "secret" not in repr(location)
    with pytest.raises(InvalidUrlError) as refused:
        DefaultRunner(f"{url}{'&' if '?' in url else '?'}no_such_key=1")
    assert "secret" not in str(refused.value)


def test_a_query_key_that_libpq_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(InvalidUrlError, match="pool_size"):
        DefaultRunner("postgresql://h/d?pool_size=3")


def test_a_url_that_libpq_cannot_read_is_refused_without_its_password() -> None:
    with pytest.raises(InvalidUrlError, match="none that libpq can read") as refused:
        DefaultRunner("postgresql://u:secret@[::1/d")
    assert "secret" not in str(refused.value)


def test_a_database_that_cannot_be_reached_is_named_with_the_schema() -> None:
    with pytest.raises(SchemaSetupError, match="Failed to set up schema 'acme'"):
        DefaultRunner.with_schema("postgresql://u:secret@/d?host=/nowhere", "acme")
    assert issubclass(SchemaSetupError, RuntimeError)


def test_a_missing_driver_is_named_with_its_extra() -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from cloacina import DefaultRunner\n"
        "try: DefaultRunner('postgresql://h/d')\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "pip install 'cloacina[postgres]'" in done.stdout
