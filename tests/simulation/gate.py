"""Where faults strike a runner: at points of its program, and on its way to the database."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloacina.errors import StoreUnavailableError
from cloacina.planner.offered import SeenOffer
from cloacina.store.batch import Batch
from cloacina.store.writer import RefusedError
from simulation.scenario import Liveness
from simulation.scripts import SECOND
from simulation.shared import epochs_of

if TYPE_CHECKING:
    from simulation.runner import SimulatedRunner


class ProcessDiedError(BaseException):
    """Cuts a runner off in the middle of its program; nothing may catch it."""


class Gate:
    """What one runner passes before and after everything that others can see of it."""

    def __init__(self, runner: "SimulatedRunner") -> None:
        self._runner = runner
        self._world = runner.world
        self.is_open = False
        """Whether the runner's own program runs right now; only then does anything strike."""

    def point(self, where: str) -> None:
        """Pass a point at which a process can be cut off or stand still.

        Raises:
            ProcessDiedError: if this process ends here.
        """
        runner, world = self._runner, self._world
        if not self.is_open:
            return
        stall = world.faults.stall
        if stall and world.dice.random() < stall:
            self._stand_still(where)
        death = world.faults.death  # the faults may have ended meanwhile
        if not runner.is_doomed and death and world.dice.random() < death:
            runner.die(where)
        if runner.is_doomed:
            raise ProcessDiedError

    def reads_clock(self) -> None:
        """Pass the moment at which a clock is read: time may go by between two of them."""
        stall = self._world.faults.stall
        if stall and self.is_open and self._world.dice.random() < stall / 4:
            self._stand_still("at its clock")
            if self._runner.is_doomed:
                raise ProcessDiedError

    def wait(self, duration_us: int) -> None:
        """Let the others go on."""
        self.is_open = False
        self._world.pass_time(duration_us)
        self.is_open = True

    def before_read(self) -> None:
        """Ask the database for something.

        Raises:
            StoreUnavailableError: if it cannot be asked.
        """
        if self._is_unavailable():
            self._runner.log("cannot read")
            raise StoreUnavailableError("the database could not be read")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write something about runners and who owns what.

        Raises:
            StoreUnavailableError: if it was not written, or if that is not known.
        """
        self._before_transaction()
        yield
        self._world.note_runners(self._runner)
        self.after_write(None)
        if self.loses_answer("after it was written"):
            raise StoreUnavailableError("the connection broke")
        self.point("after a transaction")

    def before_write(self, batch: Batch) -> None:
        """Offer a batch.

        Raises:
            StoreUnavailableError: if it cannot be written now.
            RefusedError: if it will never be.
        """
        self._before_transaction()
        if self._world.refused & epochs_of(batch).keys() - batch.fences.keys():
            raise RefusedError(ValueError("too large"))

    def after_write(self, epochs: Mapping[str, int] | None) -> None:
        """Have everybody see what was committed."""
        self._world.monitor.observe(self._world.now_us, self._runner, epochs)

    def missed(self, batch: Batch) -> None:
        """Note that somebody else moved first."""
        if len(batch.fences) == 1:
            (execution_id,) = batch.fences
            self._runner.log(f"is fenced off from {execution_id}")

    def conceded(self, offers: Sequence[SeenOffer]) -> None:
        """Note that somebody claimed what was to be taken back."""
        for offer in offers:
            place = f"{offer.execution_id} task {offer.task_number}"
            self._runner.log(f"concedes {place} to {offer.runner}")

    def loses_answer(self, when: str) -> bool:
        """Whether the answer of the server is lost."""
        world = self._world
        if not self.is_open or world.liveness is Liveness.LOCKS:
            return False  # there is no server
        lost = world.faults.lost_answer
        if not lost or world.dice.random() >= lost:
            return False
        self._runner.log(f"loses the answer to a commit {when}")
        return True

    def _before_transaction(self) -> None:
        self.point("before a transaction")
        if self._is_unavailable():
            self._runner.log("cannot write")
            raise StoreUnavailableError("the database could not be written")

    def _is_unavailable(self) -> bool:
        world = self._world
        if not self.is_open:
            return False
        if world.now_us < world.outage_ends_us:
            return True
        unavailable = world.faults.unavailable
        return bool(unavailable) and world.dice.random() < unavailable

    def _stand_still(self, where: str) -> None:
        self._runner.log(f"stands still {where}")
        if self._world.dice.random() < 0.5:
            self._runner.fall_silent()
        self._runner.is_frozen = True
        self.wait(self._world.dice.randrange(20 * SECOND))
        self._runner.is_frozen = False
