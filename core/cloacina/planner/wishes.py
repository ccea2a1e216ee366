"""Judge what people ask of an execution in flight. What they send is text, and may be anything."""

import re
from typing import Final

from cloacina.model.states import Answer, ExecutionStatus, StopReason, Wish
from cloacina.planner.events import Requested, Verdict
from cloacina.planner.execution import ExecutionState

MOST_URGENT: Final = 1_000_000
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
    }
    return Verdict(Answer.UNCHANGED if is_so_already[wish] else Answer.GRANTED)


def problem_of(asked: Requested) -> str | None:
    """Return why a wish makes no sense whatever it is asked of; ``None`` if it does."""
    try:
        wish = Wish(asked.wish)
    except ValueError:
        known = ", ".join(Wish)
        return f"there is no wish {asked.wish[:100]!r} in this version; those there are: {known}"
    if wish is Wish.SET_PRIORITY:
        try:
            priority_of(asked)
        except ValueError as error:
            return str(error)
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
