"""The input of a run, as it is given on the command line."""

from pathlib import Path

from cloacina.ctl.exit_codes import USAGE
from cloacina.ctl.failure import Failure
from cloacina_sdk.context import Context
from cloacina_sdk.errors import InvalidContextValueError, InvalidJsonError


def read_context(text: str | None) -> Context:
    """Read a JSON object, or the file that ``@FILE`` names; nothing is an empty context.

    Raises:
        Failure: if it is not one JSON object of UTF-8 text, or there is no such file.
    """
    if text is None:
        return Context()
    where = "--context"
    try:
        if text.startswith("@"):
            where = text.removeprefix("@")
            text = Path(where).read_text("utf-8")
        return Context.from_json(text)
    except OSError as error:
        fact = f"the context {where} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        fact = f"the context {where} is not UTF-8 text"
    except InvalidJsonError as error:
        fact = f"the context is not a JSON object: {error.reason}"
    except InvalidContextValueError as error:
        fact = f"the context cannot be used: {error}"
    raise Failure(
        fact,
        steps=["""Write it like --context '{"name": "value"}', or as --context @FILE"""],
        exit_code=USAGE,
    )
