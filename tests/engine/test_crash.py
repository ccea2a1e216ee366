"""A process killed at any moment loses nothing and repeats nothing that was committed."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

TARGET = Path(__file__).with_name("crash_target.py")
KILLS = 20


def begin(folder: Path, work: int = 150_000) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, TARGET, folder / "c.db", folder / "side", str(work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(folder: Path) -> None:
    out, err = begin(folder).communicate(timeout=60)
    assert out.splitlines()[-1:] == ["Completed 50"], err
    assert "locked" not in err
    assert err == ""


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_run_is_finished_by_the_next_process(tmp_path: Path, seed: int) -> None:
    process = begin(tmp_path)
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
    finish(tmp_path)
    compare_history_with_side_file(tmp_path)


def compare_history_with_side_file(folder: Path) -> None:
    bodies = Counter((folder / "side").read_text().split())
    with closing(sqlite3.connect(folder / "c.db")) as database:
        attempts = database.execute(
            "SELECT t.task, a.number, a.outcome FROM task_attempts a JOIN task_executions t"
            " ON t.execution_id = a.execution_id AND t.number = a.task_number ORDER BY 1, 2"
        ).fetchall()
        statuses = database.execute("SELECT DISTINCT status FROM task_executions").fetchall()
        seqs = database.execute("SELECT seq FROM execution_events ORDER BY seq").fetchall()
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


def test_a_living_process_takes_over_from_one_that_is_killed(tmp_path: Path) -> None:
    first = begin(tmp_path, work=5_000_000)  # seconds in all: longer than a process takes to start
    assert first.stdout is not None
    assert first.stdout.readline() == "running\n"
    second = begin(tmp_path, work=1000)
    assert second.stdout is not None
    assert second.stderr is not None
    assert second.stdout.readline() == "running\n"
    first.kill()
    first.communicate()
    assert (second.stdout.read(), second.stderr.read()) == ("Completed 50\n", "")
    second.communicate(timeout=60)
    compare_history_with_side_file(tmp_path)
    with closing(sqlite3.connect(tmp_path / "c.db")) as database:
        query = "SELECT count(*) FROM task_attempts WHERE outcome = 'RunnerLost'"
        assert database.execute(query).fetchone() > (0,)  # so it was taken over midway
