"""``DefaultRunner``: open a database and run workflows on it, durably."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cloacina.errors import (
    InvalidConfigError,
    PackageInUseError,
)
from cloacina.executors.routing import RoutingConfig
from cloacina.packages.config import PackageConfig
from cloacina.packages.loader import LoadedPackage, PackageLoader
from cloacina.plugins import new_plugin_manager, notify, refuse_executors, register_plugin
from cloacina.runner.builder import DefaultRunnerBuilder
from cloacina.runner.config import DefaultRunnerConfig
from cloacina.runner.control import Control
from cloacina.runner.engine import Engine
from cloacina.runner.fleet import Fleet, brought_executors
from cloacina.runner.handle import ExecutionHandle
from cloacina.runner.lifetime import Lifetime
from cloacina.runner.loops import refuse_on_loop
from cloacina.runner.result import WorkflowResult
from cloacina.runner.submission import (
    ContextLike,
    SubmitOptions,
    TimeLike,
    WorkflowLike,
    to_seconds,
)
from cloacina.runner.submitter import Submitter
from cloacina.runtime import Runtime, default_runtime
from cloacina.store import reader
from cloacina.store.outbox import CallersConnection
from cloacina.store.url import Location, parse_location
from cloacina_sdk.executor import ExecutorMetrics, TaskExecutor
from cloacina_sdk.metrics import Sample


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
        self._lifetime = Lifetime(
            Engine(self._location, self._config, self.runtime, self.plugins, fleet),
            self._config.shutdown_timeout_seconds,
        )
        self._submitter = Submitter(
            self.runtime, self._require_engine, self, max_bytes=self._config.max_context_bytes
        )
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
        workflow: WorkflowLike,
        context: ContextLike = None,
        *,
        priority: int = 0,
        idempotency_key: str | None = None,
        connection: "CallersConnection | None" = None,
    ) -> ExecutionHandle:
        """Start an execution and return as soon as it is durable.

        Args:
            workflow: a Workflow, or its name; ``package::workflow`` where several packages offer the name, and
                ``tenant::package::workflow`` where packages of several tenants do.
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
            InvalidWorkflowError: if it is neither a name nor a Workflow.
            InvalidInputError: if the context is no mapping.
            InvalidContextValueError: if the context holds what JSON cannot.
            InvalidConfigError: if the priority is out of range.
            InvalidIdempotencyKeyError: if the key cannot be kept.
            IdempotencyConflictError: if the key was used with another input.
            ContextTooLargeError: if the input is larger than ``config.max_context_bytes``.
            WrongExecutorError: if the routing sends one of its tasks to a built-in executor that
                cannot run it.
            WrongConnectionError: if the connection is to another database, or in no transaction.
            RunnerClosedError: after ``shutdown``.
        """
        options = SubmitOptions(priority=priority, idempotency_key=idempotency_key)
        if connection is not None:
            return self._submitter.place(workflow, context, options, connection)
        return self._submitter.submit(workflow, context, options)

    def execute(
        self,
        workflow: WorkflowLike,
        context: ContextLike = None,
        *,
        timeout: TimeLike | None = None,
        idempotency_key: str | None = None,
    ) -> WorkflowResult:
        """Run a workflow to its end. A failed task is a result, not an exception.

        Args:
            workflow: as for ``submit``.
            context: as for ``submit``.
            timeout: how long to wait at most, as a timedelta, seconds, or text such as ``"5s"``;
                ``config.workflow_timeout_seconds`` if left out.
            idempotency_key: as for ``submit``; it may be an earlier execution that is waited for,
                or has ended.

        Raises:
            InvalidDurationError: if the timeout is none; nothing is started then.
            RunningLoopError: when called where an event loop runs; await ``execute_async`` there.
            WaitTimeoutError: if it takes longer; it goes on.
        """
        refuse_on_loop("execute()", "await runner.execute_async(...)")
        options = SubmitOptions(idempotency_key=idempotency_key)
        longest_s = (
            self._config.workflow_timeout_seconds if timeout is None else to_seconds(timeout)
        )
        handle = self._submitter.begin(workflow, context, options)
        return handle.wait(longest_s)

    async def execute_async(
        self,
        workflow: WorkflowLike,
        context: ContextLike = None,
        *,
        idempotency_key: str | None = None,
    ) -> WorkflowResult:
        """Run a workflow to its end without blocking the event loop (see ``execute``).

        Raises:
            WaitTimeoutError: if it takes longer than ``config.workflow_timeout_seconds``; it goes
                on.
        """
        options = SubmitOptions(idempotency_key=idempotency_key)
        handle = await self._submitter.begin_async(workflow, context, options)
        return await handle.wait_async(self._config.workflow_timeout_seconds)

    def shutdown(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Start nothing more, let attempts that run end, and leave the rest in the database.

        Calling it again does nothing.

        Args:
            drain: ``False`` to wait for nothing: what runs is left to the next runner, which runs
                it again.
            timeout: seconds to wait at most, instead of ``config.shutdown_timeout_seconds``.

        Raises:
            InvalidConfigError: if the timeout is not from 0 to 86,400; nothing was done.
        """
        if timeout is not None:
            self._config.copy(shutdown_timeout_seconds=timeout)  # checks it
        self._lifetime.end(timeout if drain else 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        """Run async tasks on the caller's event loop from here on."""
        self._require_engine().adopt_loop(asyncio.get_running_loop())
        return self

    async def __aexit__(self, *_error: object) -> None:
        await asyncio.to_thread(self.shutdown)

    def __repr__(self) -> str:
        state = "shut down" if self._lifetime.is_over else "open"
        return f"DefaultRunner({self._location.shown!r}, {state})"

    def _require_engine(self) -> Engine:
        return self._lifetime.engine


def _taken(config: object) -> DefaultRunnerConfig:
    if config is None:
        return DefaultRunnerConfig()
    if not isinstance(config, DefaultRunnerConfig):
        raise InvalidConfigError("config", config, "a DefaultRunnerConfig")
    return config.copy()
