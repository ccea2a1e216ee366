"""Processes that share an execution may be killed: its owner, and those that help it."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from engine.databases import Where
from engine.test_crash import TARGET, Place, compare_history_with_side_file, is_expected

WORK = 200_000
KILLS = {"sqlite": 3, "postgres": 1}
PATIENCE_S = 60

Process = subprocess.Popen[str]


@pytest.fixture
def place(where: Where, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(where, tmp_path_factory.mktemp("side") / "side")


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def begin(place: Place, processes: ExitStack, *role: str) -> Process:
    process = subprocess.Popen(
        [sys.executable, TARGET, place.where.url, place.side, str(WORK), *role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    processes.enter_context(process)
    processes.callback(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


def kill_at(process: Process, moment_s: float) -> threading.Timer:
    killer = threading.Timer(moment_s, process.kill)
    killer.start()
    return killer


def check(process: Process) -> None:
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in {0, -signal.SIGKILL}, out + err
    assert "locked" not in err
    left = [line for line in err.splitlines() if not is_expected(line)]
    assert left == [] or process.returncode, err


@pytest.mark.parametrize(
    ("where", "seed"),
    [(kind, seed) for kind, kills in KILLS.items() for seed in range(kills)],
    indirect=["where"],
)
@pytest.mark.parametrize("victim", ["owner", "helper", "both"])
def test_an_execution_survives_the_death_of_its_owner_and_of_a_helper(
    place: Place, processes: ExitStack, victim: str, seed: int
) -> None:
    dice = random.Random(f"{victim} {seed}")  # noqa: S311 - a choice, not a secret
    helpers = [begin(place, processes, "helper") for _ in range(2)]
    owner = begin(place, processes)
    killers = []
    if victim != "helper":
        killers.append(kill_at(owner, dice.uniform(0, 0.5)))
    if victim != "owner":
        killers.append(kill_at(helpers[0], dice.uniform(0, 0.5)))
    check(owner)
    for killer in killers:
        killer.join()
    for helper in helpers:
        check(helper)
    place.finish()
    compare_history_with_side_file(place)
    assert place.where.query("SELECT count(*) FROM attempt_offers") == [(0,)]


def test_helpers_in_other_processes_take_their_share(place: Place, processes: ExitStack) -> None:
    gate = place.side.with_name("gate")
    os.mkfifo(gate)
    helpers = [begin(place, processes, "helper", "--gate", str(gate)) for _ in range(2)]
    owner = begin(place, processes, "--gate", str(gate))
    out, err = owner.communicate(timeout=PATIENCE_S)
    assert out == "Completed 50\n", err
    for helper in helpers:
        check(helper)
    runners = place.where.query("SELECT DISTINCT runner FROM task_attempts")
    assert len(runners) >= 2
    compare_history_with_side_file(place)
