"""The settings of a runner: what they may be, and what they do."""

import asyncio
import copy
import inspect
import pickle
import threading
from decimal import Decimal
from typing import Any

import pytest

from cloacina import (
    CloacinaError,
    Context,
    DefaultRunner,
    DefaultRunnerConfig,
    Runtime,
    WorkflowBuilder,
    task,
)
from cloacina.errors import InvalidConfigError, UnknownSettingError, WaitTimeoutError
from cloacina.runner.config import SETTINGS
from cloacina.runner.engine import _lease_times
from cloacina_sdk.collect import collecting
from engine.databases import Where

INHERITED = {
    "max_concurrent_tasks": 4,
    "scheduler_poll_interval_ms": 100,
    "task_timeout_seconds": 300,
    "workflow_timeout_seconds": 3600,
    "db_pool_size": 10,
    "enable_recovery": True,
    "enable_cron_scheduling": True,
    "cron_poll_interval_seconds": 30,
    "cron_max_catchup_executions": 100,
    "cron_enable_recovery": True,
    "cron_recovery_interval_seconds": 300,
    "cron_lost_threshold_minutes": 10,
    "cron_max_recovery_age_seconds": 86400,
    "cron_max_recovery_attempts": 3,
}


def test_the_inherited_settings_come_first_in_their_order_with_their_defaults() -> None:
    settings = list(DefaultRunnerConfig().to_dict().items())
    assert settings[: len(INHERITED)] == list(INHERITED.items())
    values = [7, 20, 60, 90, 3, False, False, 5, 6, False, 8, 9, 10, 11]
    positional = DefaultRunnerConfig(*values)  # type: ignore[arg-type]  # of several types
    assert list(positional.to_dict().values())[: len(values)] == values
    assert DefaultRunnerConfig.default() == DefaultRunnerConfig()
    assert "max_concurrent_tasks=7" in repr(positional)


def test_every_setting_is_explained_and_checked() -> None:
    documentation = inspect.getdoc(DefaultRunnerConfig) or ""
    assert list(SETTINGS) == list(inspect.signature(DefaultRunnerConfig).parameters)
    for name, setting in SETTINGS.items():
        assert f"{name}:" in documentation
        setting.check(name, getattr(DefaultRunnerConfig(), name))
        with pytest.raises(InvalidConfigError, match=f"Invalid configuration: {name} is "):
            DefaultRunnerConfig(**{name: "a word"})  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("max_concurrent_tasks", 0, "a whole number from 1 to 10,000"),
        ("max_concurrent_tasks", True, "a whole number from 1 to 10,000"),
        ("max_concurrent_tasks", 4.0, "a whole number from 1 to 10,000"),
        ("max_concurrent_tasks", None, "a whole number from 1 to 10,000"),
        ("max_concurrent_tasks", 10**400, "a whole number from 1 to 10,000"),
        ("db_pool_size", 0, "a whole number from 1 to 1,000"),
        ("scheduler_poll_interval_ms", 9, "a whole number from 10 to 3,600,000"),
        ("cron_max_catchup_executions", 1001, "a whole number from 0 to 1,000"),
        ("enable_recovery", 1, "true or false"),
        ("task_timeout_seconds", float("nan"), "a number from 0.001 to 31,622,400, or none"),
        ("task_timeout_seconds", Decimal(5), "a number from 0.001 to 31,622,400, or none"),
        ("lease_seconds", float("inf"), "a number from 1 to 3,600"),
    ],
)
def test_what_is_not_allowed_is_refused_with_the_name_and_the_range(
    name: str, value: Any, allowed: str
) -> None:
    config = DefaultRunnerConfig()
    for refuse in (
        lambda: DefaultRunnerConfig(**{name: value}),
        lambda: setattr(config, name, value),
        lambda: config.copy(**{name: value}),
    ):
        with pytest.raises(ValueError, match=f"Invalid configuration: {name} is") as refused:
            refuse()
        assert isinstance(refused.value, CloacinaError)
        assert allowed in str(refused.value)
    assert config == DefaultRunnerConfig()


def test_a_setting_that_there_is_not_is_refused_with_its_neighbours() -> None:
    config = DefaultRunnerConfig()
    with pytest.raises(AttributeError, match="did you mean max_concurrent_tasks"):
        config.max_concurent_tasks = 3  # type: ignore[attr-defined]  # what is tested
    with pytest.raises(UnknownSettingError, match="config show"):
        config.copy(zzz=1)


def test_no_limit_is_a_property_set_to_none_and_stays() -> None:
    assert DefaultRunnerConfig(workflow_timeout_seconds=None).workflow_timeout_seconds == 3600
    config = DefaultRunnerConfig(task_timeout_seconds=None)
    config.workflow_timeout_seconds = None
    for same in (config.copy(), pickle.loads(pickle.dumps(config))):  # noqa: S301 - made above
        assert same == config
        assert (same.workflow_timeout_seconds, same.task_timeout_seconds) == (None, None)


