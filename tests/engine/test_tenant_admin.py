"""Tenants with roles of their own, on a real server."""

import base64
import hashlib
import hmac
import string
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from cloacina import (
    DatabaseAdmin,
    DefaultRunner,
    DefaultRunnerConfig,
    Runtime,
    TenantConfig,
    TenantCredentials,
)
from cloacina.errors import TenantError
from cloacina.store.schema import HEAD
from cloacina.store.tenant import Tenant
from engine.databases import Where
from engine.workflows import a_copier

CLOSED = "permission denied for"
ROLE = "SELECT 1 FROM pg_roles WHERE rolname = '{}'"
PASSWORD = "SELECT rolpassword FROM pg_authid WHERE rolname = '{}'"


@pytest.fixture
def admin(postgres: Where) -> DatabaseAdmin:
    return DatabaseAdmin(postgres.url)


@pytest.fixture
def role(postgres: Where) -> Iterator[str]:
    """A name that no other test of this server has; roles belong to the server, not the database."""
    name = f"Role_{uuid4().hex[:12]}"
    yield name
    for found in (name, f"{name}_b"):
        if postgres.query(ROLE.format(found)):
            postgres.query(f'DROP OWNED BY "{found}" CASCADE')
            postgres.query(f'DROP ROLE "{found}"')


@pytest.fixture
def runtime(runtime: Runtime) -> Runtime:
    a_copier("w")
    return runtime


def opened(credentials: TenantCredentials, runtime: Runtime) -> DefaultRunner:
    return DefaultRunner(
        credentials.connection_string, schema=credentials.schema_name, runtime=runtime
    )


def refused(credentials: TenantCredentials, statement: str) -> str:
    with (
        psycopg.connect(credentials.connection_string, autocommit=True) as connection,
        pytest.raises(psycopg.Error) as error,
    ):
        connection.execute(statement.encode())
    return str(error.value)


def test_a_runner_works_with_the_rights_of_its_tenant_alone(
    admin: DatabaseAdmin, postgres: Where, role: str, runtime: Runtime
) -> None:
    one = admin.create_tenant(TenantConfig("Acme", role))
    two = admin.create_tenant(TenantConfig("select", f"{role}_b"))
    with opened(one, runtime) as first, opened(two, runtime) as second:
        ids = [each.execute("w", {"by": 1}).execution_id for each in (first, second)]
        assert [[e.execution_id for e in each.executions()] for each in (first, second)] == [
            [execution_id] for execution_id in ids
        ]
    owners = "SELECT DISTINCT schemaname, tableowner FROM pg_tables WHERE tablename = 'runners'"
    assert sorted(postgres.query(owners)) == [("Acme", role), ("select", f"{role}_b")]


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT * FROM "Beta".workflow_executions',
        'DELETE FROM "Beta".runners',
        'CREATE TABLE "Beta".mine ()',
        "SELECT * FROM public.workflow_executions",
        "CREATE TABLE public.mine ()",
        "CREATE SCHEMA more",
        "CREATE ROLE more",
        "CREATE DATABASE more",
        "SELECT rolpassword FROM pg_authid",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        'DROP SCHEMA "Beta" CASCADE',
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
def test_a_tenant_can_touch_nothing_but_its_own_schema(
    admin: DatabaseAdmin, postgres: Where, role: str, runtime: Runtime, statement: str
) -> None:
    postgres.query("GRANT CREATE ON SCHEMA public TO PUBLIC")  # as PostgreSQL did before 15
    DefaultRunner(postgres.url, runtime=runtime).shutdown()
    other = admin.create_tenant(TenantConfig("Beta", f"{role}_b"))
    opened(other, runtime).shutdown()
    mine = admin.create_tenant(TenantConfig("Acme", role))
    assert any(word in refused(mine, statement) for word in (CLOSED, "must be owner", "denied"))
    with psycopg.connect(mine.connection_string) as connection:
        connection.execute("CREATE TABLE mine ()")  # in its own schema, which need not be named


