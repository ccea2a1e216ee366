"""Tasks in workers that take a handle: their waits, what they ask, and the word to end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloacina_native.log_lines import LogSource
from cloacina_native.worker_process import WorkerProcess
from cloacina_sdk.asking import Checkpoint, Park, Reply, Unpark
from cloacina_sdk.mapped import Element
from cloacina_sdk.waiting import LARGEST_CHECKPOINT_BYTES, Memory, PassedWait, Wait, WaitKind

from .asking import Desk, Running
from .packages import (
    DEADLINE_S,
    Recorder,
    assigned,
    failure,
    held_by_a_worker,
    wait_for_nobody,
    worker_of,
    write_handled,
    write_module,
)

SYNC_AND_ASYNC = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
CAME = PassedWait(kind=WaitKind.EVENT, name="go", payload='{"by":"é"}')


@SYNC_AND_ASYNC
def test_a_run_ends_to_wait_and_the_next_one_goes_on(tmp_path: Path, is_async: bool) -> None:
    body = "context['got'] = await handle.wait_event('go', timeout='1h')"
    write_handled(tmp_path, body, is_async=is_async)
    desk = Desk()
    with worker_of(tmp_path) as worker:
        assert desk.run(worker) == Wait.event("go", timeout_ms=3_600_000)
        assert assigned(desk.run(worker, {"é": "1"}, CAME)) == {"got": '{"by":"é"}'}
        assert worker.is_alive


@SYNC_AND_ASYNC
def test_a_checkpoint_is_asked_for_and_seen_by_the_next_run(tmp_path: Path, is_async: bool) -> None:
    body = """
        context["before"] = handle.last_checkpoint
        await handle.checkpoint({"n": "é" * context["size"]})
        await handle.checkpoint("two")
    """
    write_handled(tmp_path, body, is_async=is_async)
    desk = Desk()
    size = (LARGEST_CHECKPOINT_BYTES - 10) // 2
    with worker_of(tmp_path) as worker:
        assert assigned(desk.run(worker, {"size": str(size)})) == {"before": "null"}
        big = '{"n":"' + "é" * size + '"}'
        assert desk.checkpoints == [big, '"two"']
        assert assigned(desk.run(worker, {"size": "1"}, checkpoint=big)) == {"before": big}


@SYNC_AND_ASYNC
def test_what_cannot_be_kept_is_refused_in_the_worker(tmp_path: Path, is_async: bool) -> None:
    body = "await handle.checkpoint({1} if 'odd' in context else 'x' * 5_000_000)"
    write_handled(tmp_path, body, is_async=is_async)
    desk = Desk()
    with worker_of(tmp_path) as worker:
        assert "of type set" in failure(desk.run(worker, {"odd": "1"})).message
        assert "over the limit" in failure(desk.run(worker)).message
        assert desk.asks == []
        assert worker.is_alive


@SYNC_AND_ASYNC
def test_the_body_goes_on_when_it_is_answered(tmp_path: Path, is_async: bool) -> None:
    body = "await handle.checkpoint(1)\nprint('kept')"
    write_handled(tmp_path, body, is_async=is_async)
    desk = Desk()
    desk.hold(Checkpoint)
    with worker_of(tmp_path) as worker:
        running = Running(worker, desk.request(), desk.lines)
        answer = desk.await_held(Checkpoint)
        assert desk.lines == []
        answer(Reply.DONE)
        answer(Reply.LOST)  # the second answer counts for nothing
        assert assigned(running.outcome()) == {}
        assert desk.lines.of(LogSource.STDOUT) == ["kept"]


@SYNC_AND_ASYNC
def test_a_function_is_waited_for_in_place_without_a_slot(tmp_path: Path, is_async: bool) -> None:
    body = """
        found = [False, handle.is_slot_held, 0, 1]
        def condition():
            slots.append(handle.is_slot_held())
            value = found.pop(0)
            return value() if callable(value) else value
        slots = []
        await handle.defer_until(condition, poll_interval_ms=1)
        context["slots"] = [*slots, handle.is_slot_held()]
    """
    write_handled(tmp_path, body, is_async=is_async)
    desk = Desk()
    with worker_of(tmp_path) as worker:
        slots = "[true,false,false,false,true]"
        assert assigned(desk.run(worker)) == {"slots": slots}
        assert desk.asks == [Park(), Unpark()]


@SYNC_AND_ASYNC
@pytest.mark.parametrize("kind", [Checkpoint, Park, Unpark])
def test_an_attempt_that_is_lost_stops_at_what_it_asked(
    tmp_path: Path, is_async: bool, kind: type[Park]
) -> None:
    body = """
        await handle.checkpoint(1)
        found = [False, True]
        await handle.defer_until(lambda: found.pop(0), poll_interval_ms=1)
    """
    write_handled(tmp_path, body, is_async=is_async)
    desk = Desk()
    desk.hold(kind)
    with worker_of(tmp_path) as worker:
        running = Running(worker, desk.request(), desk.lines)
        desk.await_held(kind)(Reply.LOST)
        assert failure(running.outcome()).error_type == "cloacina_sdk.unwinding.AttemptStopped"
        assert worker.is_alive


STOPPED = {
    False: "cloacina_sdk.unwinding.AttemptStopped",
    True: "asyncio.exceptions.CancelledError",
}


@SYNC_AND_ASYNC
@pytest.mark.parametrize("at", [Park, Unpark])
def test_the_word_to_end_reaches_a_body_that_waits_for_an_answer(
    tmp_path: Path, is_async: bool, at: type[Park]
) -> None:
    body = """
        found = ["late" in context, True]
        await handle.defer_until(lambda: found.pop(0), poll_interval_ms=1)
        context["done"] = True
    """
    write_handled(tmp_path, body, is_async=is_async)
    desk = Desk()
    desk.hold(at)
    with worker_of(tmp_path) as worker:
        running = Running(worker, desk.request(), desk.lines)
        answer = desk.await_held(at)
        worker.cancel("somebody else's")
        worker.cancel("token-1")
        assert failure(running.outcome()).error_type == STOPPED[is_async]
        answer(Reply.DONE)  # too late
        worker.cancel("token-1")  # likewise
        again = Desk()
        assert assigned(again.run(worker, {"late": "1"}, number=2)) == {"done": "true"}


@SYNC_AND_ASYNC
def test_the_word_to_end_reaches_a_parked_body(tmp_path: Path, is_async: bool) -> None:
    body = "await handle.defer_until(lambda: print('looks'), poll_interval='90d')"
    write_handled(tmp_path, body, is_async=is_async)
    desk = Desk()
    desk.hold(Park)
    with worker_of(tmp_path) as worker:
        running = Running(worker, desk.request(), desk.lines)
        desk.await_held(Park)(Reply.DONE)
        worker.cancel("token-1")
        assert failure(running.outcome()).error_type == STOPPED[is_async]
        assert desk.names == ["Park"]
        assert worker.is_alive


def test_a_sync_body_sees_the_word_to_end_and_may_still_keep_something(tmp_path: Path) -> None:
    body = """
        handle.checkpoint("began")
        while not handle.heartbeat():
            pass
        handle.checkpoint("so far")
        context["beside"] = list(map(str, threads.map(lambda _: handle.is_cancelled(), [1])))
    """
    head = "from concurrent.futures import ThreadPoolExecutor\nthreads = ThreadPoolExecutor()"
    write_handled(tmp_path, body, head=head)
    desk = Desk()
    desk.hold(Checkpoint)
    with worker_of(tmp_path) as worker:
        running = Running(worker, desk.request(), desk.lines)
        answer = desk.await_held(Checkpoint)
        desk.hold(Checkpoint)
        answer(Reply.DONE)
        worker.cancel("token-1")
        desk.await_held(Checkpoint)(Reply.DONE)
        assert assigned(running.outcome()) == {"beside": '["True"]'}
        assert desk.checkpoints == ['"began"', '"so far"']


@SYNC_AND_ASYNC
def test_a_helper_thread_that_looks_takes_no_word_from_the_body(
    tmp_path: Path, is_async: bool
) -> None:
    body = """
        looker = threading.Thread(target=look, args=(handle,), daemon=True)
        looker.start()
        await handle.checkpoint(1)
        await handle.defer_until(lambda: False, poll_interval='90d')
    """
    head = """
        import threading

        def look(handle):
            while not handle.is_cancelled():
                pass
    """
    write_handled(tmp_path, body, head=head, is_async=is_async)
    desk = Desk()
    desk.hold(Park)
    with worker_of(tmp_path) as worker:
        running = Running(worker, desk.request(), desk.lines)
        desk.await_held(Park)(Reply.DONE)
        worker.cancel("token-1")
        assert failure(running.outcome()).error_type == STOPPED[is_async]


def test_the_word_to_end_may_come_before_the_attempt_and_is_for_that_one_alone(
    tmp_path: Path,
) -> None:
    body = """
        while "early" in context and not handle.is_cancelled():
            pass
        context["ends"] = handle.is_cancelled()
    """
    write_handled(tmp_path, body)
    with worker_of(tmp_path) as worker:
        worker.cancel("token-1")
        assert assigned(Desk().run(worker, {"early": "1"})) == {"ends": "true"}
        worker.cancel("token-1")
        assert assigned(Desk().run(worker, number=2)) == {"ends": "false"}


def test_progress_becomes_lines_of_the_attempt(tmp_path: Path) -> None:
    write_handled(tmp_path, "handle.heartbeat(0.25)\nhandle.heartbeat(0.5)\nprint('end')")
    desk = Desk()
    with worker_of(tmp_path) as worker:
        assert assigned(desk.run(worker)) == {}
    assert desk.lines.of(LogSource.PROGRESS) == ["0.25"]
    assert desk.lines.of(LogSource.STDOUT) == ["end"]


def test_an_element_has_a_handle_and_a_key_of_its_own(tmp_path: Path) -> None:
    source = """
        from cloacina_sdk import task

        @task(map_over="xs")
        def act(context, item, handle):
            return [item, handle.attempt_key, handle.wait_event("go"), context["xs"]]
    """
    write_module(tmp_path, source)
    desk, texts = Desk(), {"xs": '["é"]'}
    element = Element(index=0, text='"é"', result_key="act")
    with worker_of(tmp_path) as worker:
        first = worker.run(desk.request(texts, element=element), desk.lines)
        assert first == Wait.event("go")
        second = worker.run(desk.request(texts, CAME, element=element), desk.lines)
        assert assigned(second) == {"act": '["é","execution-1/act/0",{"by":"é"},["é"]]'}


def test_a_body_that_took_another_way_or_swallowed_its_end_fails_for_good(tmp_path: Path) -> None:
    body = """
        try:
            handle.wait_event("other" if "other" in context else "go")
        except BaseException:
            pass
    """
    write_handled(tmp_path, body)
    desk = Desk()
    with worker_of(tmp_path) as worker:
        swallowed = failure(desk.run(worker))
        assert (swallowed.is_fatal, "swallowed" in swallowed.message) == (True, True)
        changed = failure(desk.run(worker, {"other": "1"}, CAME))
        assert (changed.is_fatal, "took another way" in changed.message) == (True, True)


def test_a_forked_child_can_do_nothing_and_harms_nobody(tmp_path: Path) -> None:
    body = """
        reader, writer = os.pipe()
        if not (child := os.fork()):
            said = []
            for use in (handle.is_cancelled, lambda: handle.checkpoint("child"),
                        lambda: handle.wait_event("child"), lambda: handle.heartbeat(1.0)):
                try:
                    use()
                except Exception as error:
                    said.append(type(error).__name__)
            os.write(writer, " ".join(said).encode())
            os._exit(0)
        os.waitpid(child, 0)
        context["said"] = os.read(reader, 1000).decode()
        handle.checkpoint("parent")
    """
    write_handled(tmp_path, body, head="import os")
    desk = Desk()
    with worker_of(tmp_path) as worker:
        said = " ".join(["HandleMisuseError"] * 4)
        assert assigned(desk.run(worker)) == {"said": f'"{said}"'}
        assert desk.checkpoints == ['"parent"']


def test_a_handle_that_was_kept_is_of_no_use_to_the_next_attempt(tmp_path: Path) -> None:
    body = """
        kept.append(handle)
        if len(kept) > 1:
            context["ended"] = kept[0].is_cancelled()
            kept[0].checkpoint("old")
    """
    write_handled(tmp_path, body, head="kept = []")
    desk = Desk()
    with worker_of(tmp_path) as worker:
        assert assigned(desk.run(worker)) == {}
        told = failure(desk.run(worker, number=2))
        assert told.error_type == "cloacina_sdk.errors.HandleMisuseError"
        assert desk.asks == []


def test_a_worker_killed_while_it_waits_for_an_answer_is_one_failed_attempt(tmp_path: Path) -> None:
    write_handled(tmp_path, "handle.checkpoint(1)")
    desk = Desk()
    desk.hold(Checkpoint)
    with worker_of(tmp_path) as worker:
        running = Running(worker, desk.request(), desk.lines)
        answer = desk.await_held(Checkpoint)
        worker.interrupt()
        assert failure(running.outcome()).error_type == "WorkerInterrupted"
        answer(Reply.DONE)
        worker.cancel("token-1")
    answer(Reply.DONE)
    worker.cancel("token-1")  # everything is freed by now


def test_a_worker_that_does_not_listen_holds_up_nobody_who_has_something_to_say(
    tmp_path: Path,
) -> None:
    write_handled(tmp_path, "handle.checkpoint(1)\nsignal.pause()", head="import signal")
    desk = Desk()
    desk.hold(Checkpoint)
    with worker_of(tmp_path) as worker:
        running = Running(worker, desk.request(), desk.lines)
        desk.await_held(Checkpoint)(Reply.DONE)
        for _ in range(20_000):  # far more than a socket holds
            worker.cancel("token-1")
        worker.interrupt()
        assert failure(running.outcome()).error_type == "WorkerInterrupted"


HOST = """
import sys
from pathlib import Path
from cloacina_native.run_request import RunRequest
from cloacina_native.worker_process import WorkerProcess
from cloacina_sdk.waiting import Memory

