"""The simulation can fail: whatever is broken on purpose, some seed finds it."""

import logging
from collections.abc import Iterator

import pytest

from simulation.planted import PLANTED, Planted
from simulation.simulate import SimulationFailedError, simulate_all

MOST_SEEDS = 1_000


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.plant(monkeypatch)
    with pytest.raises(SimulationFailedError, match=planted.complaint):
        simulate_all(range(MOST_SEEDS))
