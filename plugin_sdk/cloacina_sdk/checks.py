"""Check the kinds of values that are given to decorators and builders, in the giver's words."""

from __future__ import annotations

from collections.abc import Mapping

from cloacina_sdk.errors import InvalidDefinitionError
from cloacina_sdk.spec import NAME, NAME_IN_WORDS


def checked_text(option: str, given: object) -> str:
    """Return a text.

    Raises:
        InvalidDefinitionError: if it is none.
    """
    if isinstance(given, str):
        return given
    raise InvalidDefinitionError(f"{option} must be a text, not {given!r}")


def checked_flag(option: str, given: object) -> bool:
    """Return True or False.

    Raises:
        InvalidDefinitionError: if it is neither.
    """
    if isinstance(given, bool):
        return given
    raise InvalidDefinitionError(f"{option} must be True or False, not {given!r}")


def checked_name(option: str, given: object) -> str:
    """Return a name of the form that workflows and tasks have, too.

    Raises:
        InvalidDefinitionError: if it has another form.
    """
    if isinstance(given, str) and NAME.fullmatch(given):
        return given
    raise InvalidDefinitionError(f"{option} {given!r} is not allowed: {NAME_IN_WORDS}")


def checked_tags(given: object) -> dict[str, str]:
    """Return a copy of tags, which are texts under texts.

    Raises:
        InvalidDefinitionError: if they are not.
    """
    if not isinstance(given, Mapping):
        raise InvalidDefinitionError(f"tags must be a mapping of texts to texts, not {given!r}")
    return {
        checked_text("The key of a tag", key): checked_text(f"The tag {key!r}", value)
        for key, value in given.items()
    }
