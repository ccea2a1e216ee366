"""Frames over a stream socket: a JSON header and a body of bytes, each with its length.

* Layout: u32 size of all that follows, u32 size of the header, header, body; numbers are
  unsigned and big-endian, the header is one JSON object in UTF-8.
* No frame is larger than both ends agreed on (`frame_limit`): the sender refuses, and the
  receiver does before it makes room.
* Contexts travel as JSON texts in the body, told apart by lengths in the header, so that
  nobody parses them on the way.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from cloacina_native.errors import FrameTooLargeError, ProtocolError
from cloacina_sdk.errors import InvalidJsonError
from cloacina_sdk.json_text import JsonValue, decode_untrusted, encode

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""Where nobody says how large contexts may be."""

_LARGEST = 1024 * 1024 * 1024
_ROOM_BYTES = 1024 * 1024
_SIZES = struct.Struct("!II")
_HEADER_SIZE_BYTES = 4
_CHUNK_BYTES = 256 * 1024


def frame_limit(max_context_bytes: int) -> int:
    """Return how large frames may be that carry contexts of up to so many bytes; 0 is no limit.

    A frame holds a context's values and one element of them, and in its header the keys.
    """
    if not max_context_bytes:
        return _LARGEST
    return min(_LARGEST, 3 * max_context_bytes + _ROOM_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message."""

    header: Mapping[str, JsonValue]
    body: bytes


class FrameBuffer:
    """Bytes that have arrived, and the frames in them; it does no I/O."""

    def __init__(self, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self._bytes = bytearray()
        self._limit_bytes = limit_bytes

    @property
    def is_empty(self) -> bool:
        """Whether no part of a further frame is waiting."""
        return not self._bytes

    def feed(self, chunk: bytes) -> None:
        """Add what has arrived."""
        self._bytes += chunk

    def next_frame(self) -> Frame | None:
        """Take out the first frame, or return None while it is not complete.

        Raises:
            FrameTooLargeError: as soon as a size that is too large has arrived.
            ProtocolError: if the bytes are no frame.
        """
        if len(self._bytes) < _SIZES.size:
            return None
        size, header_size = _SIZES.unpack_from(self._bytes)
        if size > self._limit_bytes:
            raise FrameTooLargeError(size, self._limit_bytes)
        if header_size > size - _HEADER_SIZE_BYTES:
            raise ProtocolError(f"a header of {header_size} bytes in a frame of {size}")
        end = size + _SIZES.size - _HEADER_SIZE_BYTES
        if len(self._bytes) < end:
            return None
        header_end = _SIZES.size + header_size
        with memoryview(self._bytes) as view:
            raw_header, body = bytes(view[_SIZES.size : header_end]), bytes(view[header_end:end])
        del self._bytes[:end]
        return Frame(header=_header(raw_header), body=body)


class Channel:
    """One end of a connection that carries frames.

    Several threads may send; one at a time may receive.

    Args:
        sock: a connected stream socket, which belongs to the channel from now on.
        limit_bytes: how large frames may be, both ways.
    """

    def __init__(self, sock: socket.socket, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self._sock = sock
        self._limit_bytes = limit_bytes
        self._sending = threading.Lock()
        self._incoming = FrameBuffer(limit_bytes)
        self._is_closed_by_peer = False

    @property
    def is_closed_by_peer(self) -> bool:
        """Whether everything that the peer will ever send has been received."""
        return self._is_closed_by_peer

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._sock.fileno()

    def send(self, header: Mapping[str, JsonValue], body: bytes = b"") -> None:
        """Send one frame whole.

        Raises:
            FrameTooLargeError: before anything is sent.
            OSError: if the peer is gone.
        """
        raw_header = encode(header).encode("utf-8")
        size = _HEADER_SIZE_BYTES + len(raw_header) + len(body)
        if size > self._limit_bytes:
            raise FrameTooLargeError(size, self._limit_bytes)
        message = b"".join((_SIZES.pack(size, len(raw_header)), raw_header, body))
        with self._sending:
            self._sock.sendall(message)

    def receive(self) -> Frame | None:
        """Wait for the next frame; None means that the peer closed after its last one.

        Raises:
            ProtocolError: if what arrives is no frame, or the peer left in the middle of one.
            FrameTooLargeError: if a frame is announced that is too large.
        """
        while (frame := self._incoming.next_frame()) is None:
            if not self._fill(0):
                if self._incoming.is_empty:
                    return None
                raise ProtocolError("it left in the middle of a frame")
        return frame

    def receive_ready(self) -> list[Frame] | None:
        """Return the frames that are here after one read, or None if there is nothing new yet.

        Raises:
            ProtocolError: if what arrives is no frame.
            FrameTooLargeError: if a frame is announced that is too large.
        """
        is_new = True
        try:
            self._fill(socket.MSG_DONTWAIT)
        except BlockingIOError:
            is_new = False
        frames: list[Frame] = []
        while (frame := self._incoming.next_frame()) is not None:
            frames.append(frame)
        return frames if is_new or frames else None

    def shut_down(self) -> None:
        """Tell the peer that nothing more comes, and wake whoever waits; frees nothing."""
        with suppress(OSError):  # the peer, or an earlier call, was quicker
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Free the socket."""
        self._sock.close()

    def _fill(self, flags: int) -> bool:
        try:
            chunk = self._sock.recv(_CHUNK_BYTES, flags)
        except ConnectionResetError:
            chunk = b""  # the peer is gone and had not read everything
        self._incoming.feed(chunk)
        self._is_closed_by_peer = not chunk
        return bool(chunk)


def pack_texts(texts: Mapping[str, str]) -> tuple[list[JsonValue], bytes]:
    """Return keys with the lengths of their JSON texts, and the texts in one piece."""
    parts = {key: text.encode("utf-8") for key, text in texts.items()}
    keys: list[JsonValue] = [[key, len(part)] for key, part in parts.items()]
    return keys, b"".join(parts.values())


def unpack_texts(raw_keys: object, body: bytes) -> dict[str, str]:
    """Return what `pack_texts` packed; whether the texts are JSON is not looked at.

    Raises:
        ProtocolError: if lengths do not add up, a key comes twice, or a text is no UTF-8.
    """
    if not isinstance(raw_keys, list):
        raise ProtocolError("the keys are no list")
    texts: dict[str, str] = {}
    start = 0
    for raw_entry in raw_keys:
        key, size = _key_entry(raw_entry)
        if key in texts:
            raise ProtocolError(f"the key {key!r} comes twice")
        if size > len(body) - start:
            raise ProtocolError(f"the text of {key!r} ends after the body")
        try:
            texts[key] = body[start : start + size].decode("utf-8")
        except UnicodeDecodeError as error:
            raise ProtocolError(f"the text of {key!r} is not UTF-8") from error
        start += size
    if start != len(body):
        raise ProtocolError(f"{len(body) - start} bytes of the body belong to no key")
    return texts


def _key_entry(raw_entry: object) -> tuple[str, int]:
    match raw_entry:
        case [str(key), int(size)] if size >= 0 and not isinstance(size, bool):
            return key, size
        case _:
            raise ProtocolError("an entry of the keys is no pair of a string and a size")


def _header(raw_header: bytes) -> Mapping[str, JsonValue]:
    try:
        header = decode_untrusted(raw_header)
    except InvalidJsonError as error:
        raise ProtocolError(f"the header of a frame: {error}") from error
    if not isinstance(header, Mapping):
        raise ProtocolError("the header of a frame is no object")
    return header
