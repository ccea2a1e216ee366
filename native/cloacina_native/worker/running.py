"""Run the body of one attempt, with a handle if its task takes one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

from cloacina_native.frames import Channel
from cloacina_sdk.changes import Changes
from cloacina_sdk.definition import TaskFunction
from cloacina_sdk.mapped import Element
from cloacina_sdk.perform import perform, perform_async
from cloacina_sdk.waiting import Memory, Wait


@dataclass(frozen=True, slots=True)
class Body:
    """The function of a task."""

    function: TaskFunction
    is_async: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What to run a body with; see `RunRequest`."""

    token: str
    execution_id: str
    task: str
    texts: Mapping[str, str]
    element: Element | None
    memory: Memory | None


def run(body: Body, attempt: Attempt, channel: Channel) -> Changes | Wait:
    """Return what a body changed, or what it waits for; raise what it raises."""
    if body.is_async:
        return _run_async(body, attempt, channel)
    if attempt.memory is None:
        return perform(body.function, attempt.texts, attempt.element)
    from cloacina_native.worker.port import WorkerPort  # noqa: PLC0415 - few tasks take a handle
    from cloacina_sdk.handle import TaskHandle  # noqa: PLC0415 - likewise

    port = WorkerPort(channel, attempt.token)
    handle = TaskHandle(port, attempt.memory, _key(attempt))
    return perform(body.function, attempt.texts, attempt.element, handle)


def _run_async(body: Body, attempt: Attempt, channel: Channel) -> Changes | Wait:
    from cloacina_native.worker.event_loop import run_alone  # noqa: PLC0415 - loads asyncio

    function = cast("Callable[..., Awaitable[object]]", body.function)
    if attempt.memory is None:
        return run_alone(perform_async(function, attempt.texts, attempt.element))
    from cloacina_native.worker.loop_port import LoopPort  # noqa: PLC0415 - few tasks take a handle
    from cloacina_sdk.async_handle import AsyncTaskHandle  # noqa: PLC0415 - likewise

    port = LoopPort(channel, attempt.token)
    handle = AsyncTaskHandle(port, attempt.memory, _key(attempt))

    async def main() -> Changes | Wait:
        with port.listening():
            return await perform_async(function, attempt.texts, attempt.element, handle)

    return run_alone(main())


def _key(attempt: Attempt) -> str:
    from cloacina_sdk.any_handle import attempt_key  # noqa: PLC0415 - few tasks take a handle

    return attempt_key(attempt.execution_id, attempt.task, attempt.element)
