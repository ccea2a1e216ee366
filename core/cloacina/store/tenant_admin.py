"""Make and remove tenants of a PostgreSQL database, each with a schema and a role of its own.

Rules it upholds:

* a tenant's role may log in, connect to this database, and own its schema; nothing else is granted
  to it. Where everybody may create things in the schema ``public`` (PostgreSQL before 15), that is
  taken back, or every tenant could;
* passwords go to the server as SCRAM verifiers, so that no statement log has them;
* a tenant is made in one transaction: all of it or nothing;
* only a schema that is owned by the role is removed with the role.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, LiteralString
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from cloacina.errors import (
    AdminUrlError,
    InvalidUrlError,
    TenantError,
    TenantExistsError,
    TenantNotFoundError,
)
from cloacina.store.drivers import require_psycopg
from cloacina.store.tenant import Tenant, TenantConfig, TenantCredentials, check_names
from cloacina.store.url import PostgresLocation, parse_location

require_psycopg()
import psycopg  # noqa: E402 - is an extra
from psycopg import conninfo, sql  # noqa: E402

from cloacina.store.postgres_access import conninfo_of  # noqa: E402

_MARK: Final = "tenant of cloacina"
_SCRAM: Final = b"scram-sha-256"

_TENANTS: Final = """
    SELECT n.nspname, r.rolname, coalesce(obj_description(n.oid, 'pg_namespace') = %s, false),
           to_regclass(format('%%I.cloacina_version', n.nspname)) IS NOT NULL
           AND to_regclass(format('%%I.workflow_executions', n.nspname)) IS NOT NULL
    FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY n.nspname
