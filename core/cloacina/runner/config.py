"""The settings of a runner, checked whenever they are made or changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import wraps
from typing import TYPE_CHECKING, Final, Self, TypeVar

from cloacina.errors import InvalidConfigError, UnknownSettingError
from cloacina.runner.setting import (
    Setting,
    SettingValue,
    number,
    number_or_none,
    setting_of,
    switch,
    whole,
)

_C = TypeVar("_C")
_YEAR_S: Final = 31_622_400
_ON_POSTGRES: Final = "PostgreSQL only"
_WITH_CRON: Final = "accepted and checked; takes effect with the scheduler of cron workflows"


def _knowing_its_settings(config: type[_C]) -> type[_C]:
    """Have a class refuse what is none of its settings with the names nearest to that."""
    init: Callable[..., None] = vars(config)["__init__"]

    @wraps(init)
    def checked(self: object, *values: object, **settings: object) -> None:
        for name in settings:
            setting_named(name)
        init(self, *values, **settings)

    type.__setattr__(config, "__init__", checked)
    return config


@_knowing_its_settings
@dataclass
class DefaultRunnerConfig:
    """How a runner works.

    Every setting is a property that can be read and set; whoever sets one that is out of its range
    or of the wrong type is told at once. A runner takes a copy when it is made: what is set
    afterwards counts for the runners that are made afterwards.

    Attributes:
        max_concurrent_tasks: how many attempts may run at once, 1 to 10,000.
        scheduler_poll_interval_ms: on PostgreSQL, how long a change whose notification was lost may
            go unnoticed, 10 to 3,600,000, but never less than 1 s; without effect on SQLite, where
            nothing is polled.
        task_timeout_seconds: how long an attempt may take whose task names no timeout of its own,
            0.001 to 31,622,400; ``None`` for no limit.
        workflow_timeout_seconds: how long ``execute`` and ``execute_async`` wait at most when they
            are not told, 0.001 to 31,622,400; the execution itself goes on. Set the property to
            ``None`` for no limit; to the constructor ``None`` means the default.
        db_pool_size: how many connections for reading are kept open, 1 to 1,000; under load some
            more are opened for a while.
        enable_recovery: whether to take over executions that were begun by a runner that is gone.
        enable_cron_scheduling: whether this runner starts cron workflows. This setting and the
            seven below are accepted and checked; they take effect with the scheduler.
        cron_poll_interval_seconds: 1 to 86,400.
        cron_max_catchup_executions: 0 to 1,000.
        cron_enable_recovery: whether executions that were due and never began are made up for.
        cron_recovery_interval_seconds: 1 to 86,400.
        cron_lost_threshold_minutes: 1 to 527,040.
        cron_max_recovery_age_seconds: 0 to 31,622,400.
        cron_max_recovery_attempts: 0 to 1,000.
        cancel_grace_seconds: between asking an attempt to end and giving it up, 0 to 3,600.
        shutdown_timeout_seconds: how long ``shutdown`` waits for attempts that run, 0 to 86,400.
        lease_seconds: on PostgreSQL, after what silence the others take over, 1 to 3,600.
        heartbeat_seconds: on PostgreSQL, how often the lease is renewed, 0.1 to half the lease.
        backstop_seconds: on PostgreSQL, in place of ``scheduler_poll_interval_ms``, 1 to 3,600.
        max_losses: in how many attempts of a task its runner may be lost before the task fails as
            ``Abandoned``, 1 to 1,000.
        max_context_bytes: how large a context may be as JSON text in UTF-8, 0 to 1,099,511,627,776;
            0 for no limit. A larger input is refused, and a task that sees or leaves a larger
            context fails.
        retention_seconds: how long executions are kept after their end, 1 to 3,162,240,000; what is
            older is removed bit by bit with everything that belongs to it. ``None`` keeps all.

    Raises:
        InvalidConfigError: for a value outside its range; it names the setting and the range.
        UnknownSettingError: for setting what is no setting; it names those nearest.
    """

    max_concurrent_tasks: int = whole(4, 1, 10_000)
    scheduler_poll_interval_ms: int = whole(
        100, 10, 3_600_000, note="no effect on SQLite; on PostgreSQL the backstop, 1 s at least"
    )
    task_timeout_seconds: float | None = number_or_none(300, 0.001, _YEAR_S, none="no limit")
    workflow_timeout_seconds: float | None = number_or_none(
        3600, 0.001, _YEAR_S, none="no limit", note="how long execute() waits; the run goes on"
    )
    db_pool_size: int = whole(10, 1, 1_000)
    enable_recovery: bool = switch(default=True)
    enable_cron_scheduling: bool = switch(default=True, note=_WITH_CRON)
    cron_poll_interval_seconds: int = whole(30, 1, 86_400, note=_WITH_CRON)
    cron_max_catchup_executions: int = whole(100, 0, 1_000, note=_WITH_CRON)
    cron_enable_recovery: bool = switch(default=True, note=_WITH_CRON)
    cron_recovery_interval_seconds: int = whole(300, 1, 86_400, note=_WITH_CRON)
    cron_lost_threshold_minutes: int = whole(10, 1, 527_040, note=_WITH_CRON)
    cron_max_recovery_age_seconds: int = whole(86_400, 0, _YEAR_S, note=_WITH_CRON)
    cron_max_recovery_attempts: int = whole(3, 0, 1_000, note=_WITH_CRON)
    cancel_grace_seconds: float = number(5, 0, 3_600)
    shutdown_timeout_seconds: float = number(30, 0, 86_400)
    lease_seconds: float = number(15, 1, 3_600, note=_ON_POSTGRES)
    heartbeat_seconds: float = number(5, 0.1, 1_800, note=f"{_ON_POSTGRES}; half the lease at most")
    backstop_seconds: float | None = number_or_none(
        None, 1, 3_600, none="as scheduler_poll_interval_ms says", note=_ON_POSTGRES
    )
    max_losses: int = whole(5, 1, 1_000)
    max_context_bytes: int = whole(16 * 1024 * 1024, 0, 2**40, note="0 for no limit")
    retention_seconds: float | None = number_or_none(None, 1, 100 * _YEAR_S, none="all is kept")

    def __post_init__(self) -> None:
        if self.workflow_timeout_seconds is None:
            self.workflow_timeout_seconds = DefaultRunnerConfig.workflow_timeout_seconds
        self.check()

    if not TYPE_CHECKING:  # else type checkers would let every name pass

        def __setattr__(self, name: str, value: object) -> None:
            """Set one setting, if it is one and ``value`` is allowed."""
            setting_named(name).check(name, value)
            object.__setattr__(self, name, value)

    def check(self) -> None:
        """Do nothing if the settings go together; each alone was checked when it was set.

        Raises:
            InvalidConfigError: naming the setting that does not fit, and the range.
        """
        longest = self.lease_seconds / 2
        if self.heartbeat_seconds > longest:
            raise InvalidConfigError(
                "heartbeat_seconds", self.heartbeat_seconds, f"a number from 0.1 to {longest:,}"
            )

    def copy(self, **changes: SettingValue) -> Self:
        """Return settings of their own that are equal but for ``changes``, where ``None`` is itself.

        Raises:
            InvalidConfigError: for a value outside its range, or settings that do not go together.
            UnknownSettingError: for a change of what is no setting.
        """
        copied = type(self)()
        for name, value in (self.to_dict() | changes).items():
            setattr(copied, name, value)
        copied.check()
        return copied

    def to_dict(self) -> dict[str, SettingValue]:
        """Return every setting by name, in the order of the constructor's arguments."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @staticmethod
    def default() -> "DefaultRunnerConfig":
        """Return the default settings."""
        return DefaultRunnerConfig()


SETTINGS: Final = {each.name: setting_of(each) for each in fields(DefaultRunnerConfig)}
"""The rules of every setting, by name, in order."""


def setting_named(name: str, beside: Sequence[str] = ()) -> Setting:
    """Return the rules of a setting.

    Raises:
        UnknownSettingError: if there is none of that name; the nearest names, which may be among
            those ``beside`` the settings, are in it.
    """
    setting = SETTINGS.get(name)
    if setting is None:
        raise UnknownSettingError(name, get_close_matches(name, [*SETTINGS, *beside], n=3))
    return setting
