"""Judge what people ask of an execution in flight. What they send is text, and may be anything."""

import re
from typing import Final

from cloacina.model.states import Answer, ExecutionStatus, StopReason, Wish
from cloacina.planner.events import Requested, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina_sdk.document import Fields
from cloacina_sdk.errors import InvalidDocumentError
from cloacina_sdk.json_text import decode, encode
from cloacina_sdk.waiting import NAME, NAME_IN_WORDS

MOST_URGENT: Final = 1_000_000
_LONGEST_PROBLEM: Final = 400
"""Characters; what is wrong may be as long as what was sent."""
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,7}")


def judge(execution: ExecutionState, asked: Requested) -> Verdict:
    """Return what becomes of a wish; it is to be fulfilled if the answer is ``GRANTED``."""
    problem = problem_of(asked)
    if problem is not None:
        return Verdict(Answer.REFUSED, problem)
    wish = Wish(asked.wish)
    if not execution.can_be_stopped:
        if execution.status.is_final:
            return Verdict(Answer.ENDED)
        is_same = wish is Wish.CANCEL and execution.stopping is StopReason.CANCEL
        return Verdict(Answer.UNCHANGED if is_same else Answer.ENDING)
    is_so_already = {
        Wish.CANCEL: False,
        Wish.PAUSE: execution.status is ExecutionStatus.PAUSED,
        Wish.RESUME: execution.status is not ExecutionStatus.PAUSED,
        Wish.SET_PRIORITY: asked.argument == str(execution.identity.priority),
        Wish.MIGRATE: False,
        Wish.SEND_EVENT: False,
    }
    return Verdict(Answer.UNCHANGED if is_so_already[wish] else Answer.GRANTED)


def problem_of(asked: Requested) -> str | None:
    """Return why a wish makes no sense whatever it is asked of; ``None`` if it does."""
    try:
        wish = Wish(asked.wish)
    except ValueError:
        known = ", ".join(Wish)
        return f"there is no wish {asked.wish[:100]!r} in this version; those there are: {known}"
    try:
        if wish is Wish.SET_PRIORITY:
            priority_of(asked)
        elif wish is Wish.SEND_EVENT:
            event_of(asked)
    except ValueError as error:
        return str(error)[:_LONGEST_PROBLEM]
    return None


def priority_of(asked: Requested) -> int:
    """Return the priority that is asked for.

    Raises:
        ValueError: if it is no whole number from -1,000,000 to 1,000,000.
    """
    text = asked.argument or ""
    if not _WHOLE_NUMBER.fullmatch(text) or abs(int(text)) > MOST_URGENT:
        raise ValueError(
            f"a priority is a whole number from {-MOST_URGENT:,} to {MOST_URGENT:,}, and not "
            f"{text[:100]!r}"
        )
    return int(text)


def event_of(asked: Requested) -> tuple[str, str | None]:
    """Return the name and, as JSON text, the payload of the event that is to be sent.

    Raises:
        ValueError: if the argument is no such event, or its payload is too long.
    """
    problems: list[str] = []
    fields = Fields(decode(asked.argument or ""), "$", problems)
    name = fields.text("name", form=NAME, expected=NAME_IN_WORDS)
    payload = fields.value("payload", None)
    fields.close()
    if problems:
        raise InvalidDocumentError("event", problems)
    if payload is None:
        return name, None
    text = encode(payload)
    size = len(text.encode()) if asked.largest_bytes else 0
    if size > asked.largest_bytes:
        raise ValueError(
            f"the payload of event {name!r} has {size:,} bytes of JSON text, and "
            f"{asked.largest_bytes:,} are allowed (max_context_bytes)"
        )
    return name, text


def event_argument(name: str, payload: object) -> str:
    """Return the argument of a wish to send an event.

    Raises:
        InvalidContextValueError: if JSON cannot hold the payload.
    """
    given = {"name": name} if payload is None else {"name": name, "payload": payload}
    return encode(given)
