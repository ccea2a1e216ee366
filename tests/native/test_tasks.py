"""Tasks of pure Python packages in a worker: results, failures and what they say."""

import logging
import multiprocessing
from pathlib import Path

import pytest

from cloacina_native.errors import PackageLoadError, UnknownTaskError, WorkerStartError
from cloacina_native.frames import frame_limit
from cloacina_native.log_lines import ATTEMPT_LIMIT_BYTES, LogLine, LogSource
from cloacina_native.run_request import RunRequest
from cloacina_native.worker_process import WorkerProcess, describe_package
from cloacina_sdk.changes import Changes
from cloacina_sdk.outcome import TaskFailure

from .packages import (
    DEADLINE_S,
    MODULE,
    PACKAGE,
    Recorder,
    act,
    assigned,
    exit_status,
    failure,
    request,
    worker_of,
    write_module,
    write_package,
)


def test_a_worker_tells_the_workflows_of_a_package_in_order(tmp_path: Path) -> None:
    source = """
        from cloacina_sdk import task, workflow

        @workflow(name="etl", description="Nightly.", tags={"team": "data"})
        class Etl:
            @task
            def extract(context): ...

            @task(dependencies=[extract])
            async def load(context):
                "Load it all."

        @task
        def alone(context): ...
    """
    write_module(tmp_path, source)
    write_module(tmp_path, "import acme_tasks\nassert acme_tasks.Etl", module="acme_more")
    etl, alone = describe_package(tmp_path, PACKAGE, [MODULE, "acme_more"])
    assert (etl.name, etl.description, etl.tags) == ("etl", "Nightly.", (("team", "data"),))
    assert [(t.id, t.dependencies, t.is_async) for t in etl.tasks] == [
        ("extract", (), False),
        ("load", ("extract",), True),
    ]
    assert (alone.name, [task.id for task in alone.tasks]) == (PACKAGE, ["alone"])
    assert len(alone.tasks[0].fingerprint) == 64


def test_a_task_changes_its_context_attempt_after_attempt(tmp_path: Path) -> None:
    write_package(tmp_path, "context['n'] = context['n'] + 1\ndel context['old']")
    with worker_of(tmp_path) as worker:
        for number in ("1", "2"):
            outcome = act(worker, {"n": number, "old": "0", "kept": '"é"'})
            expected = {"n": str(int(number) + 1)}
            assert outcome == Changes(assigned=expected, removed=frozenset({"old"}))
        assert worker.is_alive


def test_an_async_task_runs_and_what_it_leaves_does_not_hold_it_up(tmp_path: Path) -> None:
    body = """
        asyncio.create_task(asyncio.to_thread(lambda: ended.wait()))
        asyncio.create_task(asyncio.sleep(3600))
        await asyncio.sleep(0)
        return {"loops": 1}
    """
    write_package(
        tmp_path, body, head="import asyncio, threading\nended = threading.Event()", is_async=True
    )
    with worker_of(tmp_path) as worker:
        assert assigned(act(worker)) == {"loops": "1"}
        assert assigned(act(worker)) == {"loops": "1"}


def test_an_async_task_that_will_not_be_cancelled_is_left_alone(tmp_path: Path) -> None:
    head = """
        import asyncio

        async def stubborn():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
    """
    body = "left = asyncio.create_task(stubborn())\nawait asyncio.sleep(0)\nreturn {'n': 1}"
    write_package(tmp_path, body, head=head, is_async=True)
    with worker_of(tmp_path) as worker:
        assert assigned(act(worker)) == {"n": "1"}


def test_a_thread_that_a_task_leaves_does_not_hold_up_the_next_nor_the_end(tmp_path: Path) -> None:
    body = """
        threading.Thread(target=threading.Event().wait).start()
        context["threads"] = sum(type(t) is threading.Thread for t in threading.enumerate())
    """
    write_package(tmp_path, body, head="import threading")
    with worker_of(tmp_path) as worker:
        first, second = (int(assigned(act(worker))["threads"]) for _ in range(2))
        assert second == first + 1
        worker.close(timeout_s=DEADLINE_S)
        assert exit_status(worker) == 0  # it left by itself


def test_an_exception_is_told_with_the_traceback_of_the_task_alone(tmp_path: Path) -> None:
    write_package(tmp_path, "raise ConnectionError('no route')")
    with worker_of(tmp_path) as worker:
        told = failure(act(worker))
        assert (told.error_type, told.message) == ("ConnectionError", "no route")
        assert told.is_transient
        assert "in act" in told.traceback
        assert "cloacina" not in told.traceback
        assert worker.is_alive


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_an_exit_is_a_failed_attempt_of_a_living_worker(
    tmp_path: Path, error: str, is_async: bool
) -> None:
    body = f"if 'calm' not in context: raise {error}(4)"
    write_package(tmp_path, body, is_async=is_async)
    with worker_of(tmp_path) as worker:
        told = failure(act(worker))
        assert (told.error_type, told.message) == (error, "4")
        assert assigned(act(worker, {"calm": "1"})) == {}