def test_settings_that_do_not_go_together_are_refused_where_they_are_used() -> None:
    with pytest.raises(InvalidConfigError, match=r"heartbeat_seconds is 5; .* 0\.1 to 2\.0"):
        DefaultRunnerConfig(lease_seconds=4)
    config = DefaultRunnerConfig()
    config.lease_seconds = 4  # the heartbeat may be about to follow
    with pytest.raises(InvalidConfigError, match="heartbeat_seconds"):
        DefaultRunner(":memory:", config=config)
    config.heartbeat_seconds = 2
    DefaultRunner(":memory:", config=config).shutdown()


def test_a_runner_keeps_the_settings_that_it_was_made_with() -> None:
    config = DefaultRunnerConfig(max_concurrent_tasks=3)
    with DefaultRunner.with_config(":memory:", config) as runner:
        config.max_concurrent_tasks = 5
        runner.config.max_concurrent_tasks = 6
        assert runner.config.max_concurrent_tasks == 3
    with pytest.raises(InvalidConfigError, match="a DefaultRunnerConfig"):
        DefaultRunner(":memory:", config={"max_concurrent_tasks": 3})  # type: ignore[arg-type]


def test_a_small_pool_keeps_nobody_waiting_for_ever(where: Where) -> None:
    config = DefaultRunnerConfig(db_pool_size=1)
    with DefaultRunner(where.url, runtime=Runtime(), config=config) as runner:
        threads = [threading.Thread(target=runner.executions) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize(
    ("config", "poll_s"),
    [
        (DefaultRunnerConfig(), 1),
        (DefaultRunnerConfig(scheduler_poll_interval_ms=2500), 2.5),
        (DefaultRunnerConfig(scheduler_poll_interval_ms=2500, backstop_seconds=60), 60),
    ],
)
def test_the_poll_setting_is_the_backstop_on_postgres(
    config: DefaultRunnerConfig, poll_s: float
) -> None:
    assert _lease_times(config).poll_s == poll_s


class Slow:
    """A workflow that waits until somebody lets it go."""

    def __init__(self) -> None:
        self.runtime, self.may_end = Runtime(), threading.Event()
        self.begun = threading.Semaphore(0)
        with collecting(self.runtime.collection), WorkflowBuilder("slow"):

            @task
            def waits(_context: Context) -> None:
                self.begun.release()
                self.may_end.wait(30)


@pytest.fixture
def slow() -> Slow:
    return Slow()


def test_the_workflow_timeout_bounds_only_the_wait(where: Where, slow: Slow) -> None:
    config = DefaultRunnerConfig(workflow_timeout_seconds=0.01)
    with DefaultRunner(where.url, runtime=slow.runtime, config=config) as runner:
        with pytest.raises(WaitTimeoutError, match="it goes on"):
            runner.execute("slow")
        assert slow.begun.acquire(timeout=30)
        with pytest.raises(WaitTimeoutError, match="it goes on"):
            asyncio.run(runner.execute_async("slow"))
        assert slow.begun.acquire(timeout=30)
        slow.may_end.set()
        ends = [runner.handle(each.execution_id).wait(30) for each in runner.executions()]
    assert [end.status for end in ends] == ["Completed", "Completed"]


def test_a_wait_that_was_too_short_can_be_repeated_on_an_event_loop(
    slow: Slow,
) -> None:
    async def wait_twice(runner: DefaultRunner) -> str:
        handle = runner.submit("slow")
        with pytest.raises(WaitTimeoutError):
            await handle.wait_async(0.01)
        slow.may_end.set()
        return (await handle.wait_async(30)).status

    with DefaultRunner(":memory:", runtime=slow.runtime) as runner:
        assert asyncio.run(wait_twice(runner)) == "Completed"


def test_a_runner_without_recovery_leaves_to_others_what_others_began(
    where: Where, slow: Slow
) -> None:
    hasty = DefaultRunnerConfig(shutdown_timeout_seconds=0)
    with DefaultRunner(where.url, runtime=slow.runtime, config=hasty) as first:
        left = first.submit("slow").id
    slow.may_end.set()
    config = DefaultRunnerConfig(enable_recovery=False)
    with DefaultRunner(where.url, runtime=slow.runtime, config=config) as second:
        assert second.execute("slow", timeout=30).status == "Completed"  # it looked around before
        assert second.execution(left).status == "Running"
    where.query("UPDATE workflow_executions SET epoch = 0 WHERE status = 'Running'")
    with DefaultRunner(
        where.url, runtime=slow.runtime, config=config
    ) as third:  # nobody ever had it
        assert third.handle(left).wait(30).status == "Completed"


def test_a_setting_that_there_is_not_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UnknownSettingError, match=r"did you mean .*max_concurrent_tasks"):
        DefaultRunnerConfig(max_tasks=3)  # type: ignore[call-arg]  # what is tested
    config = DefaultRunnerConfig(max_concurrent_tasks=3)
    assert copy.copy(config) == config
