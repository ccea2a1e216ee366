"""The guided main job, on the real samples."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from cloacina.ctl.demo.stage import Stage
from cloacina.ctl.failure import Failure
from ctl.commands import Place

SAMPLES = Path(__file__).parents[2] / "sample_plugins"
HINT = "Name the directory that has it: cloacina-ctl demo --samples DIR"


def test_the_demo_does_the_main_job_and_writes_nothing_elsewhere(place: Place) -> None:
    home, temporary = place.path / "user", place.path / "tmp"
    home.mkdir()
    temporary.mkdir()
    before = sorted(SAMPLES.rglob("*"))
    line = place.line("demo", "--samples", str(SAMPLES), "--keep", "kept")
    done = subprocess.run(
        line,
        env={**os.environ, "TMPDIR": str(temporary), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout
    assert "refused: changed.cloacina\n  format: " in shown
    assert '"total_processed": 950' in shown
    assert "times_faster" in shown
    kept = re.search(r": (\d+) tasks were not run again", done.stderr)
    assert kept is not None
    assert int(kept[1]) >= 2
    assert "source_census::source_census: Running" in shown
    assert "source_census::source_census: Completed" in shown
    assert sorted(path.name for path in place.path.iterdir()) == ["kept", "tmp", "user"]
    assert list(home.iterdir()) == list(temporary.iterdir()) == []
    assert sorted(SAMPLES.rglob("*")) == before


def test_samples_that_are_not_there_are_asked_for(place: Place) -> None:
    result = place.invoke("demo", "--samples", place.path)
    assert result.exit_code == 2
    assert result.output.splitlines() == [
        f"Error: the sample project 'simple_demo' is not in {place.path}",
        f"  {HINT}",
    ]


def test_a_directory_that_exists_is_not_played_in(place: Place) -> None:
    result = place.invoke("demo", "--samples", SAMPLES, "--keep", place.path)
    assert result.exit_code == 2
    assert "name a new directory" in result.output


def test_a_step_that_ends_otherwise_than_expected_ends_the_demo(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.prepare()
    stage.type("verify", "nowhere", expected=2)
    with pytest.raises(Failure, match="'cloacina-ctl verify nowhere' ended with exit code 2"):
        stage.type("verify", "nowhere")
    with pytest.raises(Failure, match="exit code 2"):
        stage.ask("execution", "list", "--json")
    assert not stage.type_and_kill("--help", pattern="never", count=1)
    with pytest.raises(Failure, match="exit code 2"):
        stage.type_and_kill("verify", "nowhere", pattern="never", count=1)
