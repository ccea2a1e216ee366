"""One simulated runner: the real kernel, planner and group commit between simulated ends.

Real are ``Kernel`` with its turns, ``Planner`` and the writer's batching; simulated are the thread
(the world calls each turn), the clocks, the executor, the neighbours and the transaction below the
writer. At every point at which a process can be cut off, ``point`` may end or delay this one.
"""

import contextvars
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, cast

from cloacina.errors import EngineError, RunnerClosedError, StoreUnavailableError
from cloacina.kernel.dispatch import Dispatcher
from cloacina.kernel.kernel import Kernel
from cloacina.kernel.requests import Ask, Await, Request, Submission
from cloacina.model.states import Wish
from cloacina.ownership.neighbours import Neighbours
from cloacina.planner.events import AttemptEnded, Now, Submitted
from cloacina.planner.execution import ExecutionState
from cloacina.planner.offered import SeenOffer
from cloacina.planner.planner import Planner
from cloacina.planner.schedule import Limits, Sources
from cloacina.store.batch import Batch
from cloacina.store.writer import GroupWriter, RefusedError
from simulation.ends import NoThread, SimulatedClock, SimulatedExecutor, Witness
from simulation.neighbours import SimulatedNeighbours
from simulation.scenario import SECOND
from simulation.shared import GatedLink, epochs_of

if TYPE_CHECKING:
    from threading import Thread

    from simulation.world import World

BEGINNING_US = 1_800_000_000 * SECOND


class ProcessDiedError(BaseException):
    """Cuts a runner off in the middle of its program; nothing may catch it."""


