import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_native.errors import FrameTooLargeError, ProtocolError
from cloacina_native.frames import (
    MAX_FRAME_BYTES,
    Channel,
    Frame,
    FrameBuffer,
    frame_limit,
    pack_texts,
    unpack_texts,
)
from cloacina_sdk.json_text import JsonValue


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    left, right = socket.socketpair()
    channel = Channel(left)
    yield channel, right
    channel.close()
    right.close()


def raw_frame(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("!II", 4 + len(header) + len(body), len(header)) + header + body


def test_a_frame_arrives_as_it_was_sent() -> None:
    left, right = map(Channel, socket.socketpair())
    left.send({"type": "é", "keys": [["a", 1]]}, b"\x00\xff")
    assert right.receive() == Frame(header={"type": "é", "keys": [["a", 1]]}, body=b"\x00\xff")
    left.close()
    assert right.receive() is None
    assert right.is_closed_by_peer
    right.close()


def test_frames_of_several_threads_do_not_mix(ends: tuple[Channel, socket.socket]) -> None:
    channel, sock = ends
    peer = Channel(sock)
    bodies = [bytes([number]) * 300_000 for number in range(8)]
    threads = [threading.Thread(target=channel.send, args=({}, body)) for body in bodies]
    for thread in threads:
        thread.start()
    received = [peer.receive() for _ in bodies]
    for thread in threads:
        thread.join()
    assert sorted(frame.body for frame in received if frame) == bodies


@given(st.lists(st.tuples(st.dictionaries(st.text(), st.integers()), st.binary())), st.data())
def test_frames_do_not_depend_on_how_the_bytes_are_cut(
    messages: list[tuple[dict[str, JsonValue], bytes]], data: st.DataObject
) -> None:
    left, right = socket.socketpair()
    with left, right:
        channel = Channel(left)
        for header, body in messages:
            channel.send(header, body)
        channel.shut_down()
        stream = b"".join(iter(lambda: right.recv(65536), b""))
    buffer = FrameBuffer()
    frames: list[Frame] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        buffer.feed(stream[:size])
        stream = stream[size:]
        while frame := buffer.next_frame():
            frames.append(frame)
    assert [(frame.header, frame.body) for frame in frames] == messages
    assert buffer.is_empty


def test_the_end_in_the_middle_of_a_frame_is_an_error(ends: tuple[Channel, socket.socket]) -> None:
    channel, sock = ends
    sock.sendall(raw_frame(b"{}", b"body")[:-1])
    sock.close()
    with pytest.raises(ProtocolError, match="middle of a frame"):
        channel.receive()


def test_what_is_too_large_is_not_sent(ends: tuple[Channel, socket.socket]) -> None:
    channel, sock = ends
    with pytest.raises(FrameTooLargeError, match=r"16,777,223 bytes .* 16,777,216") as caught:
        channel.send({}, bytes(MAX_FRAME_BYTES + 1))
    assert (caught.value.size_bytes, caught.value.limit_bytes) == (16_777_223, MAX_FRAME_BYTES)
    channel.send({"after": True})
    assert Channel(sock).receive() == Frame(header={"after": True}, body=b"")


def test_the_largest_frame_passes() -> None:
    left, right = map(Channel, socket.socketpair())
    body = bytes(MAX_FRAME_BYTES - 4 - len(b"{}"))
    sender = threading.Thread(target=left.send, args=({}, body))
    sender.start()
    frame = right.receive()
    sender.join()
    assert frame is not None
    assert frame.body == body
    left.close()
    right.close()


def test_what_is_announced_too_large_is_refused_before_it_comes(
    ends: tuple[Channel, socket.socket],
) -> None:
    channel, sock = ends
    sock.sendall(struct.pack("!II", MAX_FRAME_BYTES + 1, 2))
    with pytest.raises(FrameTooLargeError):
        channel.receive()


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack("!II", 3, 0),
        struct.pack("!II", 6, 3) + b"{}",
        raw_frame(b""),
        raw_frame(b"[]"),
        raw_frame(b'{"a": NaN}'),
        raw_frame(b'{"a": 1, "a": 2}'),
        raw_frame(b'{"a": "\xff"}'),
        raw_frame(b'{"a": "\\ud800"}'),
        raw_frame(b"[" * 100_000),
    ],
)
def test_bytes_that_are_no_frame_are_refused(raw: bytes) -> None:
    buffer = FrameBuffer()
    buffer.feed(raw)
    with pytest.raises(ProtocolError):
        buffer.next_frame()


def test_reading_without_waiting_tells_apart_nothing_yet_and_a_part(
    ends: tuple[Channel, socket.socket],
) -> None:
    channel, sock = ends
    raw = raw_frame(b"{}")
    assert channel.receive_ready() is None
    sock.sendall(raw[:5])
    assert channel.receive_ready() == []
    sock.sendall(raw[5:] + raw)
    assert channel.receive_ready() == [Frame(header={}, body=b"")] * 2
    assert not channel.is_closed_by_peer
    sock.close()
    assert channel.receive_ready() == []
    assert channel.is_closed_by_peer


def test_reading_without_waiting_finds_what_came_together_with_another_frame(
    ends: tuple[Channel, socket.socket],
) -> None:
    channel, sock = ends
    sock.sendall(raw_frame(b"{}") * 3)
    expected = Frame(header={}, body=b"")
    assert channel.receive() == expected
    assert channel.receive_ready() == [expected] * 2
    assert channel.receive_ready() is None


@given(st.dictionaries(st.text(), st.text()))
def test_texts_survive_packing(texts: dict[str, str]) -> None:
    keys, body = pack_texts(texts)
    unpacked = unpack_texts(keys, body)
    assert unpacked == texts
    assert list(unpacked) == list(texts)


@pytest.mark.parametrize(
    ("raw_keys", "body", "reason"),
    [
        ({}, b"", "no list"),
        ([["a"]], b"", "no pair"),
        ([["a", "1"]], b"1", "no pair"),
        ([["a", True]], b"1", "no pair"),
        ([["a", -1]], b"", "no pair"),
        ([["a", 1.0]], b"1", "no pair"),
        ([[1, 1]], b"1", "no pair"),
        ([["a", 1], ["a", 1]], b"12", "twice"),
        ([["a", 2]], b"1", "after the body"),
        ([["a", 1]], b"12", "belong to no key"),
        ([["a", 1]], b"\xff", "not UTF-8"),
        ([["a", 1], ["b", 1]], "é".encode(), "not UTF-8"),
    ],
)
def test_texts_that_do_not_add_up_are_refused(raw_keys: object, body: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        unpack_texts(raw_keys, body)


@pytest.mark.parametrize("max_context_bytes", [1, 16 << 20, 1 << 40, 0])
def test_a_frame_has_room_for_a_context_and_its_keys_and_a_bound_nevertheless(
    max_context_bytes: int,
) -> None:
    limit = frame_limit(max_context_bytes)
    assert min(3 * max_context_bytes, 1 << 30) <= limit <= 1 << 30
    raw = struct.pack("!II", limit + 1, 2)
    buffer = FrameBuffer(limit)
    buffer.feed(raw)
    with pytest.raises(FrameTooLargeError):
        buffer.next_frame()
