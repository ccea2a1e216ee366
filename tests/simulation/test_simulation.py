"""The engine under simulated faults: thousands of seeds, each checked after every transaction."""

import hashlib
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from cloacina.planner.planner import Planner
from engine.databases import a_database, the_server
from simulation.databases import Kind, opened
from simulation.postgres import postgres_databases
from simulation.scenario import Liveness
from simulation.shared import OpenDatabase, Shared
from simulation.simulate import SimulationFailedError, compare, simulate, simulate_all

SEEDS, CHUNK = 3_000, 100
SEEDS_ON_SQLITE, SEEDS_ON_POSTGRES = 40, 20
PHENOMENA = (
    "dies",
    "stands still",
    "falls silent",
    "renews its lease",
    "joins again",
    "loses the answer to a commit before it was written",
    "loses the answer to a commit after it was written",
    "at its clock",
    "the database cannot be used",
    "is fenced off",
    "cannot write",
    "cannot read",
    "has its clock set",
    "learns every workflow",
    "refuses: RejectedWriteError",
    "refuses: DuplicateExecutionError",
    "is told to stop",
    "has left",
    "strikes out",
    "execution_claimed",
    "outcome=RunnerLost",
    "sub_status=Retrying",
    "sub_status=UpstreamFailed",
    "its trigger rule does not hold",
    "error_type=Abandoned",
    "for a moment, to",
    "execution_retried",
    "execution_priority_changed",
    "has obeyed",
    "task_expanded",
    "concurrency_slot=1",
    "rate_slot=",
    "error_type=UnknownKey",
    "error_type=ElementFailed",
    "error_type=NoList",
    "claims the offer of",
    "hosts",
    "reports the guest",
    "concedes",
    "stop_asked_at=",
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()  # the engine reports every fault that it is given
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_seed_finds_a_violation(first: int) -> None:
    simulate_all(range(first, first + CHUNK))


@pytest.mark.parametrize("first", range(0, SEEDS_ON_SQLITE, 10))
def test_the_model_of_the_database_does_what_sqlite_does(first: int) -> None:
    with opened(Kind.SQLITE, None) as open_database:
        for seed in range(first, first + 10):
            compare(seed, open_database, Liveness.LOCKS)


@pytest.fixture(scope="module")
def postgres_database() -> Iterator[OpenDatabase]:
    with the_server() as server, opened(Kind.POSTGRES, server) as open_database:
        yield open_database


@pytest.mark.parametrize("first", range(0, SEEDS_ON_POSTGRES, 10))
def test_the_model_of_the_database_does_what_postgres_does(
    postgres_database: OpenDatabase, first: int
) -> None:
    for seed in range(first, first + 10):
        compare(seed, postgres_database, Liveness.LEASES)


def test_a_trouble_of_the_real_database_is_not_taken_for_one_of_the_world() -> None:
    with (
        the_server() as server,
        a_database(server) as url,
        postgres_databases(url) as open_database,
        psycopg.connect(server, autocommit=True) as administrator,
    ):
        name = urlsplit(url).path.removeprefix("/")

        def open_and_close_the_door(liveness: Liveness) -> Shared:
            opened = open_database(liveness)
            administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            return opened

        with pytest.raises(SimulationFailedError, match="the real database is not available"):
            simulate(0, open_and_close_the_door, Liveness.LEASES)


def test_one_seed_is_one_log_and_another_seed_another() -> None:
    logs = [simulate(seed).text() for seed in range(50)]
    assert logs == [simulate(seed).text() for seed in range(50)]
    assert len(set(logs)) == 50


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_replay_prints_the_log_whatever_the_hashes_are(hash_seed: str) -> None:
    replay = subprocess.run(
        [sys.executable, "-m", "simulation", "9"],
        env=os.environ | {"PYTHONPATH": "tests", "PYTHONHASHSEED": hash_seed},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=True,
    )
    printed = hashlib.sha256(replay.stdout).hexdigest()
    assert printed == simulate(9).digest()


def test_the_seeds_reach_what_they_are_meant_to_reach() -> None:
    seen: Counter[str] = Counter()
    for seed in range(600):
        text = simulate(seed).text()
        seen.update(phenomenon for phenomenon in PHENOMENA if phenomenon in text)
    assert [phenomenon for phenomenon in PHENOMENA if not seen[phenomenon]] == []


def test_a_failing_seed_says_how_to_replay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Planner, "next_due_us", None)
    with pytest.raises(SimulationFailedError, match=r"replay it with: .*simulation \d+") as failed:
        simulate_all(range(100))
    assert "joins with" in failed.value.log.text()