class SimulatedRunner:
    """A runner from its start to its end."""

    def __init__(self, world: "World", runner_id: str, slots: int, known: set[str]) -> None:
        self.world = world
        self.id = runner_id
        self.slots = slots
        self.known = known
        """The names of the workflows that it can plan and run."""
        self.is_alive = True
        self.has_lock = True
        self.was_struck_out = False
        self.is_stopping = False
        self.is_doomed = False
        self.wall_offset_us = 0
        self.turn_began_us = 0
        self._is_busy = False
        self._next_turn_us: int | None = None
        self._begun: list[str] = []
        dice = world.dice
        sources = Sources(new_token=lambda: f"{dice.getrandbits(64):016x}", jitter=dice.random)
        self.planner = Planner(limits=Limits(slots=slots), sources=sources)
        self.neighbours = SimulatedNeighbours(self)
        self.kernel = Kernel(
            planner=self.planner,
            writer=GroupWriter(GatedLink(world.database.link(), self), runner_id),
            neighbours=cast("Neighbours", self.neighbours),
            observer=Witness(self),
            clock=SimulatedClock(self),
        )
        self.kernel._thread = cast("Thread", NoThread())
        self.kernel.dispatcher = cast("Dispatcher", SimulatedExecutor(self))
        world.database.register(runner_id, self.now().utc_us, slots)
        self.kernel.start()
        self._plan_turn()

    def now(self) -> Now:
        """Read both clocks of the machine that this runner is on."""
        now_us = self.world.now_us
        return Now(BEGINNING_US + now_us + self.wall_offset_us, now_us)

    @property
    def has_mail(self) -> bool:
        """Whether messages wait for the next turn."""
        return not self.kernel._inbox.empty()

    def log(self, text: str) -> None:
        self.world.log.add(self.world.now_us, self.id, text)

    def send(self, message: Request | AttemptEnded) -> None:
        """Leave a message for the kernel, if there is one any more."""
        if self.is_alive:
            self.kernel.send(message)
            self._plan_turn()

    def nudge(self) -> None:
        """Take note that the kernel has something new to do."""
        self._plan_turn()

    def submit(self, event: Submitted) -> Submission:
        """Ask for a new execution."""
        submission = Submission(event=event, variables=contextvars.Context())
        submission.accepted.add_done_callback(self._on_accepted)
        self.send(submission)
        return submission

    def wait_for(self, execution_id: str) -> Future[ExecutionState]:
        """Ask how an execution ends that any runner may have."""
        request = Await(execution_id)
        self.send(request)
        return request.ended

    def ask(self, execution_id: str, wish: Wish) -> Future[bool]:
        """Ask that an execution be cancelled, paused or resumed."""
        request = Ask(execution_id, wish)
        self.send(request)
        return request.answered

    def leave(self) -> None:
        """Shut down in an orderly way."""
        self.log("is told to stop")
        self.is_stopping = True
        self.kernel.stop(self.world.dice.choice((0, SECOND, 20 * SECOND)) / SECOND)
        self._plan_turn()

    def die(self, where: str) -> None:
        """End at once; in the middle of a turn, as soon as its program goes on."""
        if self.is_alive:
            self.log(f"dies {where}")
            self.is_alive = self.has_lock = False
            self.is_doomed = True
            self.world.ring(self)
            self.world.replace_dead()

    def point(self, where: str) -> None:
        """Pass a point at which a process can be cut off or stand still.

        Raises:
            ProcessDiedError: if this process ends here.
        """
        dice = self.world.dice
        stall = self.world.faults.stall
        if stall and dice.random() < stall:
            self.log(f"stands still {where}")
            if dice.random() < 0.5:
                self.lose_lock()
            self.world.pass_time(dice.randrange(20 * SECOND))
        death = self.world.faults.death  # the faults may have ended meanwhile
        if not self.is_doomed and death and dice.random() < death:
            self.die(where)
        if self.is_doomed:
            raise ProcessDiedError

    def lose_lock(self) -> None:
        """Be taken for dead by the others from now on, until it registers again."""
        if self.has_lock:
            self.log("loses its lock")
            self.has_lock = False
            self.world.ring(self)
            self.world.after(self.world.dice.randrange(5 * SECOND), self.neighbours.look)

    def before_write(self, batch: Batch) -> None:
        self.point("before a transaction")
        world = self.world
        if world.faults.unavailable and world.dice.random() < world.faults.unavailable:
            self.log("cannot write")
            raise StoreUnavailableError("the database is locked")
        if world.refused & epochs_of(batch).keys() - batch.fences.keys():
            raise RefusedError(ValueError("too large"))

    def after_write(self, batch: Batch) -> None:
        self.world.monitor.observe(self.world.now_us, self, epochs_of(batch))
        self.point("after a transaction")

    def claimed(self, offers: Sequence[SeenOffer]) -> None:
        for offer in offers:
            self.log(f"concedes {offer.execution_id} task {offer.task_number} to {offer.runner}")

    def missed(self, batch: Batch) -> None:
        if len(batch.fences) == 1:
            (execution_id,) = batch.fences
            self.log(f"is fenced off from {execution_id}")

    def begin(self, token: str) -> None:
        """Take note that a body starts."""
        self._begun.append(token)

    def _turn(self) -> None:
        self._next_turn_us = None
        if not self.is_alive or self._is_busy:
            return
        if self.kernel._inbox.empty() and self.kernel._patience_s() != 0:
            self._plan_turn()
            return
        self._is_busy = True
        self.turn_began_us = self.world.now_us
        self._begun.clear()
        waiting = self.world.monitor.waiting(self)
        try:
            self.kernel._turn()
            self.world.monitor.turn_ended(self, waiting, self._begun)
            if self.kernel._is_finished():
                self._end()
        except ProcessDiedError:
            self.kernel._writer.close()
        finally:
            self._is_busy = False
        self._plan_turn()

    def _end(self) -> None:
        self.kernel._dismiss(RunnerClosedError())
        self.kernel._writer.close()
        self.neighbours.leave()
        self.log("has left")
        self.is_alive = self.has_lock = False
        self.world.ring(self)

    def _plan_turn(self) -> None:
        """Have the world call the next turn: a little after a message, or when a timer is due."""
        if self._is_busy or not self.is_alive:
            return
        if not self.kernel._inbox.empty():
            wait_us = self.world.dice.choice((0, 0, 100, 5_000, 100_000))
        else:
            patience_s = self.kernel._patience_s()
            if patience_s is None:
                return
            wait_us = round(patience_s * SECOND)
        at_us = self.world.now_us + wait_us
        if self._next_turn_us is None or at_us < self._next_turn_us:
            self._next_turn_us = at_us
            self.world.after(wait_us, self._turn)

    def _on_accepted(self, accepted: Future[None]) -> None:
        error = accepted.exception()
        self.log("accepts" if error is None else f"refuses: {type(error).__name__}")
        if error is None or isinstance(error, EngineError):
            self.point("after an answer")
