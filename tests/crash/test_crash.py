"""Processes killed at random instants, and a server restarted under load, lose and repeat nothing."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from crash.harness import Plan, run
from crash.kinds import KINDS, Kind, Servers, opened

ROUNDS = 15


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_nothing_is_lost_and_nothing_repeated(
    kind: Kind, seed: int, servers: Servers, tmp_path: Path
) -> None:
    with opened(kind, tmp_path, servers) as place:
        plan = Plan(seed=seed, processes=kind.processes, restart=place.restart)
        assert run(plan, place.where, tmp_path) == []
