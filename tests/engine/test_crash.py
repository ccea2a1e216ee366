"""A process killed at any moment loses nothing and repeats nothing that was committed."""

import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.databases import Where

TARGET = Path(__file__).with_name("crash_target.py")
KILLS = {"sqlite": 20, "postgres": 5}


@dataclass(frozen=True)
class Place:
    """Where one run happens: its database, and the file that its bodies write to."""

    where: Where
    side: Path

    def begin(self, work: int = 150_000) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, TARGET, self.where.url, self.side, str(work)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        return process

    def finish(self) -> None:
        out, err = self.begin().communicate(timeout=60)
        assert out.splitlines()[-1:] == ["Completed 50"], err
        assert [line for line in err.splitlines() if not is_expected(line)] == []


def is_expected(line: str) -> bool:
    return "took over from runners that are silent" in line


@pytest.fixture
def place(where: Where, tmp_path: Path) -> Place:
    return Place(where, tmp_path / "side")


@pytest.mark.parametrize(
    ("where", "seed"),
    [(kind, seed) for kind, kills in KILLS.items() for seed in range(kills)],
    indirect=["where"],
)
def test_a_killed_run_is_finished_by_the_next_process(place: Place, seed: int) -> None:
    process = place.begin()
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    # anywhere between the first commit and a little after the last
    moment = random.Random(seed).uniform(0, 0.3)  # noqa: S311 - a choice, not a secret
    killer = threading.Timer(moment, process.kill)
    killer.start()
    out, err = process.communicate(timeout=60)
    killer.cancel()
    assert process.returncode in {0, -signal.SIGKILL}, out + err
    assert "locked" not in err
    place.finish()
    compare_history_with_side_file(place)


def compare_history_with_side_file(place: Place) -> None:
    bodies = Counter(place.side.read_text().split())
    attempts = place.where.query(
        "SELECT t.task, a.number, a.outcome FROM task_attempts a JOIN task_executions t"
        " ON t.execution_id = a.execution_id AND t.number = a.task_number ORDER BY 1, 2"
    )
    statuses = place.where.query("SELECT DISTINCT status FROM task_executions")
    seqs = place.where.query("SELECT seq FROM execution_events ORDER BY seq")
    assert statuses == [("Completed",)]
    outcomes: dict[str, list[str]] = {}
    for name, _, outcome in attempts:
        outcomes.setdefault(name, []).append(outcome)
    assert len(outcomes) == 50
    for name, ends in outcomes.items():
        *lost, last = ends
        assert last == "Succeeded", name
        assert set(lost) <= {"RunnerLost"}, name  # nothing ran again that had completed
        assert 1 <= bodies[name] <= len(ends), name  # every run of a body has its attempt
    assert [seq for (seq,) in seqs] == list(range(1, len(seqs) + 1))


def test_a_living_process_takes_over_from_one_that_is_killed(place: Place) -> None:
    first = place.begin(work=5_000_000)  # seconds in all: longer than a process takes to start
    assert first.stdout is not None
    assert first.stdout.readline() == "running\n"
    second = place.begin(work=1000)
    assert second.stdout is not None
    assert second.stderr is not None
    assert second.stdout.readline() == "running\n"
    first.kill()
    first.communicate()
    assert second.stdout.read() == "Completed 50\n"
    err = second.stderr.read()
    assert [line for line in err.splitlines() if not is_expected(line)] == []
    second.communicate(timeout=60)
    compare_history_with_side_file(place)
