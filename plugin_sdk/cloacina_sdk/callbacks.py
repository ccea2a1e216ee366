"""What an author wants to be called when a task or a workflow has come to something.

* They are called after that is durable, at most once, and only by the host that saw it: what has to
  happen belongs in a task.
* What they raise is logged, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from cloacina_sdk.errors import InvalidDefinitionError

Callback: TypeAlias = Callable[..., object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """Functions, plain or async, of a task or of a workflow; `name` is its id or name.

    Attributes:
        on_success: called with name and context.
        on_failure: called with name, error text and context; of a task, after each failed attempt.
        on_retry: like `on_failure`, if another attempt follows; of tasks only.

    Raises:
        InvalidDefinitionError: if one cannot be called.
    """

    on_success: Callback | None = None
    on_failure: Callback | None = None
    on_retry: Callback | None = None

    def __post_init__(self) -> None:
        for name in ("on_success", "on_failure", "on_retry"):
            given = getattr(self, name)
            if given is not None and not callable(given):
                raise InvalidDefinitionError(f"{name} takes a function, not {given!r}")

    @property
    def is_empty(self) -> bool:
        """Whether there is none."""
        return self.on_success is None and self.on_failure is None and self.on_retry is None


NO_CALLBACKS = Callbacks()
