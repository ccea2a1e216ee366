"""The other runners on a PostgreSQL schema: leases say who lives, ``NOTIFY`` wakes."""

import os
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from cloacina.errors import EvictedError
from cloacina.log import Logger
from cloacina.ownership.member import Member
from cloacina.ownership.neighbours import Accepts
from cloacina.ownership.pulse import LOOK, LeaseTimes, Pulse
from cloacina.planner.events import StoredExecution
from cloacina.store import ownership
from cloacina.store.postgres import PostgresDatabase

_LOG = Logger("cloacina")


class LeaseNeighbours(Member):
    """This runner among those that share its schema (see ``Neighbours``)."""

    _if_unwritten = "the others take over when the lease has run out"

    def __init__(
        self,
        database: PostgresDatabase,
        runner_id: str,
        accepts: Accepts,
        clock_us: Callable[[], int],
        times: LeaseTimes,
    ) -> None:
        """Claim only what ``accepts`` says yes to; ``clock_us`` reads the wall clock."""
        super().__init__(database, runner_id, clock_us)
        self._database = database
        self._accepts = accepts
        self._times = times
        self._at_us, self._slots = 0, 0
        self._pulse: Pulse | None = None
        self._in_doubt: list[str] = []
        """What a claim was about whose answer was lost."""

    def join(self, at_us: int, notice: Callable[[], None], *, slots: int) -> None:
        """Register with the others; ``notice`` is called whenever it is time to look around."""
        self._at_us, self._slots = at_us, slots
        self.join_again()
        self._pulse = Pulse(
            partial(self._database.open_line, self._runner_id), self._times, notice, self._on_change
        )

    def join_again(self) -> None:
        """Register with a new lease; nothing is owned yet."""
        self._in_doubt = []
        with self._database.write() as connection:
            if ownership.hold(connection, self._runner_id):
                return  # the answer to an earlier try was lost
            ownership.register(
                connection,
                self._runner_id,
                self._at_us,
                host=socket.gethostname(),
                process_id=os.getpid(),
                slots=self._slots,
                lease=timedelta(seconds=self._times.lease_s),
            )

    def take_over(self) -> Sequence[StoredExecution]:
        """Evict those whose lease ran out; claim and return what nobody owns and we can plan."""
        with self._database.read() as connection:
            leases = ownership.leases(connection)
            if self._runner_id not in leases:
                raise EvictedError(self._runner_id)
            peers = [leases[peer] for peer in leases.keys() - {self._runner_id}]
            self._note_peers(peer.slots for peer in peers if not peer.is_overdue)
            is_overdue = any(peer.is_overdue for peer in peers)
            is_needed = (
                is_overdue
                or self._in_doubt
                or any(map(self._accepts, ownership.unowned(connection)))
            )
        return self._claim() if is_needed else ()

    def ask_for_ends(self) -> None:
        """Have the others ring when executions of theirs end."""
        self._require_pulse().ask_for_ends()

    def tell_of_ends(self) -> None:
        """Wake those others that asked: executions of ours ended."""
        self._require_pulse().tell_of_ends()

    def ask_for_changes(self) -> None:
        """Have the others ring whenever they write something (see ``Neighbours``)."""
        self._require_pulse().ask_for_changes()

    def tell_of_changes(self) -> None:
        """Tell whoever asked for it: something was written."""
        self._on_change()
        self._require_pulse().tell_of_changes()

    def _ring_all(self) -> None:
        self._require_pulse().ring(LOOK)

    def _part(self) -> None:
        if self._pulse is not None:
            self._pulse.ring(LOOK)
            self._pulse.close()

    def _claim(self) -> list[StoredExecution]:
        with self._database.write() as connection:
            if not ownership.hold(connection, self._runner_id):
                raise EvictedError(self._runner_id)
            evicted = ownership.evict(connection, but=self._runner_id)
            claimed = ownership.owned(connection, self._runner_id, self._in_doubt)
            claimed += ownership.claim(connection, self._runner_id, self._accepts)
            stored = self._load(connection, claimed)
            self._in_doubt = claimed
        self._in_doubt = []
        if evicted:
            _LOG.warning("took over from runners that are silent: %s", ", ".join(evicted))
            self._require_pulse().ring(LOOK)  # there may be something that we do not know
        return stored

    def _require_pulse(self) -> Pulse:
        assert self._pulse is not None  # noqa: S101 - join comes first
        return self._pulse