"""


class DatabaseAdmin:
    """One PostgreSQL database, seen by a role that may make roles and schemas.

    Each call opens a connection of its own. Safe to use from several threads.
    """

    def __init__(self, database_url: str) -> None:
        """Remember where the database is.

        Args:
            database_url: of PostgreSQL, with the name of a database.

        Raises:
            AdminUrlError: if the URL is another, or names no database.
            MissingDriverError: when the driver is not installed.
        """
        try:
            location = parse_location(database_url)
        except InvalidUrlError as error:
            raise AdminUrlError(error.url, error.problem) from error
        if not isinstance(location, PostgresLocation):
            raise AdminUrlError(location.shown, "is not of PostgreSQL, which alone has tenants")
        try:
            self._conninfo = conninfo_of(location)
        except InvalidUrlError as error:
            raise AdminUrlError(error.url, error.problem) from error
        self._database = conninfo.conninfo_to_dict(self._conninfo).get("dbname")
        if not self._database:
            raise AdminUrlError(location.shown, "names no database")
        self._location = location

    def create_tenant(self, config: TenantConfig) -> TenantCredentials:
        """Make a schema, and a role that owns it and may touch nothing else.

        The tables are made when the first runner opens the schema, with the role's own rights.

        Raises:
            TenantExistsError: if there is such a schema or role already; nothing was changed.
            TenantError: if it cannot be done; nothing was changed.
        """
        password = config.password_or_new()
        schema, role = sql.Identifier(config.schema_name), sql.Identifier(config.username)
        with self._transaction(f"make the tenant {config.schema_name!r}") as connection:
            self._refuse_existing(connection, config)
            verifier = connection.pgconn.encrypt_password(
                password.encode(), config.username.encode(), _SCRAM
            ).decode()
            _run(
                connection,
                "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION "
                "NOBYPASSRLS PASSWORD {}",
                role,
                sql.Literal(verifier),
            )
            _run(connection, "GRANT {} TO CURRENT_USER", role)  # or it could not be given a schema
            _run(connection, "GRANT CONNECT ON DATABASE {} TO {}", self._name, role)
            _run(connection, "CREATE SCHEMA {} AUTHORIZATION {}", schema, role)
            _run(connection, "COMMENT ON SCHEMA {} IS {}", schema, sql.Literal(_MARK))
            _run(
                connection,
                "ALTER ROLE {} IN DATABASE {} SET search_path = {}",
                role,
                self._name,
                schema,
            )
            _keep_out_of_public(connection, config.username)
        return TenantCredentials(
            username=config.username,
            password=password,
            schema_name=config.schema_name,
            connection_string=self._url_of(config.username, password),
        )

    def remove_tenant(self, schema_name: str, username: str) -> None:
        """Remove a tenant's role, its schema, and everything in it; end the tenant's connections.

        If it fails half-way the tenant can no longer log in, and it can be removed again.

        Raises:
            TenantNotFoundError: if there is no such schema or role; nothing was changed.
            TenantError: if the schema is not the role's, which is not touched then, or if it
                cannot be done.
        """
        check_names(schema_name, username)
        schema, role = sql.Identifier(schema_name), sql.Identifier(username)
        doing = f"remove the tenant {schema_name!r}"
        with self._transaction(doing) as connection:
            _check_owner(connection, schema_name, username)
            _run(connection, "ALTER ROLE {} NOLOGIN", role)
        with self._transaction(doing) as connection:  # nobody can come back from here on
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                (username,),
            )
            _check_owner(connection, schema_name, username)
            _run(connection, "DROP SCHEMA {} CASCADE", schema)
            _run(connection, "REVOKE ALL ON DATABASE {} FROM {}", self._name, role)
            _run(connection, "DROP ROLE {}", role)

    def list_tenants(self) -> list[Tenant]:
        """Return the schemas that were made for tenants or have tables of cloacina, by name.

        Raises:
            TenantError: if the database cannot be asked.
        """
        with self._transaction("list the tenants") as connection:
            found = connection.execute(_TENANTS, (_MARK,)).fetchall()
            return [
                Tenant(
                    schema_name=schema,
                    owner=owner,
                    has_own_role=is_marked,
                    revision=_revision(connection, schema) if has_tables else None,
                )
                for schema, owner, is_marked, has_tables in found
                if is_marked or has_tables
            ]

    def __repr__(self) -> str:
        return f"DatabaseAdmin({self._location.shown!r})"

    @property
    def _name(self) -> sql.Identifier:
        return sql.Identifier(str(self._database))

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[psycopg.Connection]:
        try:
            with psycopg.connect(self._conninfo) as connection:
                yield connection
        except psycopg.Error as error:
            raise TenantError(f"could not {doing} of {self._location.shown}: {error}") from error

    def _refuse_existing(self, connection: psycopg.Connection, config: TenantConfig) -> None:
        taken = connection.execute(
            "SELECT 'schema', nspname FROM pg_namespace WHERE nspname = %s "
            "UNION ALL SELECT 'role', rolname FROM pg_roles WHERE rolname = %s",
            (config.schema_name, config.username),
        ).fetchone()
        if taken is not None:
            raise TenantExistsError(*taken)

    def _url_of(self, username: str, password: str) -> str:
        parts = urlsplit(self._location.url)
        host = parts.netloc.rpartition("@")[2]
        who = f"{quote(username, safe='')}:{quote(password, safe='')}"
        query = parse_qsl(parts.query, keep_blank_values=True)
        kept = [(key, value) for key, value in query if key not in {"user", "password", "passfile"}]
        return parts._replace(
            netloc=f"{who}@{host}", query=urlencode(kept, quote_via=quote)
        ).geturl()


def _keep_out_of_public(connection: psycopg.Connection, username: str) -> None:
    query = (
        "SELECT 1 FROM pg_namespace "
        "WHERE nspname = 'public' AND has_schema_privilege(%s, oid, 'CREATE')"
    )
    if connection.execute(query, (username,)).fetchone() is None:
        return
    connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # warns if it may not
    if connection.execute(query, (username,)).fetchone() is not None:
        raise TenantError(
            "everybody may create tables in the schema 'public' of this database, so a tenant "
            "could; have its owner type REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        )


def _run(connection: psycopg.Connection, statement: LiteralString, *parts: sql.Composable) -> None:
    connection.execute(sql.SQL(statement).format(*parts))


def _revision(connection: psycopg.Connection, schema: str) -> str | None:
    query = sql.SQL("SELECT version_num FROM {}.cloacina_version").format(sql.Identifier(schema))
    row: tuple[Any, ...] | None = connection.execute(query).fetchone()
    return None if row is None else str(row[0])


def _check_owner(connection: psycopg.Connection, schema_name: str, username: str) -> None:
    role = connection.execute("SELECT oid FROM pg_roles WHERE rolname = %s", (username,)).fetchone()
    if role is None:
        raise TenantNotFoundError("role", username)
    row = connection.execute(
        "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %s", (schema_name,)
    ).fetchone()
    if row is None:
        raise TenantNotFoundError("schema", schema_name)
    if row[0] != username:
        raise TenantError(
            f"the schema {schema_name!r} is owned by {row[0]!r} and not by {username!r}; nothing "
            "was removed: name the tenant's own role"
        )
