"""One simulated runner: the real kernel, planner and group commit between simulated ends.

Real are ``Kernel`` with its turns, ``Planner`` and the writer's batching; simulated are the thread
(the world calls each turn), the clocks, the executor, the neighbours and the transaction below the
writer. At every point at which a process can be cut off, ``point`` may end or delay this one.
"""

import contextvars
from concurrent.futures import Future
from typing import TYPE_CHECKING, cast

from cloacina.errors import EngineError, RunnerClosedError
from cloacina.kernel.conditions import Conditions
from cloacina.kernel.dispatch import Dispatcher
from cloacina.kernel.inbox import Message
from cloacina.kernel.kernel import Kernel
from cloacina.kernel.requests import Ask, Await, Retry, Submission
from cloacina.planner.events import Identity, Now, Requested, Submitted, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.planner.planner import Planner
from cloacina.planner.queue.limits import Limits, Sources
from cloacina.planner.queue.pools import Pool
from cloacina.store.ownership import Unowned
from cloacina.store.writer import GroupWriter
from cloacina_sdk.spec import TaskSpec
from simulation.ends import NoThread, SimulatedClock, SimulatedExecutor, Witness
from simulation.gate import Gate, ProcessDiedError
from simulation.handles import SimulatedConditions
from simulation.neighbours import Bell, SimulatedNeighbours
from simulation.scenario import Liveness
from simulation.scripts import BEGINNING_US, SECOND
from simulation.shared import GatedLink

if TYPE_CHECKING:
    from threading import Thread

    from simulation.world import World


class Host:
    """A machine: all runners on it share its clocks."""

    def __init__(self) -> None:
        self.offsets_us = [0]
        """By how much its wall clock was off, one time after the other."""

    @property
    def wall_offset_us(self) -> int:
        """By how much its wall clock is off now."""
        return self.offsets_us[-1]


class SomeHeed:
    """One place, where some bodies may end when they are asked to, and others cannot."""

    def pool_of(self, identity: Identity, task: TaskSpec) -> Pool:
        """Return the one pool, as it is for a task."""
        return Pool(name="all", heeds=sum(task.id.encode()) % 2 == 0)


class SimulatedRunner:
    """A runner from its start to its end."""

    def __init__(self, world: "World", runner_id: str, slots: int, known: set[str]) -> None:
        self.world = world
        self.id = runner_id
        self.slots = slots
        self.known = known
        """The names of the workflows that it can plan and run."""
        self.host = world.dice.choice(world.hosts)
        self.is_alive = True
        self.is_silent = False
        """Whether the others take it for dead, or will when they look."""
        self.is_struck_out = False
        """Whether the others have taken what it had."""
        self.is_frozen = False
        """Whether the whole process stands still, so that it cannot show that it lives."""
        self.is_stopping = False
        self.is_doomed = False
        self.turn_began_us = 0
        self._is_busy = False
        self._next_turn_us: int | None = None
        self._begun: list[str] = []
        self.gate = Gate(self)
        self.bell = Bell(self)
        dice = world.dice
        sources = Sources(new_token=lambda: f"{dice.getrandbits(64):016x}", jitter=dice.random)
        self.planner = Planner(limits=Limits(slots=slots, pools=SomeHeed()), sources=sources)
        self.neighbours = SimulatedNeighbours(self, world.database.neighbours(self))
        link = GatedLink(world.database.link(runner_id), self.gate)
        self.kernel = Kernel(
            planner=self.planner,
            writer=GroupWriter(link, runner_id),
            neighbours=self.neighbours,
            observer=Witness(self),
            clock=SimulatedClock(self),
        )
        self.kernel._thread = cast("Thread", NoThread())
        self.kernel.dispatcher = cast("Dispatcher", SimulatedExecutor(self))
        self.kernel.conditions = cast("Conditions", SimulatedConditions(self))
        self.kernel.start()
        self._plan_turn()

    def now(self) -> Now:
        """Read both clocks of the machine that this runner is on."""
        now_us = self.world.now_us
        return Now(BEGINNING_US + now_us + self.host.wall_offset_us, now_us)

    @property
    def has_mail(self) -> bool:
        """Whether messages wait for the next turn."""
        return not self.kernel.inbox.is_empty

    def log(self, text: str) -> None:
        self.world.log.add(self.world.now_us, self.id, text)

    def send(self, message: Message) -> None:
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

    def ask(self, wanted: Requested) -> Future[Verdict]:
        """Ask something of an execution."""
        request = Ask(wanted)
        self.send(request)
        return request.answered

    def retry(self, execution_id: str, *, from_failed: bool) -> Future[None]:
        """Ask that an execution run again."""
        request = Retry(execution_id, from_failed)
        self.send(request)
        return request.reopened

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
            self.is_alive = False
            self.is_silent = self.is_doomed = True
            self.world.database.silence(self.id, is_dead=True)
            self.world.tell_of_death(self)
            self.world.replace_dead()

    def fall_silent(self) -> None:
        """Be taken for dead by the others from now on, until that is mended."""
        if self.is_alive and not self.is_silent:
            self.log("falls silent")
            self.is_silent = True
            self.world.database.silence(self.id, is_dead=False)
            self.world.tell_of_death(self)
            if self.world.liveness is Liveness.LEASES:
                self.world.after(self.world.dice.randrange(5 * SECOND), self._renew)

    def accepts(self, found: Unowned) -> bool:
        """Whether it can plan and run an execution."""
        return found.is_stopping or found.identity.workflow in self.known

    def _renew(self) -> None:
        """Show that it lives, as the thread does that renews leases, which runs by itself."""
        if not self.is_alive:
            return
        if self.is_frozen:
            self.world.after(SECOND, self._renew)
            return
        if self.world.database.renew(self.id):
            self.is_silent = False
            self.log("renews its lease")
        self.neighbours.look()

    def begin(self, token: str) -> None:
        """Take note that a body starts."""
        self._begun.append(token)

    def _turn(self) -> None:
        self._next_turn_us = None
        if not self.is_alive or self._is_busy:
            return
        if self.kernel.inbox.is_empty and self.kernel._patience_s() != 0:
            self._plan_turn()
            return
        self._is_busy = self.gate.is_open = True
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
            self.world.tell_of_death(self)  # with everything that it held until now
        finally:
            self._is_busy = self.gate.is_open = False
        self._plan_turn()

    def _end(self) -> None:
        self.kernel._dismiss(RunnerClosedError())
        self.kernel._writer.close()
        self.neighbours.leave()
        self.log("has left")
        self.is_alive = False
        if self.id in self.world.database.runner_ids():  # it could not say that it leaves
            self.is_silent = True
            self.world.database.silence(self.id, is_dead=True)
        self.world.tell_of_death(self)

    def _plan_turn(self) -> None:
        """Have the world call the next turn: a little after a message, or when a timer is due."""
        if self._is_busy or not self.is_alive:
            return
        if not self.kernel.inbox.is_empty:
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
            self.gate.point("after an answer")