def on_ask(ask, answer):
    print("asked", flush=True)

worker = WorkerProcess.start(Path(sys.argv[1]), name="acme", environment={})
worker.load("acme", ["acme_tasks"])
run = RunRequest(
    token="t", workflow="acme", task="act", attempt=1, execution_id="e", texts={},
    memory=Memory(), on_ask=on_ask,
)
worker.run(run, print)
"""


@SYNC_AND_ASYNC
def test_a_worker_ends_with_its_host_while_it_waits_for_an_answer(
    tmp_path: Path, is_async: bool
) -> None:
    fifo = tmp_path / "fifo"
    body = f"held = open({str(fifo)!r}, 'w')\nawait handle.checkpoint(1)"
    write_handled(tmp_path / "package", body, is_async=is_async)
    with held_by_a_worker(fifo) as descriptor:
        command = [sys.executable, "-c", HOST, str(tmp_path / "package")]
        host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with host:
            assert host.stdout is not None
            assert host.stdout.readline() == "asked\n"
            host.send_signal(signal.SIGKILL)
            wait_for_nobody(descriptor)


def test_what_a_worker_remembers_is_told_with_everything_else(tmp_path: Path) -> None:
    write_handled(tmp_path, "context['n'] = context['n'] + 1")
    desk = Desk()
    with worker_of(tmp_path) as worker:
        waits = tuple(CAME for _ in range(1000))
        assert assigned(desk.run(worker, {"n": "1", "é": '"é"'}, *waits)) == {"n": "2"}
        too_much = Memory(checkpoint='"' + "x" * 17_000_000 + '"')
        request = desk.request()
        object.__setattr__(request, "memory", too_much)
        told = failure(worker.run(request, Recorder()))
        assert told.error_type.endswith("FrameTooLargeError")
        assert worker.is_alive


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    def open_descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    write_handled(tmp_path, "handle.checkpoint(1)")
    before = open_descriptors()
    for _ in range(3):
        with WorkerProcess.start(tmp_path, name="acme", environment={}) as worker:
            worker.load("acme", ["acme_tasks"])
            assert assigned(Desk().run(worker)) == {}
            worker.close(DEADLINE_S)
    assert open_descriptors() == before
