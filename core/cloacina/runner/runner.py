"""``DefaultRunner``: open a database and run workflows on it, durably."""

import asyncio
import atexit
import os
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cloacina.errors import (
    ForkedRunnerError,
    InvalidConfigError,
    PackageInUseError,
    RunnerClosedError,
    RunningLoopError,
)
from cloacina.executors.routing import RoutingConfig
from cloacina.packages.config import PackageConfig
from cloacina.packages.loader import LoadedPackage, PackageLoader
from cloacina.planner.execution import restored
from cloacina.plugins import new_plugin_manager, notify, refuse_executors, register_plugin
from cloacina.runner.builder import DefaultRunnerBuilder
from cloacina.runner.config import DefaultRunnerConfig
from cloacina.runner.control import Control
from cloacina.runner.engine import Engine
from cloacina.runner.events import EventStream
from cloacina.runner.fleet import Fleet, brought_executors
from cloacina.runner.handle import ExecutionHandle
from cloacina.runner.result import WorkflowResult
from cloacina.runner.submission import ContextLike, SubmitOptions
from cloacina.runner.submitter import Submitter
from cloacina.runtime import Runtime, default_runtime
from cloacina.store import reader
from cloacina.store.events import Page, read_events
from cloacina.store.log_reader import TaskLog, task_logs
from cloacina.store.outbox import CallersConnection
from cloacina.store.retention import prune
from cloacina.store.url import Location, parse_location
from cloacina_sdk.duration import to_milliseconds
from cloacina_sdk.executor import ExecutorMetrics, TaskExecutor
from cloacina_sdk.metrics import Sample

_OPEN: "set[DefaultRunner]" = set()
"""Runners that were not shut down yet; a forgotten one lives on until the process ends."""


