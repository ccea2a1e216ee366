"""Who has slots of concurrency keys and rates: what runners of one database share.

A slot is had by the row of an attempt: that of a key while the attempt is open, that of a rate for
good. Unique indexes decide who gets it, and a row that is closed gives it back.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

import sqlalchemy as sa

from cloacina.planner.events import StoredExecution
from cloacina.planner.execution import ExecutionState
from cloacina.planner.queue.claims import Question, Taken
from cloacina.planner.restore import restored
from cloacina.store.tables import ATTEMPTS
from cloacina_sdk.throttle import Throttle, UnknownKeyError

_Value = TypeVar("_Value")
KEY_SLOTS: Final = "ux_task_attempts_key_slot"
RATE_SLOTS: Final = "ux_task_attempts_rate_slot"
_AT_ONCE: Final = 500
"""How many values one statement names."""

_HOLDS_KEY = sa.and_(ATTEMPTS.c.finished_at.is_(None), ATTEMPTS.c.concurrency_slot.is_not(None))


def taken(connection: sa.Connection, question: Question) -> Taken:
    """Return who has slots of the keys, and the slots of rates, that are asked for."""
    columns = ATTEMPTS.c
    keys: dict[str, dict[int, str]] = {}
    for names in _parts(sorted(set(question.keys))):
        query = sa.select(columns.concurrency_key, columns.concurrency_slot, columns.token).where(
            _HOLDS_KEY, columns.concurrency_key.in_(names)
        )
        for key, slot, token in connection.execute(query).all():
            keys.setdefault(key, {})[slot] = token
    rates: dict[str, dict[int, str]] = {}
    wanted: dict[str, list[int]] = {}
    for rate_key, slot in sorted(set(question.rates)):
        wanted.setdefault(rate_key, []).append(slot)
    for rate_key, slots in wanted.items():
        for some in _parts(slots):
            found = sa.select(columns.rate_slot, columns.token).where(
                columns.rate_key == rate_key, columns.rate_slot.in_(some)
            )
            for slot, token in connection.execute(found).all():
                rates.setdefault(rate_key, {})[slot] = token
    return Taken(question=question, keys=keys, rates=rates)


def used_up(
    connection: sa.Connection, stored: StoredExecution, utc_us: int
) -> dict[int, tuple[str, str]]:
    """Return for which tasks that have not ended a limit is used up, as far as rows tell.

    By the number of the task of the graph: ``key`` or ``rate``, and the name of it.
    """
    if not any(task.throttle for task in stored.topology.tasks):
        return {}
    execution = restored(stored)
    dependencies = stored.topology.dependencies
    found = {}
    for task in execution.tasks:
        is_decided = all(execution.tasks[n].status.is_final for n in dependencies[task.number])
        throttle = execution.spec(task.number).throttle
        if throttle is not None and is_decided and not task.status.is_final:
            limit = _used_up(connection, execution, task.number, throttle, utc_us)
            if limit is not None:
                found[task.number] = limit
    return found


def _used_up(
    connection: sa.Connection, execution: ExecutionState, number: int, by: Throttle, utc_us: int
) -> tuple[str, str] | None:
    try:
        key = execution.concurrency_key(number)
    except UnknownKeyError:  # whoever plans it fails the task for that
        return None
    columns = ATTEMPTS.c
    if key is not None:
        mine = sa.and_(columns.concurrency_key == key, columns.concurrency_slot < by.max_concurrent)
        if _count(connection, sa.and_(_HOLDS_KEY, mine)) >= by.max_concurrent:
            return "key", key
    if by.rate is None:
        return None
    rate_key = execution.rate_key(number)
    first = utc_us // by.rate.window_us * by.rate.count
    window = columns.rate_slot.between(first, first + by.rate.count - 1)
    if _count(connection, sa.and_(columns.rate_key == rate_key, window)) < by.rate.count:
        return None
    return "rate", f"{rate_key} {by.rate}"


def _count(connection: sa.Connection, which: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(ATTEMPTS).where(which)
    return connection.execute(query).scalar_one()


def give_back(connection: sa.Connection, runners: Sequence[str]) -> None:
    """Free the slots of keys that open attempts of runners have that are gone.

    The attempts themselves are closed by whoever takes their executions over, which may be much
    later: nobody may know the workflow.
    """
    _free(connection, ATTEMPTS.c.runner.in_(runners))


def give_back_of(connection: sa.Connection, execution_ids: Sequence[str]) -> None:
    """Likewise for executions that are taken over from a runner that nobody struck out."""
    for some in _parts(execution_ids):
        _free(connection, ATTEMPTS.c.execution_id.in_(some))


def _free(connection: sa.Connection, whose: sa.ColumnElement[bool]) -> None:
    connection.execute(sa.update(ATTEMPTS).where(_HOLDS_KEY, whose).values(concurrency_slot=None))


def _parts(values: Sequence[_Value]) -> list[Sequence[_Value]]:
    return [values[begin : begin + _AT_ONCE] for begin in range(0, len(values), _AT_ONCE)]