def test_a_generated_password_is_long_new_and_never_shown(
    admin: DatabaseAdmin, postgres: Where, role: str
) -> None:
    config = TenantConfig("acme", role, "")
    made = admin.create_tenant(config)
    assert len(made.password) == 32
    assert set(made.password) <= set(string.ascii_letters + string.digits)
    assert config.password_or_new() != config.password_or_new()
    assert urlsplit(made.connection_string).password == made.password
    for shown in (repr(made), str(made), repr(config), repr(admin), f"{made}"):
        assert made.password not in shown
    ((verifier,),) = postgres.query(PASSWORD.format(role))
    assert is_verified(made.password, verifier)
    assert not is_verified("another", verifier)


def is_verified(password: str, verifier: str) -> bool:
    """Check a password as the server does (RFC 5802)."""
    kind, round_and_salt, keys = verifier.split("$")
    assert kind == "SCRAM-SHA-256"
    rounds, salt = round_and_salt.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return base64.b64encode(stored).decode() == keys.split(":")[0]


def test_a_given_password_of_any_characters_is_taken(
    admin: DatabaseAdmin, postgres: Where, role: str
) -> None:
    password = "p:@/?#'\"\\ ü%20"
    made = admin.create_tenant(TenantConfig("acme", role, password))
    assert made.password == password
    ((verifier,),) = postgres.query(PASSWORD.format(role))
    assert is_verified(password, verifier)
    with psycopg.connect(made.connection_string) as connection:
        assert connection.info.password == password
        assert connection.execute("SELECT current_user, current_schema").fetchone() == (
            role,
            "acme",
        )


def test_what_exists_is_refused_by_name_and_nothing_is_changed(
    admin: DatabaseAdmin, postgres: Where, role: str
) -> None:
    admin.create_tenant(TenantConfig("acme", role))
    before = postgres.query("SELECT rolpassword FROM pg_authid ORDER BY 1")
    with pytest.raises(TenantError, match="there is a schema 'acme' already"):
        admin.create_tenant(TenantConfig("acme", f"{role}_b"))
    with pytest.raises(TenantError, match=r"there is a role 'Role_.*' already"):
        admin.create_tenant(TenantConfig("other", role))
    assert postgres.query("SELECT rolpassword FROM pg_authid ORDER BY 1") == before
    assert postgres.query("SELECT 1 FROM pg_namespace WHERE nspname = 'other'") == []


def test_tenants_that_are_made_at_once_are_made_once(admin: DatabaseAdmin, role: str) -> None:
    outcomes: list[str] = []

    def make() -> None:
        try:
            admin.create_tenant(TenantConfig("acme", role))
            outcomes.append("made")
        except TenantError:
            outcomes.append("refused")

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["made", "refused", "refused", "refused"]
    assert len(admin.list_tenants()) == 1


def test_a_tenant_is_removed_with_everything_that_it_had_while_its_runner_runs(
    admin: DatabaseAdmin, postgres: Where, role: str, runtime: Runtime
) -> None:
    made = admin.create_tenant(TenantConfig("acme", role))
    config = DefaultRunnerConfig(shutdown_timeout_seconds=0.1)
    with DefaultRunner(
        made.connection_string, schema="acme", runtime=runtime, config=config
    ) as runner:
        runner.execute("w", {"by": 1})
        admin.remove_tenant("acme", role)
    assert postgres.query("SELECT 1 FROM pg_namespace WHERE nspname = 'acme'") == []
    assert postgres.query(ROLE.format(role)) == []
    with pytest.raises(TenantError, match="there is no role"):
        admin.remove_tenant("acme", role)
    again = admin.create_tenant(TenantConfig("acme", role))
    with opened(again, runtime) as runner:
        assert runner.executions() == []


