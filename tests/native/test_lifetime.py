"""Workers leave nothing behind, and do not outlive their host."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from cloacina_native.errors import WorkerBusyError
from cloacina_native.worker_process import WorkerProcess, describe_package

from .packages import (
    DEADLINE_S,
    MODULE,
    PACKAGE,
    Recorder,
    act,
    exit_status,
    failure,
    held_by_a_worker,
    request,
    wait_for_nobody,
    worker_of,
    write_package,
)

HOST = """
import sys
from pathlib import Path
from cloacina_native.run_request import RunRequest
from cloacina_native.worker_process import WorkerProcess

worker = WorkerProcess.start(Path(sys.argv[1]), name="acme", environment={})
worker.load("acme", ["acme_tasks"])
run = RunRequest(
    token="t", workflow="acme", task="act", attempt=1, execution_id="e", texts={}
)
worker.run(run, lambda line: print(line.text, flush=True))
"""


def open_descriptors() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_nothing_is_left_after_many_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    body = "open('left', 'w').close()\nos.mkdir('locked', 0)\nif 'die' in context: os._exit(1)"
    write_package(tmp_path / "package", body, head="import os")
    before, threads = open_descriptors(), threading.active_count()
    for number in range(20):
        with WorkerProcess.start(tmp_path / "package", name=PACKAGE, environment={}) as worker:
            if number % 5 == 0:
                worker.load(PACKAGE, [MODULE])
                act(worker, {"die": "1"} if number % 10 else {})
            if number % 5 == 1:
                worker.interrupt()
        assert not is_running(worker.pid)
        assert not worker.is_alive
    assert open_descriptors() == before
    assert threading.active_count() == threads
    assert list(scratch.iterdir()) == []


def test_a_failed_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    before = open_descriptors()
    with pytest.raises(OSError, match="no-python"):
        describe_package(tmp_path, PACKAGE, [])
    assert open_descriptors() == before
    assert list(tmp_path.iterdir()) == []


def test_closing_is_quick_and_may_be_repeated(tmp_path: Path) -> None:
    write_package(tmp_path, "pass")
    with worker_of(tmp_path) as worker:
        act(worker)
        worker.close(timeout_s=DEADLINE_S)
        assert exit_status(worker) == 0  # it left by itself
        worker.close()
        worker.interrupt()
        assert failure(act(worker)).error_type == "WorkerCrashed"


def test_a_worker_leaves_by_itself_even_while_a_body_runs(tmp_path: Path) -> None:
    write_package(tmp_path, "print('looping')\nwhile True: pass")
    with worker_of(tmp_path) as worker:
        looping = threading.Event()
        runner = threading.Thread(target=worker.run, args=(request(), lambda _: looping.set()))
        runner.start()
        assert looping.wait(DEADLINE_S)
        worker.close(timeout_s=DEADLINE_S)
        runner.join(DEADLINE_S)
        assert exit_status(worker) == 0


def test_closing_ends_an_attempt_that_holds_the_interpreter(tmp_path: Path) -> None:
    body = "print('holding')\nctypes.PyDLL(None).sleep(3600)"
    write_package(tmp_path, body, head="import ctypes")
    with worker_of(tmp_path) as worker:
        holding = threading.Event()
        outcomes: list[object] = []
        runner = threading.Thread(
            target=lambda: outcomes.append(worker.run(request(), lambda _: holding.set()))
        )
        runner.start()
        assert holding.wait(DEADLINE_S)
        with pytest.raises(WorkerBusyError, match="'acme' is busy"):
            act(worker)
        worker.close(timeout_s=0)
        runner.join(DEADLINE_S)
        assert not runner.is_alive()
        assert "WorkerInterrupted" in str(outcomes)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("while True: pass", id="a loop in Python"),
        pytest.param("ctypes.PyDLL(None).sleep(3600)", id="a call that holds the interpreter"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the lifeline is a mechanism of Linux")
def test_a_worker_and_its_children_die_with_their_host(tmp_path: Path, how: str) -> None:
    fifo = tmp_path / "fifo"
    body = f"""
        out = os.open({str(fifo)!r}, os.O_WRONLY)
        os.set_inheritable(out, True)
        subprocess.Popen(["sleep", "60"], close_fds=False)
        print("running")
        {how}
    """
    write_package(tmp_path, body, head="import ctypes, os, subprocess")
    command = [sys.executable, "-c", HOST, str(tmp_path)]
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # nobody is left to remove its scratch
    with (
        held_by_a_worker(fifo) as held,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as host,
    ):
        assert host.stdout is not None
        assert host.stdout.readline() == "running\n"
        host.send_signal(signal.SIGKILL)
        wait_for_nobody(held)


def test_lines_of_a_worker_that_dies_are_heard_before_the_call_returns(tmp_path: Path) -> None:
    write_package(tmp_path, "os.write(2, b'x' * 60000)\nos.abort()", head="import os")
    with worker_of(tmp_path) as worker:
        lines = Recorder()
        act(worker, lines=lines)
        assert sum(len(line.text) for line in lines) == 60000
