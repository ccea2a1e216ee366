"""The parts of a running engine on one database, put together and taken apart in order."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from typing import Final, TypeVar

import pluggy

from cloacina.errors import EngineBusyError, OwnershipLostError
from cloacina.kernel.callbacks import CallbackCaller
from cloacina.kernel.clock import Clock, jitter, new_execution_id, new_token
from cloacina.kernel.conditions import Conditions
from cloacina.kernel.dispatch import Dispatcher
from cloacina.kernel.kernel import Kernel
from cloacina.kernel.observe import Observer
from cloacina.kernel.requests import Ask, Await, Inquire, LookAround, Retry, Submission
from cloacina.model.states import Answer
from cloacina.ownership.opening import open_database
from cloacina.ownership.pulse import LeaseTimes
from cloacina.planner.events import Identity, Requested, Verdict
from cloacina.planner.execution import ExecutionState
from cloacina.planner.moves.migrate import Target
from cloacina.planner.planner import Planner
from cloacina.planner.queue.limits import Limits, Sources
from cloacina.planner.queue.standing import Standing
from cloacina.runner.config import DefaultRunnerConfig
from cloacina.runner.events import Bulletin
from cloacina.runner.fleet import Fleet
from cloacina.runner.outbox import Outbox
from cloacina.runner.pruner import Pruner
from cloacina.runtime import Runtime
from cloacina.store import ownership, reader
from cloacina.store.contract import Writer
from cloacina.store.url import Location
from cloacina_sdk.executor import ExecutorMetrics
from cloacina_sdk.metrics import Sample

_T = TypeVar("_T")
PATIENCE_S: Final = 10.0
"""How long to wait for what the kernel answers as soon as it comes to it."""


class Engine:
    """A kernel on a database, known to its peers from ``__init__`` until ``close``."""

    def __init__(
        self,
        location: Location,
        config: DefaultRunnerConfig,
        runtime: Runtime,
        plugins: pluggy.PluginManager,
        fleet: Fleet,
    ) -> None:
        """Open the database, announce this runner, take over what is orphaned, begin."""
        self.routes = fleet.routes
        self._runtime = runtime
        self._takes_over = config.enable_recovery
        self.clock = Clock()
        now_us = self.clock.now().utc_us
        runner_id = new_execution_id(now_us)
        self.database, self._neighbours = open_database(
            location,
            runner_id,
            self._accepts,
            lambda: self.clock.now().utc_us,
            _lease_times(config),
            pool_size=config.db_pool_size,
        )
        self._pruner: Pruner | None = None
        self._callbacks = CallbackCaller(runtime, fleet.bodies.variables.get)
        try:
            writer = self.database.open_writer(runner_id)
        except BaseException:
            self._give_up(None)
            raise
        self._kernel = Kernel(
            planner=Planner(
                limits=_limits(config, fleet),
                sources=Sources(new_token=new_token, jitter=jitter),
            ),
            writer=writer,
            neighbours=self._neighbours,
            observer=Observer(plugins, self._callbacks),
            clock=self.clock,
        )
        self._loop_executor = fleet.loop
        self._kernel.dispatcher = Dispatcher(
            fleet.bodies,
            fleet.routes,
            self._kernel.send,
            self._kernel.logbook,
            timeout_ms=_milliseconds(config.task_timeout_seconds),
            max_context_bytes=config.max_context_bytes,
        )
        self._kernel.wishes.find_target = self._target
        self._kernel.wishes.max_event_bytes = config.max_context_bytes
        self.conditions = self._kernel.conditions = Conditions(fleet.bodies.function)
        self.conditions.send = self._kernel.send
        age_s = config.retention_seconds
        if age_s is not None:
            self._pruner = Pruner(self.database, age_s, self.clock)
        self.bulletin = Bulletin()
        self._neighbours.when_changed(self.bulletin.changed)
        try:
            self._neighbours.join(now_us, self._look_around, slots=config.max_concurrent_tasks)
        except BaseException:
            self._give_up(writer)
            raise
        self.outbox = Outbox(self._find, self._look_around, self.await_end)
        self._unsubscribe: Callable[[], None] = runtime.subscribe(self._look_around)
        self._kernel.start()

    def _give_up(self, writer: Writer | None) -> None:
        """Leave nothing open that was opened for an engine that cannot begin."""
        if self._pruner is not None:
            self._pruner.close()
        if writer is not None:
            writer.close()
        self._neighbours.leave()
        self.database.close()

    def adopt_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run async tasks on ``loop`` from now on."""
        self._loop_executor.adopt(loop)

    def metrics(self) -> list[Sample]:
        """Return what this runner and its executors did so far."""
        return self._kernel.meter.samples(self.executor_metrics())

    def executor_metrics(self) -> dict[str, ExecutorMetrics]:
        """Return what each executor did so far, by name."""
        return self._kernel.dispatcher.metrics()

    def submit(self, submission: Submission) -> None:
        """Hand a new execution to the kernel."""
        self._kernel.send(submission)

    def await_end(self, execution_id: str) -> Future[ExecutionState]:
        """Return what will hold an execution once it has ended, whichever runner has it."""
        request = Await(execution_id)
        self._kernel.send(request)
        return request.ended

    def ask(self, wanted: Requested, timeout_s: float) -> Verdict:
        """Ask something of an execution, whoever has it; return what became of it.

        The answer is ``LEFT`` if there is none in time; the wish stands nevertheless.
        """
        command_id = new_execution_id(self.clock.now().utc_us)
        for is_last in (False, True):
            request = Ask(replace(wanted, command_id=command_id))
            self._kernel.send(request)
            try:
                return request.answered.result(timeout_s)
            except FutureTimeoutError:
                request.answered.cancel()
                break
            except OwnershipLostError:  # another runner took it over meanwhile: it is asked then
                if is_last:
                    raise
        return Verdict(Answer.LEFT)

    @property
    def max_event_bytes(self) -> int:
        """How long the payload of an event may be; 0 for no limit."""
        return self._kernel.wishes.max_event_bytes

    def retry(self, execution_id: str, *, from_failed: bool) -> None:
        """Have an execution that failed or was cancelled run again, and return when that is so.

        Raises:
            EngineBusyError: if that takes too long; it may be done nevertheless.
        """
        request = Retry(execution_id, from_failed)
        self._kernel.send(request)
        _wait_for(request.reopened, f"running execution {execution_id} again")

    def standing(self, execution_id: str) -> Standing | None:
        """Return how an execution waits here; ``None`` if it is not in flight here.

        Raises:
            EngineBusyError: if that is not to be known in time.
        """
        request = Inquire(execution_id)
        self._kernel.send(request)
        return _wait_for(request.answered, f"looking at execution {execution_id}")

    def ask_for_changes(self) -> None:
        """Have the other runners ring when they change something."""
        self._neighbours.ask_for_changes()

    def close(self, timeout_s: float) -> None:
        """Let running attempts end within ``timeout_s``, leave the rest for others, and go."""
        self._unsubscribe()
        self.outbox.close()
        if self._pruner is not None:
            self._pruner.close()
        deadline = time.monotonic() + timeout_s
        self._kernel.stop(timeout_s)
        self._callbacks.close(max(0.0, deadline - time.monotonic()))
        self._kernel.dispatcher.close(max(0.0, deadline - time.monotonic()))
        self._neighbours.leave()
        self.database.close()

    def _find(self, execution_ids: Sequence[str]) -> set[str]:
        with self.database.read() as connection:
            return reader.existing(connection, execution_ids)

    def _look_around(self) -> None:
        self._kernel.send(LookAround())

    def _target(self, identity: Identity, version: str | None) -> Target | None:
        found = self._runtime.version(identity, version)
        if found is None:
            return None
        return Target(
            version=found.version, package_digest=found.package_digest, topology=found.topology
        )

    def _accepts(self, found: ownership.Unowned) -> bool:
        if found.is_stopping:
            return True
        is_wanted = self._takes_over or found.epoch == 0
        identity, topology = found.identity, found.topology
        can_serve = is_wanted and self._runtime.can_serve(identity, topology)
        return can_serve and self.routes.can_run(identity, topology)


def _wait_for(answer: Future[_T], asked: str) -> _T:
    """Return what the kernel answers, and give up when it is busy for too long."""
    try:
        return answer.result(PATIENCE_S)
    except FutureTimeoutError:
        if answer.done():  # it came just now, or it is the answer
            return answer.result()
        answer.cancel()
        raise EngineBusyError(asked, PATIENCE_S) from None


def _limits(config: DefaultRunnerConfig, fleet: Fleet) -> Limits:
    limit_s = config.task_timeout_seconds
    return Limits(
        slots=config.max_concurrent_tasks,
        attempt_timeout_us=None if limit_s is None else int(limit_s * 1_000_000),
        grace_us=int(config.cancel_grace_seconds * 1_000_000),
        pools=fleet.routes,
        max_losses=config.max_losses,
        max_context_bytes=config.max_context_bytes,
    )


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _lease_times(config: DefaultRunnerConfig) -> LeaseTimes:
    backstop_s = config.backstop_seconds
    if backstop_s is None:
        backstop_s = max(1.0, config.scheduler_poll_interval_ms / 1000)
    return LeaseTimes(
        lease_s=config.lease_seconds,
        heartbeat_s=config.heartbeat_seconds,
        poll_s=backstop_s,
    )
