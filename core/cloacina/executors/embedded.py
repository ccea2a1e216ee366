"""What the executors of this process need beside an attempt's description: the body itself."""

import contextvars
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cloacina_sdk.attempt import TaskReadyEvent

NOT_BEGUN_TYPE = "Cancelled"
"""The error type of an attempt that was stopped before its body began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The body of an embedded task.

    Attributes:
        function: takes the context.
        variables: the context variables of whoever submitted, to be copied.
    """

    function: Callable[..., Any]
    variables: contextvars.Context | None

    def own_variables(self) -> contextvars.Context:
        """Return context variables that the body may change."""
        return contextvars.Context() if self.variables is None else self.variables.copy()


FindBody = Callable[[TaskReadyEvent], Body]
"""Returns the body of an attempt; raises ``LookupError`` if it is not registered here."""
