"""Runs that were cut off: killed, interrupted, taken over."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from ctl.commands import DEADLINE_S, GATED, GREET, Place, document, ok


@pytest.fixture
def gated(place: Place) -> Path:
    place.trust()
    os.mkfifo(place.path / "gate")
    return place.gated()


def start(place: Place, package: Path, workflow: str = "") -> "subprocess.Popen[str]":
    """Start a run and return when its second task waits at the gate."""
    context = f'{{"gate": "{place.path / "gate"}", "diary": "{place.path / "diary"}"}}'
    process = place.start("run", f"{package}{workflow}", "--context", context, "--follow")
    read_until(process, r"second +Running")
    return process


def read_until(process: "subprocess.Popen[str]", pattern: str) -> None:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if re.search(pattern, line):
            return
    raise AssertionError("".join(lines))


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate(timeout=DEADLINE_S)


def open_gate(place: Place, word: str) -> None:
    """Give the waiting task its word; returns once a task has opened the gate."""
    (place.path / "gate").write_text(word)


def test_a_killed_run_is_resumed_and_nothing_done_is_done_again(place: Place, gated: Path) -> None:
    kill(start(place, gated))
    resumed = place.start("run", gated, "--resume", "--follow")
    read_until(resumed, r"second +Running +attempt 2")
    open_gate(place, "sesame")
    said, _ = resumed.communicate(timeout=DEADLINE_S)
    assert resumed.returncode == 0, said
    assert "1 task was not run again" in said
    assert (place.path / "diary").read_text() == "first\n"
    (entry,) = document(ok(place.invoke("execution", "list", "--json")))
    assert entry["status"] == "Completed"
    shown = document(ok(place.invoke("execution", "show", entry["execution_id"], "--json")))
    assert shown["final_context"]["word"] == "sesame"
    assert [task["attempts"] for task in shown["tasks"]] == [1, 2, 1]


def test_a_resumed_run_shows_what_was_done_before(place: Place, gated: Path) -> None:
    kill(start(place, gated))
    resumed = place.start("run", gated, "--resume", "--follow")
    read_until(resumed, r"first +Completed +attempt 1 +before")
    read_until(resumed, r"second +Running +attempt 2")
    kill(resumed)


def test_looking_at_a_cut_off_run_does_not_take_it_over(place: Place, gated: Path) -> None:
    kill(start(place, gated))
    look = ("execution", "list", "--json", "--status", "running")
    assert document(ok(place.invoke(*look))) == document(ok(place.invoke(*look)))
    (entry,) = document(ok(place.invoke(*look)))
    shown = document(ok(place.invoke("execution", "show", entry["execution_id"][:20], "--json")))
    assert [task["status"] for task in shown["tasks"]] == ["Completed", "Running", "NotStarted"]
    plain = ok(place.invoke("execution", "show", entry["execution_id"])).output
    assert "gated::gated: Running" in plain
    assert "final context" not in plain


def test_another_run_says_that_it_took_over_what_was_cut_off(place: Place, gated: Path) -> None:
    kill(start(place, gated))
    another = place.start("run", gated, "--follow")
    read_until(another, r"1 unfinished run of this package, cut off earlier, was taken over")
    open_gate(place, "sesame")
    said, _ = another.communicate(timeout=DEADLINE_S)
    assert another.returncode == 1, said  # it had no context itself
    assert "1 task was not run again" in said
    assert said.count("gated::gated: ") == 1  # the report is of the run that was asked for
    statuses = [e["status"] for e in document(ok(place.invoke("execution", "list", "--json")))]
    assert statuses == ["Failed", "Completed"]


def test_what_was_cut_off_of_another_workflow_of_the_package_is_finished_too(
    place: Place,
) -> None:
    place.trust()
    os.mkfifo(place.path / "gate")
    source = GATED + GREET
    package = place.package("both.cloacina", source, name="both", module="both_tasks")
    kill(start(place, package, "::gated"))
    other = place.start("run", f"{package}::greet", "--context", '{"name": "x"}')
    open_gate(place, "sesame")
    said, _ = other.communicate(timeout=DEADLINE_S)
    assert other.returncode == 0, said
    assert "1 unfinished run of this package, cut off earlier, was taken over" in said
    statuses = [e["status"] for e in document(ok(place.invoke("execution", "list", "--json")))]
    assert statuses == ["Completed", "Completed"]


def test_ctrl_c_keeps_the_run_and_says_how_to_go_on(place: Place, gated: Path) -> None:
    process = start(place, gated)
    process.send_signal(signal.SIGINT)
    read_until(process, r"Ctrl-C again to leave at once")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    (entry,) = document(ok(place.invoke("execution", "list", "--json")))
    assert entry["status"] == "Running"


def test_a_task_that_ends_after_ctrl_c_is_not_run_again(place: Place, gated: Path) -> None:
    process = start(place, gated)
    process.send_signal(signal.SIGINT)
    read_until(process, rf"cloacina-ctl --home {place.home} run {gated} --resume")
    open_gate(place, "sesame")
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    resumed = place.run("run", gated, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "2 tasks were not run again" in resumed.stderr


def test_where_nothing_is_unfinished_there_is_nothing_to_resume(place: Place) -> None:
    place.trust()
    package = place.package()
    assert place.run("run", package, "--context", '{"name": "x"}').returncode == 0
    done = place.run("run", package, "--resume")
    assert done.returncode == 2
    assert "there is nothing to resume" in done.stderr


def test_resuming_takes_no_context(place: Place) -> None:
    done = place.run("run", place.package(), "--resume", "--context", "{}")
    assert done.returncode == 2
    assert "leave it out" in done.stderr
