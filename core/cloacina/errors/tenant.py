"""Tenants that cannot be made, found or removed."""

from cloacina.errors.database import InvalidUrlError
from cloacina.errors.root import EngineError


class AdminUrlError(InvalidUrlError, RuntimeError):
    """A URL that tenants cannot be made by."""


class TenantError(EngineError, RuntimeError):
    """A tenant could not be made, listed or removed."""


class InvalidTenantError(TenantError, ValueError):
    """A name or a password that no tenant can have."""


class TenantExistsError(TenantError):
    """There is a schema or role of that name already."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(
            f"there is a {kind} {name!r} already, and it was not touched; choose another name, or "
            "remove that tenant first"
        )


class TenantNotFoundError(TenantError, LookupError):
    """There is no schema or role of that name."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(
            f"there is no {kind} {name!r}; 'cloacina-ctl tenant list' shows those there are"
        )