def test_what_is_not_the_roles_own_is_not_removed(
    admin: DatabaseAdmin, postgres: Where, role: str
) -> None:
    admin.create_tenant(TenantConfig("acme", role))
    postgres.query("CREATE SCHEMA precious")
    with pytest.raises(TenantError, match=r"'precious' is owned by .* and not by"):
        admin.remove_tenant("precious", role)
    with pytest.raises(TenantError, match="there is no schema 'missing'"):
        admin.remove_tenant("missing", role)
    with pytest.raises(TenantError, match="everybody's"):
        admin.remove_tenant("public", role)
    assert [tenant.schema_name for tenant in admin.list_tenants()] == ["acme"]
    with psycopg.connect(postgres.url, user=role) as connection:  # it may still log in
        assert connection.execute("SELECT current_user").fetchone() == (role,)


def test_tenants_are_listed_with_who_owns_them_and_how_far_they_are(
    admin: DatabaseAdmin, postgres: Where, role: str, runtime: Runtime
) -> None:
    assert admin.list_tenants() == []
    admin.create_tenant(TenantConfig("acme", role))
    DefaultRunner.with_schema(postgres.url, "plain").shutdown()
    postgres.query("CREATE SCHEMA nothing_of_ours")
    (owner,) = postgres.query("SELECT current_user")[0]
    assert admin.list_tenants() == [
        Tenant(schema_name="acme", owner=role, has_own_role=True, revision=None),
        Tenant(schema_name="plain", owner=owner, has_own_role=False, revision=HEAD),
    ]


@pytest.mark.parametrize(
    ("schema", "username", "problem"),
    [
        ("", "u", "Schema name cannot be empty"),
        ('a"; DROP', "u", "only alphanumeric"),
        ("public", "u", "everybody's"),
        ("pg_x", "u", "reserves"),
        (5, "u", "must be text"),
        ("a", "", "the username must be"),
        ("a", 'u"; DROP', "the username must be"),
        ("a", "1u", "the username must be"),
        ("a", "u" * 64, "the username must be"),
        ("a", "PG_u", "reserves"),
        ("a", "postgres", "reserves"),
        ("a", None, "the username must be"),
    ],
)
def test_a_name_that_no_tenant_can_have_is_refused(
    schema: str, username: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem) as refusal:
        TenantConfig(schema, username)
    assert isinstance(refusal.value, RuntimeError)
    with pytest.raises(RuntimeError, match=problem):
        DatabaseAdmin("postgresql://h/d").remove_tenant(schema, username)


def test_a_password_that_no_role_can_have_is_refused() -> None:
    for password in ("a\0b", 5):
        with pytest.raises(ValueError, match="without NUL"):
            TenantConfig("a", "u", password)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite:///x.db", "which alone has tenants"),
        ("mysql://u:secret@h/d", "'mysql'"),
        ("postgresql://h", "names no database"),
        ("postgresql://h/d?pool=3", "'pool'"),
    ],
)
def test_an_admin_needs_a_database_of_postgres(url: str, problem: str) -> None:
    with pytest.raises(RuntimeError, match=problem) as refusal:
        DatabaseAdmin(url)
    assert "secret" not in str(refusal.value)


def test_a_server_that_cannot_be_reached_is_an_error_without_a_password() -> None:
    admin = DatabaseAdmin("postgresql://u:secret@/d?host=/nowhere")
    with pytest.raises(TenantError, match="could not make the tenant 'a'") as refusal:
        admin.create_tenant(TenantConfig("a", "u", "hidden"))
    assert "secret" not in str(refusal.value)
    assert "hidden" not in str(refusal.value)


def test_an_admin_that_is_no_superuser_will_do(
    admin: DatabaseAdmin, postgres: Where, role: str, runtime: Runtime
) -> None:
    postgres.query(f'CREATE ROLE "{role}_b" LOGIN CREATEROLE')
    (database,) = postgres.query("SELECT current_database()")[0]
    postgres.query(f'GRANT CREATE, CONNECT ON DATABASE {database} TO "{role}_b" WITH GRANT OPTION')
    parts = urlsplit(postgres.url)
    limited = DatabaseAdmin(parts._replace(netloc=f"{role}_b@").geturl())
    made = limited.create_tenant(TenantConfig("acme", role))
    with opened(made, runtime) as runner:
        assert runner.execute("w", {"by": 1}).status == "Completed"
    limited.remove_tenant("acme", role)
    assert admin.list_tenants() == []
