"""``DefaultRunner.builder()``: say one after the other what a runner is to be like.

Every call returns a new builder, so that a common beginning can be used for several runners.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cloacina.errors import EngineError
from cloacina.packages.config import PackageConfig
from cloacina.runner.config import DefaultRunnerConfig
from cloacina.runner.setting import SettingValue
from cloacina.runtime import Runtime
from cloacina_sdk.executor import TaskExecutor

if TYPE_CHECKING:
    from cloacina.executors.routing import RoutingConfig
    from cloacina.runner.runner import DefaultRunner


class IncompleteBuilderError(EngineError, ValueError):
    """A builder was asked to build and was not told where the database is."""

    def __init__(self) -> None:
        super().__init__(
            "the builder was not told which database to open; call .url(...) before .build()"
        )


@dataclass(frozen=True, slots=True)
class DefaultRunnerBuilder:
    """What is known so far of a runner that is to be made; made by ``DefaultRunner.builder``."""

    _make: "type[DefaultRunner]"
    _url: str | Path | None = None
    _schema: str | None = None
    _config: DefaultRunnerConfig = field(default_factory=DefaultRunnerConfig)
    _runtime: Runtime | None = None
    _packages: PackageConfig | None = None
    _executors: Mapping[str, TaskExecutor] = field(default_factory=dict)
    _routing: "RoutingConfig | None" = None
    _plugins: tuple[object, ...] = ()
    _loaded: tuple[Path | str | bytes, ...] = ()

    def url(self, database_url: str | Path) -> Self:
        """Open this database: a path, or any URL that ``DefaultRunner`` takes."""
        return replace(self, _url=database_url)

    def schema(self, name: str) -> Self:
        """Open this tenant's schema on PostgreSQL, and make it if it is missing."""
        return replace(self, _schema=name)

    def config(self, config: DefaultRunnerConfig | None = None, **settings: SettingValue) -> Self:
        """Take over all settings of ``config``, if it is given, and then change single ones.

        Settings that have to go together go into one call.

        Raises:
            InvalidConfigError: for a value outside its range.
            UnknownSettingError: for what is no setting.
        """
        return replace(self, _config=(self._config if config is None else config).copy(**settings))

    def runtime(self, runtime: Runtime) -> Self:
        """Offer these workflows instead of those that the decorators collected."""
        return replace(self, _runtime=runtime)

    def packages(self, packages: PackageConfig) -> Self:
        """Say whom to trust with packages, and how to run them."""
        return replace(self, _packages=packages)

    def load(self, *sources: Path | str | bytes) -> Self:
        """Verify and load these packages, by path or bytes, as soon as the runner is there."""
        return replace(self, _loaded=(*self._loaded, *sources))

    def executor(self, name: str, executor: TaskExecutor) -> Self:
        """Add a place where attempts can run; it is closed with the runner."""
        return replace(self, _executors={**self._executors, name: executor})

    def routing(self, routing: "RoutingConfig") -> Self:
        """Say which tasks run where."""
        return replace(self, _routing=routing)

    def plugin(self, plugin: object) -> Self:
        """Add an object with ``hookimpl`` methods."""
        return replace(self, _plugins=(*self._plugins, plugin))

    def build(self) -> "DefaultRunner":
        """Make the runner, which begins at once; it may be called again for another one.

        If a package is refused, the runner is shut down again.

        Raises:
            IncompleteBuilderError: if no database was named.
            EngineError: as ``DefaultRunner`` and ``DefaultRunner.load_package`` raise.
        """
        if self._url is None:
            raise IncompleteBuilderError
        runner = self._make(
            self._url,
            config=self._config,
            runtime=self._runtime,
            packages=self._packages,
            schema=self._schema,
            executors=self._executors,
            routing=self._routing,
            plugins=self._plugins,
        )
        try:
            for source in self._loaded:
                runner.load_package(source)
        except BaseException:
            runner.shutdown()
            raise
        return runner
