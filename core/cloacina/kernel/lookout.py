"""What a runner finds outside when it looks around, and when it looks again because it could not."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from cloacina.errors import (
    EngineError,
    EvictedError,
    ExecutionNotFoundError,
    StoreUnavailableError,
)
from cloacina.kernel.clock import Clock
from cloacina.log import Logger
from cloacina.model.patience import Patience
from cloacina.ownership.neighbours import Neighbours
from cloacina.planner.events import Requested, StoredExecution, Verdict
from cloacina.planner.queue.claims import Question, Taken
from cloacina.store.direct import Settled

_LOG = Logger("cloacina")
_BACKSTOP_US = 5_000_000
"""How long a slot of a key that another runner freed may go unnoticed."""


class Lookout:
    """Looks at the database for the kernel; a look that fails is repeated a little later."""

    def __init__(self, neighbours: Neighbours, clock: Clock) -> None:
        """Look through ``neighbours``."""
        self._neighbours = neighbours
        self._clock = clock
        self._next_us: int | None = None
        self._patience = Patience()
        self._has_asked = False

    @property
    def next_due_us(self) -> int | None:
        """The monotonic time at which to look around unasked, if the last look failed."""
        return self._next_us

    def take_due(self, now_us: int) -> bool:
        """Return whether it is time to look around unasked; say so once."""
        if self._next_us is None or self._next_us > now_us:
            return False
        self._next_us = None
        return True

    def has_looked(self) -> None:
        """Note the end of a look around."""
        if self._next_us is None:
            self._patience.reset()

    def claim(self) -> Sequence[StoredExecution]:
        """Take over what nobody plans.

        Raises:
            EvictedError: the other runners hold this one for dead.
        """
        try:
            return self._neighbours.take_over()
        except EvictedError:
            raise
        except EngineError as error:
            self.survive(error, "executions to take over")
        return ()

    def commands(self) -> Sequence[Requested]:
        """Return what others left in the inbox for us to obey or to settle."""
        try:
            return self._neighbours.commands()
        except EngineError as error:
            self.survive(error, "what others ask")
            return ()

    def taken(self, keys: Collection[str]) -> Taken | None:
        """Return who has slots of keys; ``None`` if that is not to be known now."""
        try:
            return self._neighbours.taken(Question(keys=keys))
        except EngineError as error:
            self.survive(error, "who has slots of keys")
            return None

    def wait_for_keys(self) -> None:
        """Be rung when others free slots of keys, and look for them at times without that."""
        if not self._has_asked:
            self._has_asked = True
            self._neighbours.ask_for_ends()
        look_at_us = self._clock.now().monotonic_us + _BACKSTOP_US
        if self._next_us is None or self._next_us > look_at_us:
            self._next_us = look_at_us

    def settle(self, command: Requested) -> Settled:
        """Do what a command asks of an execution that nobody owns; else leave it open."""
        try:
            return self._neighbours.settle(command, self._clock.now(), is_new=False)
        except ExecutionNotFoundError:
            _LOG.debug("execution %s was removed with its commands", command.execution_id)
        except EngineError as error:
            self.survive(error, f"what is asked of execution {command.execution_id}")
        return Settled(None)

    def answers(self, command_ids: Sequence[str]) -> Mapping[str, Verdict]:
        """Return what other runners answered to commands of ours."""
        if not command_ids:
            return {}
        try:
            return self._neighbours.answers(command_ids)
        except EngineError as error:
            self.survive(error, "what others answered")
            return {}

    def ends(
        self, execution_ids: Sequence[str]
    ) -> Iterator[tuple[str, StoredExecution | EngineError]]:
        """Yield those executions of other runners that ended, or why that will not be known."""
        for execution_id in execution_ids:
            try:
                stored = self._neighbours.finished(execution_id)
            except StoreUnavailableError as error:
                self.look_later(error)
                return
            except EngineError as error:
                yield execution_id, error
                continue
            if stored is not None:
                yield execution_id, stored

    def note(self, error: EngineError) -> None:
        """Look around again if what failed may succeed later."""
        if isinstance(error, StoreUnavailableError):
            self.look_later(error)

    def survive(self, error: EngineError, wanted: str) -> None:
        """Look again if that may help; else tell what was ``wanted``, and that it is not known."""
        if isinstance(error, StoreUnavailableError):
            self.look_later(error)
        else:
            _LOG.error("could not look for %s; the next change retries", wanted, exc_info=error)

    def look_later(self, error: StoreUnavailableError) -> None:
        """Look around again, as the database could not be asked; later each time."""
        pause_s = self._patience.take()
        _LOG.warning("%s; looking again in %g s", error, pause_s)
        self._next_us = self._clock.now().monotonic_us + int(pause_s * 1_000_000)
