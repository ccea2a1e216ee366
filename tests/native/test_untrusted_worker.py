"""A package that speaks to the host in the worker's place: it is killed at the first lie."""

import struct
from pathlib import Path

import pytest

from cloacina_native.frames import MAX_FRAME_BYTES
from cloacina_sdk.asking import Park
from cloacina_sdk.json_text import JsonValue, encode

from .asking import Desk
from .packages import (
    Recorder,
    act,
    assigned,
    failure,
    request,
    worker_of,
    write_handled,
    write_package,
)

HEAD = """
import os, signal, stat

def sockets():
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                yield int(name)
        except OSError:
            pass

def say(raw):
    (descriptor,) = sockets()
    while raw:
        raw = raw[os.write(descriptor, raw):]
"""


def frame(body: bytes = b"", **header: JsonValue) -> bytes:
    raw = encode(header).encode()
    return struct.pack("!II", 4 + len(raw) + len(body), len(raw)) + raw + body


def finished(body: bytes = b"", **fields: JsonValue) -> bytes:
    told: dict[str, JsonValue] = {"type": "finished", "token": "token-1", "keys": [], "removed": []}
    return frame(body, **(told | fields))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (finished(token="token-0"), "Finished does not answer what was asked"),
        (frame(type="loaded", workflows=[]), "Loaded does not answer what was asked"),
        (frame(type="nonsense"), "type must be one of"),
        (finished(keys=[["a", 3]], body=b"NaN"), "not valid JSON"),
        (finished(keys=[["a", 3]], body=b"1"), "after the body"),
        (struct.pack("!II", 4, 9) + b"{}", "a header of 9 bytes in a frame of 4"),
        (struct.pack("!II", MAX_FRAME_BYTES + 1, 2), "over the limit"),
        (b"GET / HTTP/1.1\r\n\r\n", "over the limit"),
    ],
)
def test_a_lie_during_an_attempt_kills_the_worker(tmp_path: Path, raw: bytes, reason: str) -> None:
    write_package(tmp_path, f"say({raw!r})\nsignal.pause()", head=HEAD)
    with worker_of(tmp_path) as worker:
        told = failure(act(worker))
        assert told.error_type == "WorkerProtocolError"
        assert reason in told.message
        assert not told.is_transient
        assert not worker.is_alive


PARK = frame(type="ask", token="token-1", ask="Park")
DEFERRED = frame(type="deferred", token="token-1", wait={"kind": "Event", "name": "go"})


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (PARK, "it asks for something where it may not"),
        (DEFERRED, "Waiting does not answer what was asked"),
    ],
)
def test_a_task_without_a_handle_neither_asks_nor_waits(
    tmp_path: Path, raw: bytes, reason: str
) -> None:
    write_package(tmp_path, f"say({raw!r})\nsignal.pause()", head=HEAD)
    with worker_of(tmp_path) as worker:
        told = failure(act(worker))
        assert (told.error_type, told.is_transient) == ("WorkerProtocolError", False)
        assert reason in told.message
        assert not worker.is_alive


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (frame(type="ask", token="token-0", ask="Park"), "it asks for something where it may not"),
        (frame(type="ask", token="", ask="Park"), "it asks for something where it may not"),
        (PARK + PARK, "before it was answered"),
        (frame(b"NaN", type="ask", token="token-1", ask="Checkpoint"), "not valid JSON"),
        (DEFERRED.replace(b"token-1", b"token-0"), "Waiting does not answer what was asked"),
    ],
)
def test_a_lie_about_a_handle_kills_the_worker(tmp_path: Path, raw: bytes, reason: str) -> None:
    write_handled(tmp_path, f"say({raw!r})\nsignal.pause()", head=HEAD)
    desk = Desk()
    desk.hold(Park)
    with worker_of(tmp_path) as worker:
        told = failure(desk.run(worker))
        assert (told.error_type, told.is_transient) == ("WorkerProtocolError", False)
        assert reason in told.message
        assert not worker.is_alive
    assert len(desk.asks) <= 1


def test_progress_under_another_token_is_kept_out_of_the_attempt(tmp_path: Path) -> None:
    forged = frame(type="progress", token="token-0", progress=1)
    write_handled(tmp_path, f"say({forged!r})", head=HEAD)
    desk = Desk()
    with worker_of(tmp_path) as worker:
        assert assigned(desk.run(worker)) == {}
    assert desk.lines == []


@pytest.mark.parametrize("raw", [PARK, DEFERRED])
def test_what_is_said_of_a_handle_after_the_end_kills_the_worker(
    tmp_path: Path, raw: bytes
) -> None:
    write_handled(tmp_path, f"say({finished()!r} + {raw!r})\nsignal.pause()", head=HEAD)
    with worker_of(tmp_path) as worker:
        assert assigned(Desk().run(worker)) == {}
        told = failure(Desk().run(worker, number=2))
        assert "without being asked" in told.message
        assert not worker.is_alive


def test_an_answer_that_nobody_asked_for_kills_the_worker(tmp_path: Path) -> None:
    write_package(tmp_path, f"say({finished()!r})", head=HEAD)
    with worker_of(tmp_path) as worker:
        assert assigned(act(worker)) == {}  # it said so itself, and then once more
        told = failure(worker.run(request(number=2), Recorder()))
        assert "broke the protocol" in told.message
        assert not worker.is_alive


def test_a_record_under_another_token_is_kept_out_of_the_attempt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forged = frame(b"forged", type="log", token="token-0", level=30, logger="x")
    own = frame(b"own", type="log", token="token-1", level=30, logger="x")
    write_package(tmp_path, f"say({own + forged!r})", head=HEAD)
    with worker_of(tmp_path) as worker:
        lines = Recorder()
        assert assigned(act(worker, lines=lines)) == {}
        assert [line.text for line in lines] == ["own"]
        assert "forged" in caplog.text


def test_a_worker_that_closes_its_connection_is_killed(tmp_path: Path) -> None:
    body = "import socket; [socket.socket(fileno=s).shutdown(2) for s in sockets()]\nsignal.pause()"
    # The worker's own thread would exit at the end of the connection: take that from it.
    write_package(tmp_path, f"os._exit = lambda status: signal.pause()\n{body}", head=HEAD)
    with worker_of(tmp_path) as worker:
        told = failure(act(worker))
        assert told.error_type == "WorkerCrashed"
        assert "was killed: it closed its connection" in told.message
        assert not worker.is_alive


def test_half_a_frame_does_not_hold_up_an_interruption(tmp_path: Path) -> None:
    raw = struct.pack("!II", MAX_FRAME_BYTES, 2) + b"{}"
    write_package(tmp_path, f"say({raw!r})\nprint('half')\nsignal.pause()", head=HEAD)
    with worker_of(tmp_path) as worker:
        outcome = worker.run(request(), lambda _: worker.interrupt())
        assert failure(outcome).error_type == "WorkerInterrupted"
