"""Serve the host: load a package, then run attempts of its tasks, one at a time.

* Whatever a body raises is a failed attempt; the worker goes on.
* Output is flushed before an answer is sent, so the host finds it in the pipes by then.
* A process that a body forked never speaks to the host.
"""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias, cast

from cloacina_native.errors import FrameTooLargeError
from cloacina_native.frames import Channel, Frame, pack_texts, unpack_texts
from cloacina_native.worker.lifeline import follow_host
from cloacina_native.worker.loading import load_package
from cloacina_native.worker.output import OutputStreams
from cloacina_native.worker.port import STALE
from cloacina_native.worker.running import Attempt, Body, run
from cloacina_native.worker.task_logging import install
from cloacina_sdk.document import Fields
from cloacina_sdk.json_text import JsonValue, decode
from cloacina_sdk.mapped import Element
from cloacina_sdk.outcome import failure_of
from cloacina_sdk.waiting import Memory, Wait

Answer: TypeAlias = tuple[dict[str, JsonValue], bytes]

_OWN = ("cloacina_native.", "cloacina_sdk.", "asyncio.", "importlib")


def serve(socket_descriptor: int, lifeline: int, max_frame_bytes: int) -> NoReturn:
    """Answer the host until it closes the socket, then exit without waiting for anything."""
    status = 1
    try:
        follow_host(socket_descriptor, lifeline)
        sock = socket.socket(fileno=socket_descriptor)
        Session(Channel(sock, max_frame_bytes)).serve()
        status = 0
    except BaseException:  # noqa: BLE001 - threads of tasks would hold up the usual exit
        traceback.print_exc()
    finally:
        os._exit(status)


class Session:
    """What a worker knows: its package's tasks, and how to reach the host."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._output = OutputStreams()
        self._records = install(channel)
        self._process = os.getpid()
        self._bodies: dict[tuple[str, str], Body] = {}
        self._shared: Mapping[str, str] = {}
        """The context of the element that was run last."""
        os.register_at_fork(after_in_child=self._leave)

    def serve(self) -> None:
        """Answer every request until the host closes the channel."""
        while (request := self._channel.receive()) is not None:
            if request.header["type"] in STALE:
                continue  # it came after the end of its attempt
            self._output.restore()
            answer = self._answer(request)
            self._output.flush()
            if os.getpid() != self._process:
                os._exit(0)  # a process that the body forked, and that came back
            try:
                self._channel.send(*answer)
            except FrameTooLargeError as error:
                self._channel.send(*_failure(request, error))

    def _answer(self, request: Frame) -> Answer:
        try:
            return self._load(request) if _is_load(request) else self._run(request)
        except BaseException as error:  # noqa: BLE001 - the package's own code runs here
            if os.getpid() != self._process:
                traceback.print_exception(error)
            return _failure(request, error)

    def _load(self, request: Frame) -> Answer:
        modules = cast("Sequence[str]", request.header["modules"])
        loaded = load_package(str(request.header["package"]), modules)
        specs = [workflow.spec for workflow in loaded.values()]
        for spec in specs:
            for task in spec.tasks:
                body = loaded[spec.name].functions[task.id]
                self._bodies[spec.name, task.id] = Body(body, is_async=task.is_async)
        return {"type": "loaded", "workflows": [spec.to_document() for spec in specs]}, b""

    def _run(self, request: Frame) -> Answer:
        header = request.header
        token = str(header["token"])
        body = self._bodies[str(header["workflow"]), str(header["task"])]
        attempt = self._unpack(request)
        self._records.token = token
        try:
            outcome = run(body, attempt, self._channel)
        finally:
            self._records.token = ""
        if isinstance(outcome, Wait):
            return {"type": "deferred", "token": token, "wait": outcome.to_document()}, b""
        keys, packed = pack_texts(outcome.assigned)
        removed = sorted(outcome.removed)
        return {"type": "finished", "token": token, "keys": keys, "removed": removed}, packed

    def _unpack(self, request: Frame) -> Attempt:
        """Return what to run; a context without keys is that of the element before."""
        header, rest = request.header, request.body
        memory, element = None, None
        if header["memory"] is not None:
            size = cast("int", header["memory"])
            memory = Memory.read(Fields(decode(rest[:size].decode("utf-8")), "$", []))
            rest = rest[size:]
        if header["element"] is not None:
            index, result_key, size = cast("tuple[int, str, int]", header["element"])
            text = rest[:size].decode("utf-8")
            element, rest = Element(index=index, text=text, result_key=result_key), rest[size:]
        if header["keys"] is None:
            texts = self._shared
        else:
            texts = unpack_texts(header["keys"], rest)
            self._shared = self._shared if element is None else texts
        return Attempt(
            token=str(header["token"]),
            execution_id=str(header["execution_id"]),
            task=str(header["task"]),
            texts=texts,
            element=element,
            memory=memory,
        )

    def _leave(self) -> None:
        self._records.is_forked = True
        self._channel.close()


def _failure(request: Frame, error: BaseException) -> Answer:
    failure = failure_of(_without_own_frames(error))
    answer: dict[str, JsonValue] = {
        "error_type": failure.error_type,
        "message": failure.message,
        "traceback": failure.traceback,
    }
    if _is_load(request):
        return {"type": "load_failed", **answer}, b""
    told: dict[str, JsonValue] = {
        "token": request.header["token"],
        "is_transient": failure.is_transient,
        "is_fatal": failure.is_fatal,
        "is_retry_wanted": failure.is_retry_wanted,
        "retry_after_ms": failure.retry_after_ms,
        "error_types": list(failure.error_types),
        "is_retry_approved": failure.is_retry_approved,
    }
    return {"type": "failed", **told, **answer}, b""


def _is_load(request: Frame) -> bool:
    return request.header["type"] == "load"


def _without_own_frames(error: BaseException) -> BaseException:
    """Cut what the author of a task does not want to read from the top of the traceback."""
    first = error.__traceback__
    while first is not None and _is_own(first.tb_frame.f_globals.get("__name__")):
        first = first.tb_next
    return error if first is None else error.with_traceback(first)


def _is_own(module: object) -> bool:
    return isinstance(module, str) and module.startswith(_OWN)
