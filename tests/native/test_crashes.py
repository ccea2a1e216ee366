"""Tasks that end their worker: one failed attempt with its cause named, and nothing more."""

import logging
import threading
from pathlib import Path

import pytest

from cloacina_native.log_lines import LogLine, LogSource
from cloacina_native.worker_process import WorkerProcess
from cloacina_sdk.outcome import TaskFailure

from .packages import (
    DEADLINE_S,
    MODULE,
    PACKAGE,
    Recorder,
    act,
    failure,
    held_by_a_worker,
    request,
    wait_for_end,
    wait_for_nobody,
    worker_of,
    write_package,
)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("ctypes.string_at(0)", "died of SIGSEGV"),
        ("os.abort()", "died of SIGABRT"),
        ("os._exit(3)", "exited with status 3"),
        ("os._exit(0)", "exited with status 0"),
        ("os.kill(os.getpid(), signal.SIGTERM)\nsignal.pause()", "died of SIGTERM"),
        ("os.kill(os.getpid(), signal.SIGKILL)\nsignal.pause()", "died of SIGKILL (killed by"),
        ("sys.setrecursionlimit(10**9)\nf = lambda: eval('f()', {'f': f})\nf()", "died of SIGSEGV"),
    ],
)
def test_a_death_is_a_failed_attempt_with_its_cause(tmp_path: Path, body: str, cause: str) -> None:
    write_package(tmp_path, body, head="import ctypes, os, signal, sys")
    with worker_of(tmp_path) as worker:
        told = failure(act(worker))
        assert (told.error_type, told.traceback) == ("WorkerCrashed", "")
        assert told.is_transient
        assert told.message.startswith(f"the worker {cause}")
        assert told.message.endswith(
            "while it ran task 'act' of workflow 'acme' (attempt 1 in execution execution-1)"
        )
        assert not worker.is_alive
        again = failure(act(worker))
        assert again.error_type == "WorkerCrashed"
        assert "had ended before" in again.message


def test_the_last_words_of_a_worker_are_heard(tmp_path: Path) -> None:
    body = "print('last words', file=sys.stderr)\nprint('and more')\nos.abort()"
    write_package(tmp_path, body, head="import os, sys")
    with worker_of(tmp_path) as worker:
        lines = Recorder()
        failure(act(worker, lines=lines))
        assert lines.of(LogSource.STDERR) == ["last words"]
        assert lines.of(LogSource.STDOUT) == ["and more"]


def test_a_worker_that_dies_while_idle_is_not_alive(tmp_path: Path) -> None:
    body = "threading.Timer(0.01, lambda: os._exit(9)).start()"
    write_package(tmp_path, body, head="import os, threading")
    with worker_of(tmp_path) as worker:
        act(worker)
        wait_for_end(worker)
        assert not worker.is_alive
        assert "exited with status 9 while it was idle" in failure(act(worker)).message


def test_the_death_is_seen_though_a_child_keeps_everything_open(tmp_path: Path) -> None:
    body = """
        if ctypes.CDLL(None).fork() == 0:
            signal.pause()
        os._exit(5)
    """
    write_package(tmp_path, body, head="import ctypes, os, signal")
    with worker_of(tmp_path) as worker:
        assert "exited with status 5" in failure(act(worker)).message


def test_interrupting_ends_a_loop_and_all_that_it_started(tmp_path: Path) -> None:
    body = f"""
        out = os.open({str(tmp_path / "fifo")!r}, os.O_WRONLY)
        os.set_inheritable(out, True)
        subprocess.Popen(["sleep", "60"], close_fds=False)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("looping")
        while True: pass
    """
    write_package(tmp_path, body, head="import os, signal, subprocess")
    with held_by_a_worker(tmp_path / "fifo") as held, worker_of(tmp_path) as worker:
        looping = threading.Event()
        outcomes: list[object] = []
        runner = threading.Thread(
            target=lambda: outcomes.append(worker.run(request(), lambda _: looping.set()))
        )
        runner.start()
        assert looping.wait(DEADLINE_S)
        worker.interrupt()
        assert not worker.is_alive
        runner.join(DEADLINE_S)
        (outcome,) = outcomes
        assert isinstance(outcome, TaskFailure)
        assert outcome.error_type == "WorkerInterrupted"
        assert "was interrupted while it ran task 'act'" in outcome.message
        wait_for_nobody(held)
        worker.interrupt()


def test_interrupting_ends_a_worker_that_is_loading(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_package(tmp_path, "pass", head="print('importing')\nwhile True: pass")
    logger = logging.getLogger("cloacina_native.conversation")
    with WorkerProcess.start(tmp_path, name=PACKAGE, environment={}) as worker:
        handler = logging.Handler()
        handler.emit = lambda record: worker.interrupt()  # type: ignore[method-assign]  # one test only
        logger.addHandler(handler)
        with caplog.at_level(logging.INFO, logger.name):
            try:
                with pytest.raises(ImportError, match="was interrupted while it loaded"):
                    worker.load(PACKAGE, [MODULE])
            finally:
                logger.removeHandler(handler)


def test_what_the_caller_raises_ends_the_worker_and_goes_on(tmp_path: Path) -> None:
    write_package(tmp_path, "print('x')\nwhile True: pass")

    def refuse(line: LogLine) -> None:
        raise BufferError(line.text)

    with worker_of(tmp_path) as worker:
        with pytest.raises(BufferError, match="x"):
            worker.run(request(), refuse)
        assert not worker.is_alive