def test_a_wrong_result_is_a_failed_attempt(tmp_path: Path) -> None:
    write_package(tmp_path, "return 42")
    with worker_of(tmp_path) as worker:
        told = failure(act(worker))
        assert told.error_type == "cloacina_sdk.errors.InvalidReturnError"
        assert "returned an int" in told.message


def test_a_result_or_context_that_is_too_large_is_a_failed_attempt(tmp_path: Path) -> None:
    write_package(tmp_path, "return {'n': 'x' * (int(context['size']))}")
    with worker_of(tmp_path) as worker:
        told = failure(act(worker, {"size": str(17 << 20)}))
        assert told.error_type == "cloacina_native.errors.FrameTooLargeError"
        told = failure(act(worker, {"size": "1", "big": f'"{"x" * (17 << 20)}"'}))
        assert told.error_type == "cloacina_native.errors.FrameTooLargeError"
        large = assigned(act(worker, {"size": str(15 << 20), "other": '"y"'}))
        assert len(large["n"]) == (15 << 20) + 2


def test_a_context_of_the_size_that_the_host_allows_reaches_a_worker_and_comes_back(
    tmp_path: Path,
) -> None:
    write_package(
        tmp_path, "context['more'] = 'y' * 100\nfor key in range(9): del context[str(key)]"
    )
    size = 20 << 20
    keys = {str(number): "1" for number in range(200_000)}  # more key than value
    texts = keys | {"large": f'"{"x" * (size - 12 * len(keys))}"'}
    with WorkerProcess.start(
        tmp_path, name=PACKAGE, environment={}, max_frame_bytes=frame_limit(size)
    ) as worker:
        worker.load(PACKAGE, [MODULE])
        assert assigned(act(worker, texts)) == {"more": f'"{"y" * 100}"'}


def test_what_a_task_says_arrives_with_its_attempt(tmp_path: Path) -> None:
    body = """
        print("to stdout é")
        print("to stderr", file=sys.stderr)
        os.write(1, b"raw \\xff\\n")
        logging.getLogger("acme.db").warning("%d rows", 7)
        logging.debug("hidden")
        print("no newline", end="")
    """
    write_package(tmp_path, body, head="import logging, os, sys")
    with worker_of(tmp_path) as worker:
        for _ in range(2):
            lines = Recorder()
            assert assigned(act(worker, lines=lines)) == {}
            assert lines.of(LogSource.STDOUT) == ["to stdout é", "raw \\xff", "no newline"]
            assert lines.of(LogSource.STDERR) == ["to stderr"]
            records = [line for line in lines if line.source is LogSource.LOGGING]
            assert records == [
                LogLine(
                    source=LogSource.LOGGING,
                    text="7 rows",
                    level=logging.WARNING,
                    logger="acme.db",
                )
            ]


def test_a_flood_of_output_neither_blocks_nor_grows(tmp_path: Path) -> None:
    body = (
        f"os.write(1, b'x' * 1023 + b'\\n') and None\nfor _ in range({3 << 10}): print('y' * 1023)"
    )
    write_package(tmp_path, body, head="import os")
    with worker_of(tmp_path) as worker:
        lines = Recorder()
        assert assigned(act(worker, lines=lines)) == {}
        assert sum(len(text) + 1 for text in lines.of(LogSource.STDOUT)) == ATTEMPT_LIMIT_BYTES
        assert lines[-1].text.startswith("2,098,176 bytes of output were dropped")


def test_a_task_that_closes_its_streams_does_not_silence_the_next(tmp_path: Path) -> None:
    body = "print('heard')\nsys.stdout.close()\nsys.stderr = None"
    write_package(tmp_path, body, head="import sys")
    with worker_of(tmp_path) as worker:
        for _ in range(2):
            lines = Recorder()
            assert assigned(act(worker, lines=lines)) == {}
            assert lines.of(LogSource.STDOUT) == ["heard"]


