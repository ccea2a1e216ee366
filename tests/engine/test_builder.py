"""``DefaultRunner.builder()``."""

from pathlib import Path

import pytest

from cloacina import Context, DefaultRunner, DefaultRunnerConfig, Runtime, WorkflowBuilder, task
from cloacina.errors import InvalidConfigError, InvalidUrlError, UnknownSettingError
from cloacina.packages.config import PackageConfig
from cloacina.packages.refusal import PackageRefusedError
from cloacina_sdk.collect import collecting
from cloacina_sdk.hooks import ExecutionInfo, hookimpl
from engine.databases import Where
from packages.makers import a_package, a_trust


@pytest.fixture
def runtime() -> Runtime:
    own = Runtime()
    with collecting(own.collection), WorkflowBuilder("w"):

        @task
        def only(context: Context) -> None:
            context["done"] = True

    return own


def test_a_runner_is_built_step_by_step(where: Where, runtime: Runtime) -> None:
    ended: list[str] = []

    class Listener:
        @hookimpl
        def cloacina_execution_finished(self, execution: ExecutionInfo) -> None:
            ended.append(execution.status)

    builder = (
        DefaultRunner.builder()
        .url(where.url)
        .runtime(runtime)
        .config(DefaultRunnerConfig(max_losses=2), max_concurrent_tasks=3)
        .config(db_pool_size=2)
        .plugin(Listener())
    )
    with builder.build() as runner:
        assert runner.execute("w", timeout=30).status == "Completed"
        config = runner.config
    assert (config.max_losses, config.max_concurrent_tasks, config.db_pool_size) == (2, 3, 2)
    assert ended == ["Completed"]


def test_a_beginning_serves_for_several_runners(postgres: Where, runtime: Runtime) -> None:
    common = DefaultRunner.builder().url(postgres.url).runtime(runtime)
    with common.schema("one").build() as one, common.schema("two").build() as two:
        found = one.execute("w", timeout=30).execution_id
        assert [each.execution_id for each in one.executions()] == [found]
        assert two.executions() == []


def test_packages_are_loaded_with_the_runner(tmp_path: Path) -> None:
    raw = a_package(tmp_path)
    home = tmp_path / "home"
    builder = DefaultRunner.builder().url(":memory:").runtime(Runtime()).load(raw)
    trusting = builder.packages(PackageConfig(home=home, trust=a_trust()))
    with trusting.build() as runner:
        assert runner.execute("greet", {"name": "you"}, timeout=60).status == "Completed"
    with pytest.raises(PackageRefusedError):
        builder.packages(PackageConfig(home=home)).build()


def test_mistakes_are_named_where_they_are_made() -> None:
    with pytest.raises(ValueError, match=r"call \.url\(\.\.\.\) before"):
        DefaultRunner.builder().build()
    with pytest.raises(InvalidConfigError, match="max_losses is 0"):
        DefaultRunner.builder().config(max_losses=0)
    with pytest.raises(UnknownSettingError, match="did you mean max_losses"):
        DefaultRunner.builder().config(max_loses=1)
    with pytest.raises(InvalidUrlError, match="which alone has schemas"):
        DefaultRunner.builder().url(":memory:").schema("a").build()
