"""A tenant of a PostgreSQL database: a schema and a role that may touch nothing else."""

import re
import secrets
import string
from dataclasses import dataclass, field
from typing import Final

from cloacina.errors import InvalidSchemaError, InvalidTenantError
from cloacina.store.url import DEFAULT_SCHEMA, checked_schema

_ROLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_RESERVED_ROLES: Final = frozenset(
    {"public", "none", "current_user", "current_role", "session_user", "postgres"}
)
_ALPHABET: Final = string.ascii_letters + string.digits
_LENGTH: Final = 32


@dataclass(frozen=True)
class TenantConfig:
    """A tenant that is to be made.

    Attributes:
        schema_name: of letters, digits and underscores, not beginning with a digit, at most 63.
        username: the role's name, of the same form.
        password: the role's; ``None`` or empty to have one generated.

    Raises:
        InvalidTenantError: for a name that a tenant cannot have, or a password that no role can.
    """

    schema_name: str
    username: str
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_names(self.schema_name, self.username)
        _check_password(self.password)

    def password_or_new(self) -> str:
        """Return the password, or a new one of 32 random letters and digits if none was given."""
        return self.password or "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))

    def __repr__(self) -> str:
        return (
            f"TenantConfig(schema_name={self.schema_name!r}, username={self.username!r}, "
            "password='***')"
        )


@dataclass(frozen=True, kw_only=True)
class TenantCredentials:
    """How a tenant connects; printing it does not show the password.

    Attributes:
        username: the role's name.
        password: the role's; kept nowhere else.
        schema_name: where the tenant's tables are: what ``DefaultRunner.with_schema`` takes.
        connection_string: a URL with all of it but the schema.
    """

    username: str
    password: str = field(repr=False)
    schema_name: str
    connection_string: str = field(repr=False)

    def __repr__(self) -> str:
        return (
            f"TenantCredentials(username={self.username!r}, password='***', "
            f"schema_name={self.schema_name!r}, connection_string='***')"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A schema of a database that tables of cloacina are in, or that was made for them.

    Attributes:
        schema_name: of the schema.
        owner: the role that owns it.
        has_own_role: whether schema and role were made together, by ``create_tenant``.
        revision: of the tables; ``None`` as long as no runner opened it.
    """

    schema_name: str
    owner: str
    has_own_role: bool
    revision: str | None


def _check_password(password: object) -> None:
    if password is not None and (not isinstance(password, str) or "\0" in password):
        raise InvalidTenantError("the password must be text without NUL characters")


def check_names(schema_name: object, username: object) -> None:
    """Do nothing if a tenant may have these names.

    Raises:
        InvalidTenantError: if not.
    """
    try:
        schema = checked_schema(schema_name)
    except InvalidSchemaError as error:
        raise InvalidTenantError(str(error)) from error
    if schema == DEFAULT_SCHEMA:
        raise InvalidTenantError("the schema 'public' is everybody's and cannot be a tenant's")
    if not isinstance(username, str) or not _ROLE.fullmatch(username):
        raise InvalidTenantError(
            "the username must be of letters, digits and underscores, not begin with a digit, and "
            f"have at most 63 characters (given: {username!r})"
        )
    if username.lower().startswith("pg_") or username.lower() in _RESERVED_ROLES:
        raise InvalidTenantError(f"the username {username!r} is one that PostgreSQL reserves")