def test_output_of_importing_goes_to_the_log_of_the_host(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_package(tmp_path, "pass", head="print('hello from import')")
    with caplog.at_level(logging.INFO, "cloacina_native"), worker_of(tmp_path):
        assert "worker of acme: stdout: hello from import" in caplog.text


def test_a_process_that_a_task_forks_does_not_speak_for_it(tmp_path: Path) -> None:
    body = """
        child = os.fork()
        if child == 0:
            logging.warning("from the child")
            raise RuntimeError("in the child")
        context["status"] = os.waitpid(child, 0)[1]
    """
    write_package(tmp_path, body, head="import logging, os")
    with worker_of(tmp_path) as worker:
        lines = Recorder()
        assert assigned(act(worker, lines=lines)) == {"status": "0"}
        assert lines.of(LogSource.LOGGING) == []
        assert "from the child" in lines.of(LogSource.STDERR)
        assert "RuntimeError: in the child" in lines.of(LogSource.STDERR)
        assert assigned(act(worker)) == {"status": "0"}


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_task_may_use_a_pool_of_processes(tmp_path: Path, method: str) -> None:
    head = """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        def square(number):
            print("squaring")
            return number * number
    """
    body = f"""
        with ProcessPoolExecutor(1, multiprocessing.get_context({method!r})) as pool:
            context["squares"] = list(pool.map(square, [1, 2]))
    """
    write_package(tmp_path, body, head=head)
    with worker_of(tmp_path) as worker:
        lines = Recorder()
        assert assigned(act(worker, lines=lines)) == {"squares": "[1,4]"}
        assert lines.of(LogSource.STDOUT) == ["squaring", "squaring"]


@pytest.mark.parametrize(
    ("source", "error_type", "message"),
    [
        ("import not_there", "ModuleNotFoundError", "No module named 'not_there'"),
        ("raise SystemExit('no licence')", "SystemExit", "no licence"),
        ("def f(:", "SyntaxError", "invalid syntax"),
        (
            "from cloacina_sdk import task\n@task(dependencies=['gone'])\ndef a(context): ...",
            "cloacina_sdk.errors.InvalidWorkflowError",
            "depends on 'gone'",
        ),
        (
            "from cloacina_sdk import WorkflowBuilder, task\n"
            "for name in 'ab':\n"
            "    with WorkflowBuilder('twice', package=name):\n"
            "        @task\n"
            "        def t(context): ...",
            "cloacina_sdk.errors.InvalidDefinitionError",
            "two workflows called 'twice'",
        ),
    ],
)
def test_a_package_that_cannot_be_loaded_says_why(
    tmp_path: Path, source: str, error_type: str, message: str
) -> None:
    write_module(tmp_path, source)
    with pytest.raises(PackageLoadError, match=message) as caught:
        describe_package(tmp_path, PACKAGE, [MODULE])
    assert isinstance(caught.value, ImportError)
    assert (caught.value.package, caught.value.error_type) == (PACKAGE, error_type)
    assert "Traceback" in caught.value.traceback


@pytest.mark.parametrize(
    ("source", "timeout_s", "reason"),
    [
        ("import os; os._exit(3)", DEADLINE_S, "exited with status 3 while it loaded package"),
        ("import threading; threading.Event().wait()", 0.3, "loaded package 'acme' for too long"),
    ],
)
def test_a_package_that_never_finishes_loading_is_an_error(
    tmp_path: Path, source: str, timeout_s: float, reason: str
) -> None:
    write_module(tmp_path, source)
    with WorkerProcess.start(tmp_path, name=PACKAGE, environment={}) as worker:
        with pytest.raises(PackageLoadError, match=reason):
            worker.load(PACKAGE, [MODULE], timeout_s=timeout_s)
        assert not worker.is_alive


def test_only_what_was_loaded_can_be_run(tmp_path: Path) -> None:
    write_package(tmp_path, "pass")
    with worker_of(tmp_path) as worker:
        with pytest.raises(UnknownTaskError, match="no task 'other'"):
            worker.run(request(task="other"), Recorder())
        unknown = RunRequest(
            token="t", workflow="w", task="act", attempt=1, execution_id="e", texts={}
        )
        with pytest.raises(LookupError, match="workflow 'w'"):
            worker.run(unknown, Recorder())


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkerStartError, match=r"'acme' cannot be started: .*gone"):
        WorkerProcess.start(tmp_path / "gone", name=PACKAGE, environment={})


def test_a_failure_tells_the_classes_of_its_error_and_what_the_predicate_said(
    tmp_path: Path,
) -> None:
    source = """
        from cloacina_sdk import task

        class Busy(ConnectionError):
            code = 503

        def is_worth_it(error):
            return error.code == 503

        @task(retry_condition=[is_worth_it, KeyError])
        def act(context):
            error = Busy("later")
            error.code = context["code"]
            raise error
    """
    with worker_of(write_module(tmp_path / "package", source)) as worker:
        for code, is_approved in (("503", True), ("404", False)):
            told = worker.run(request({"code": code}), Recorder())
            assert isinstance(told, TaskFailure)
            assert told.error_types[:3] == ("acme_tasks.Busy", "ConnectionError", "OSError")
            assert told.is_retry_approved is is_approved


def test_a_package_with_callbacks_is_refused_by_name(tmp_path: Path) -> None:
    source = """
        from cloacina_sdk import task

        @task(on_failure=print)
        def act(context): ...
    """
    directory = write_module(tmp_path / "package", source)
    with pytest.raises(PackageLoadError, match=r"task 'act': a package cannot have on_success"):
        describe_package(directory, PACKAGE, [MODULE])