class DefaultRunner(Control):
    """Runs workflows on one database, in this process, until it is shut down.

    Opening a database that a killed process left behind takes its unfinished executions over at
    once, as far as their workflows are registered here; the rest waits until they are.

    Use it as a context manager, or call ``shutdown``; what is forgotten is shut down at exit.
    Safe to use from several threads. Not usable in a child made by ``fork``.
    """

    def __init__(
        self,
        database_url: str | Path | Location,
        *,
        config: DefaultRunnerConfig | None = None,
        runtime: Runtime | None = None,
        packages: PackageConfig | None = None,
        schema: str | None = None,
        executors: Mapping[str, TaskExecutor] | None = None,
        routing: RoutingConfig | None = None,
        plugins: Iterable[object] = (),
    ) -> None:
        """Open the database (see ``cloacina.store.url`` for the forms of URL) and begin.

        Args:
            database_url: a path, ``sqlite:///abs.db``, ``sqlite://./rel.db``, ``:memory:`` or
                ``postgresql://user@host/database``.
            config: settings, which are copied; the defaults if left out.
            runtime: the workflows on offer; those that the decorators collected if left out.
            packages: whom to trust with packages; what the home directory says if left out.
            schema: the tenant's schema on PostgreSQL, made when it is missing; ``public`` if left
                out.
            executors: where attempts can run beside ``thread``, ``loop`` and ``worker``, by name;
                they are closed with the runner.
            routing: which tasks run where; if left out, each where its kind runs.
            plugins: objects with ``hookimpl`` methods; only these may bring executors.

        Raises:
            InvalidUrlError: if the URL cannot be used.
            InvalidSchemaError: if no schema can have that name.
            UnknownExecutorError: if the routing names an executor that is not there.
            InvalidRoutingError: if the name of an executor cannot be used, or is used twice.
            InvalidConfigError: if the settings do not go together.
            EngineError: if the database cannot be opened.
        """
        self._config = _taken(config)
        self.runtime = runtime if runtime is not None else default_runtime()
        self.plugins = new_plugin_manager()
        self._location = parse_location(database_url, schema)
        self._process_id = os.getpid()
        self._lock = threading.Lock()
        for plugin in plugins:
            register_plugin(self.plugins, plugin, self.runtime)
        package_config = packages or PackageConfig()
        fleet = Fleet(
            self.runtime,
            brought_executors(executors, self.plugins),
            routing or RoutingConfig(),
            slots=self._config.max_concurrent_tasks,
            workers_per_package=package_config.workers_per_package,
        )
        self._packages = PackageLoader(
            package_config,
            self.runtime,
            self.plugins,
            fleet.workers,
            slots=self._config.max_concurrent_tasks,
            max_context_bytes=self._config.max_context_bytes,
        )
        self._engine: Engine | None = Engine(
            self._location, self._config, self.runtime, self.plugins, fleet
        )
        self._submitter = Submitter(
            self.runtime, self._require_engine, self, max_bytes=self._config.max_context_bytes
        )
        _OPEN.add(self)
        self._offer_metrics()

    @property
    def config(self) -> DefaultRunnerConfig:
        """A copy of the settings that this runner was made with."""
        return self._config.copy()

    @classmethod
    def builder(cls) -> DefaultRunnerBuilder:
        """Say one after the other what a runner is to be like, and ``build()`` it."""
        return DefaultRunnerBuilder(cls)

    @classmethod
    def with_config(cls, database_url: str | Path, config: DefaultRunnerConfig) -> Self:
        """Open a runner with settings."""
        return cls(database_url, config=config)

    @classmethod
    def with_schema(cls, database_url: str, schema: str) -> Self:
        """Open a runner on one tenant's schema of a PostgreSQL database.

        Raises:
            InvalidUrlError: if the URL is not of PostgreSQL.
            InvalidSchemaError: if no schema can have that name.
            SchemaSetupError: if the schema cannot be made.
        """
        return cls(database_url, schema=schema)

    def load_package(
        self, source: Path | str | bytes, *, allow_unsigned: bool = False
    ) -> LoadedPackage:
        """Verify a package and offer its workflows; runs that wait for it go on.

        Args:
            source: the path of a package file, or its bytes.
            allow_unsigned: together with ``PackageConfig(allow_unsigned=True)``, accept a package
                that carries no signature. It is logged each time.

        Raises:
            PackageRefusedError: with every reason against it.
            PackageLoadError: if its code raises when a worker imports it.
            PackageMismatchError: if its code does not offer what its manifest says.
        """
        self._require_engine()
        found = Path(source) if isinstance(source, str) else source
        return self._packages.load(found, datetime.now(UTC), allow_unsigned=allow_unsigned)

    def unload_package(self, digest: str) -> None:
        """Offer nothing of a loaded package any more, and end its workers.

        Raises:
            PackageInUseError: if executions of it are not finished; nothing was touched.
            PackageNotLoadedError: if it is not loaded.
        """
        with self._require_engine().database.read() as connection:
            unfinished = reader.count_unfinished(connection, digest)
        if unfinished:
            raise PackageInUseError(digest, unfinished)
        self._packages.unload(digest, self._config.shutdown_timeout_seconds)

    def add_plugin(self, plugin: object) -> None:
        """Register an object whose ``hookimpl`` methods observe this runner or offer workflows.

        Raises:
            ValueError: if it is registered already, or brings executors: those come with
                ``DefaultRunner(..., plugins=[plugin])``.
        """
        refuse_executors(self.plugins, plugin)
        register_plugin(self.plugins, plugin, self.runtime)
        self._offer_metrics(only=plugin)

    def _offer_metrics(self, only: object | None = None) -> None:
        arguments = {"read": self.metrics}
        notify(self.plugins, "cloacina_metrics_ready", lambda: arguments, only=only)

    def metrics(self) -> list[Sample]:
        """Return what this runner did so far, and how it stands.

        Changes are counted when they are committed. ``to_prometheus_text`` writes samples as
        Prometheus reads them; hooks are handed this method (``cloacina_metrics_ready``).

        Raises:
            RunnerClosedError: after ``shutdown``.
        """
        return self._require_engine().metrics()

    def executor_metrics(self) -> dict[str, ExecutorMetrics]:
        """Return what each executor of this runner did so far, by its name."""
        return self._require_engine().executor_metrics()

    def submit(
        self,
        workflow: str,
        context: ContextLike = None,
        *,
        priority: int = 0,
        idempotency_key: str | None = None,
        connection: "CallersConnection | None" = None,
    ) -> ExecutionHandle:
        """Start an execution and return as soon as it is durable.

        Args:
            workflow: a name, or ``package::workflow`` where several packages offer the name.
            context: the input; a plain mapping will do.
            priority: higher starts first when slots are short; from -1,000,000 to 1,000,000.
            idempotency_key: 1 to 255 printable characters. Where an execution of the same workflow
                of the same package and tenant has the key already, whatever its state, nothing is
                started, and its handle is returned; its priority stays.
            connection: a SQLAlchemy ``Connection`` or ORM ``Session`` on this very database. The
                execution is written in its transaction: it begins soon after the commit, and never
                existed after a rollback. Until then it cannot be found; ``wait`` of the handle
                ends with ``SubmissionRolledBackError`` if it never can.

        Raises:
            UnknownWorkflowError: naming the nearest names.
            AmbiguousWorkflowError: if several packages offer the name.
            InvalidContextValueError: if the context holds what JSON cannot.
            InvalidConfigError: if the priority is out of range.
            InvalidIdempotencyKeyError: if the key cannot be kept.
            IdempotencyConflictError: if the key was used with another input.
            ContextTooLargeError: if the input is larger than ``config.max_context_bytes``.
            WrongConnectionError: if the connection is to another database, or in no transaction.
            RunnerClosedError: after ``shutdown``.
        """
        options = SubmitOptions(priority=priority, idempotency_key=idempotency_key)
        if connection is not None:
            return self._submitter.place(workflow, context, options, connection)
        return self._submitter.submit(workflow, context, options)

    def execute(
        self,
        workflow: str,
        context: ContextLike = None,
        *,
        timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> WorkflowResult:
        """Run a workflow to its end. A failed task is a result, not an exception.

        Args:
            workflow: as for ``submit``.
            context: as for ``submit``.
            timeout: seconds to wait at most; ``config.workflow_timeout_seconds`` if left out.
            idempotency_key: as for ``submit``; it may be an earlier execution that is waited for,
                or has ended.

        Raises:
            RunningLoopError: when called where an event loop runs; await ``execute_async`` there.
            WaitTimeoutError: if it takes longer; it goes on.
        """
        _refuse_on_loop("execute()", "runner.execute_async(...)")
        options = SubmitOptions(idempotency_key=idempotency_key)
        handle = self._submitter.begin(workflow, context, options)
        return handle.wait(self._config.workflow_timeout_seconds if timeout is None else timeout)

    async def execute_async(
        self, workflow: str, context: ContextLike = None, *, idempotency_key: str | None = None
    ) -> WorkflowResult:
        """Run a workflow to its end without blocking the event loop (see ``execute``).

        Raises:
            WaitTimeoutError: if it takes longer than ``config.workflow_timeout_seconds``; it goes
                on.
        """
        options = SubmitOptions(idempotency_key=idempotency_key)
        handle = await self._submitter.begin_async(workflow, context, options)
        return await handle.wait_async(self._config.workflow_timeout_seconds)

    def handle(self, execution_id: str) -> ExecutionHandle:
        """Return a handle to any execution of this database, whichever runner has it.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
        """
        self.execution(execution_id)
        ended = self._require_engine().await_end(execution_id)
        return ExecutionHandle(execution_id, ended, self)

    def execution(self, execution_id: str) -> WorkflowResult:
        """Return any execution of this database as it stands now.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
        """
        with self._require_engine().database.read() as connection:
            return WorkflowResult(restored(reader.load(connection, execution_id)))

    def logs(
        self, execution_id: str, task: str | None = None, attempt: int | None = None
    ) -> list[TaskLog]:
        """Return what the attempts of an execution printed and logged, in order.

        Log records of all tasks are kept, what is printed only of packages' tasks; of one attempt
        at most 10,000 lines and 1 MiB. What an attempt that runs says is there after a second or
        two, the rest with its end.

        Args:
            execution_id: of any execution of this database.
            task: only of this task.
            attempt: only of its attempts of this number, counted from 1.

        Raises:
            ExecutionNotFoundError: if there is none with that id.
            TaskNotFoundError: if it has no task with that id.
        """
        with self._require_engine().database.read() as connection:
            return task_logs(connection, execution_id, task, attempt)

    def executions(
        self, *, status: str | None = None, workflow: str | None = None, limit: int = 50
    ) -> list[reader.ExecutionSummary]:
        """Return the newest executions, newest first."""
        with self._require_engine().database.read() as connection:
            return list(reader.summaries(connection, status=status, workflow=workflow, limit=limit))

    def events(self, execution_id: str, *, after: int = 0, follow: bool = True) -> EventStream:
        """Return the history of any execution of this database, whichever runner writes it.

        One event tells of each change of state. Iterate with ``for`` or ``async for``. While it is
        followed nothing is polled on SQLite: the runner that writes wakes the stream.

        Args:
            execution_id: of the execution; that there is none is found when the stream is read.
            after: leave out the events up to this sequence.
            follow: go on until the execution has ended; else end with what there is now.

        Raises:
            InvalidConfigError: if ``after`` is no sequence.
        """
        if type(after) is not int or after < 0:
            raise InvalidConfigError("after", after, "a whole number from 0")
        self._require_engine()
        stream = EventStream(execution_id, self, after=after, is_following=follow)
        self._require_engine().bulletin.add(stream)
        return stream

    def read_events(self, execution_id: str, after: int) -> Page:
        """Return the events that follow a sequence, at most 500 of them (for ``EventStream``).

        Raises:
            ExecutionNotFoundError: if there is none with that id.
        """
        with self._require_engine().database.read() as connection:
            return read_events(connection, execution_id, after)

    def ask_for_changes(self) -> None:
        """Have the other runners ring when they change something (for ``EventStream``)."""
        self._require_engine().ask_for_changes()

    def prune(self, *, older_than: timedelta | float | str) -> int:
        """Remove the executions that ended longer ago than that, with all that belongs to them.

        Works in small transactions, beside runners that are busy. What has not ended stays.

        Args:
            older_than: a timedelta, seconds, or text such as ``"30d"``.

        Returns:
            how many executions were removed.

        Raises:
            InvalidDurationError: if it is no duration.
            StoreUnavailableError: if the database cannot be used now; what was removed stays so.
        """
        engine = self._require_engine()
        age_us = to_milliseconds(older_than) * 1000
        return prune(engine.database, max(0, engine.clock.now().utc_us - age_us))

    def shutdown(self) -> None:
        """Start nothing more, let attempts that run end, and leave the rest in the database.

        Waits at most ``config.shutdown_timeout_seconds``. Calling it again does nothing.
        """
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None and os.getpid() == self._process_id:
            _OPEN.discard(self)
            engine.bulletin.changed()  # whoever follows finds the runner closed
            engine.close(self._config.shutdown_timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        """Run async tasks on the caller's event loop from here on."""
        self._require_engine().adopt_loop(asyncio.get_running_loop())
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.shutdown)

    def __repr__(self) -> str:
        state = "open" if self._engine is not None else "shut down"
        return f"DefaultRunner({self._location.shown!r}, {state})"

    def _require_engine(self) -> Engine:
        if os.getpid() != self._process_id:
            raise ForkedRunnerError(self._process_id)
        engine = self._engine
        if engine is None:
            raise RunnerClosedError
        return engine


def _taken(config: object) -> DefaultRunnerConfig:
    if config is None:
        return DefaultRunnerConfig()
    if not isinstance(config, DefaultRunnerConfig):
        raise InvalidConfigError("config", config, "a DefaultRunnerConfig")
    return config.copy()


def _refuse_on_loop(call: str, instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RunningLoopError(call, instead)


def _shutdown_all_runners() -> None:
    for runner in list(_OPEN):
        runner.shutdown()


atexit.register(_shutdown_all_runners)
