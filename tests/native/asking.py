"""An engine for the handles of tasks in workers: it answers as a test says."""

import threading
from collections.abc import Callable, Mapping

from cloacina_native.run_request import RunRequest
from cloacina_native.worker_process import WorkerProcess
from cloacina_sdk.asking import Ask, Checkpoint, Reply
from cloacina_sdk.mapped import Element
from cloacina_sdk.waiting import Memory, PassedWait

from .packages import DEADLINE_S, PACKAGE, Outcome, Recorder

Answer = Callable[[Reply], None]


class Desk:
    """Keeps what is asked, and answers it unless the test holds it back."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.lines = Recorder()
        self._held: dict[str, threading.Event] = {}
        self._open: dict[str, Answer] = {}

    def hold(self, kind: type[Ask]) -> None:
        """Do not answer asks of this kind until told to."""
        self._held[kind.__name__] = threading.Event()

    def await_held(self, kind: type[Ask]) -> Answer:
        """Wait until such an ask came; return what answers it."""
        assert self._held[kind.__name__].wait(DEADLINE_S), "nobody asked"
        return self._open[kind.__name__]

    def __call__(self, ask: Ask, answer: Answer) -> None:
        self.asks.append(ask)
        name = type(ask).__name__
        if name not in self._held:
            answer(Reply.DONE)
            return
        self._open[name] = answer
        self._held[name].set()

    @property
    def names(self) -> list[str]:
        return [type(ask).__name__ for ask in self.asks]

    @property
    def checkpoints(self) -> list[str]:
        return [ask.text for ask in self.asks if isinstance(ask, Checkpoint)]

    def request(
        self,
        texts: Mapping[str, str] | None = None,
        *waits: PassedWait,
        checkpoint: str | None = None,
        number: int = 1,
        element: Element | None = None,
    ) -> RunRequest:
        return RunRequest(
            token=f"token-{number}",
            workflow=PACKAGE,
            task="act",
            attempt=1,
            execution_id="execution-1",
            texts=texts or {},
            element=element,
            memory=Memory(waits=waits, checkpoint=checkpoint),
            on_ask=self,
        )

    def run(
        self,
        worker: WorkerProcess,
        texts: Mapping[str, str] | None = None,
        *waits: PassedWait,
        checkpoint: str | None = None,
        number: int = 1,
    ) -> Outcome:
        request = self.request(texts, *waits, checkpoint=checkpoint, number=number)
        return worker.run(request, self.lines)


class Running:
    """An attempt on a thread of its own."""

    def __init__(self, worker: WorkerProcess, request: RunRequest, lines: Recorder) -> None:
        self._outcomes: list[Outcome] = []
        self._thread = threading.Thread(
            target=lambda: self._outcomes.append(worker.run(request, lines))
        )
        self._thread.start()

    def outcome(self) -> Outcome:
        self._thread.join(DEADLINE_S)
        assert self._outcomes, "the attempt did not end"
        return self._outcomes[0]
