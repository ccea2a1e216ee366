"""Let the handle of a body that runs on an event loop reach the engine."""

import asyncio
from contextlib import suppress

from cloacina_sdk.asking import Ask, Reply
from cloacina_sdk.executor import Report
from cloacina_sdk.log_line import progress_line


class LoopPort:
    """The port of one attempt (see ``cloacina_sdk.port``). ``cancel`` is for any thread."""

    def __init__(self, token: str, report: Report) -> None:
        """Ask by ``report``."""
        self._token = token
        self._report = report
        self._is_cancelled = False

    def cancel(self) -> None:
        """Take note that the task of the body is about to be cancelled."""
        self._is_cancelled = True

    def is_cancelled(self) -> bool:
        """Whether the attempt is to end."""
        return self._is_cancelled

    def progressed(self, progress: float) -> None:
        """Have progress kept with what the attempt says."""
        self._report.said(self._token, progress_line(progress))

    def ask(self, ask: Ask) -> "asyncio.Future[Reply]":
        """Ask the engine; see ``AsyncPort``."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Reply] = loop.create_future()

        def set_reply(reply: Reply) -> None:
            if not answered.done():
                answered.set_result(reply)

        def answer(reply: Reply) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(set_reply, reply)

        self._report.asked(self._token, ask, answer)
        return answered

    async def sleep(self, duration_s: float) -> None:
        """Wait so long."""
        await asyncio.sleep(duration_s)
