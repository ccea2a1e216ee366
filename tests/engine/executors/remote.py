"""The other end of ``ProcessExecutor``: one attempt, each message a line of JSON.

On stdin the attempt, then answers to what its body asked, or the word that it is to end; on stdout
what the body asks and how far it is, and in the end the result.
"""

import json
import sys
import threading
from importlib import import_module

from cloacina_sdk.any_handle import attempt_key
from cloacina_sdk.asking import Ask, Checkpoint, Reply, ask_document
from cloacina_sdk.attempt import ExecutionResult, TaskReadyEvent
from cloacina_sdk.handle import TaskHandle
from cloacina_sdk.outcome import failure_of
from cloacina_sdk.perform import perform


class LinePort:
    """A ``Port`` over lines."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_cancelled = False
        self._reply: Reply | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def is_cancelled(self) -> bool:
        return self._is_cancelled

    def progressed(self, progress: float) -> None:
        tell({"progress": progress})

    def ask(self, ask: Ask) -> Reply | None:
        with self._changed:
            self._reply = None
            tell(ask_document(ask))
            self._changed.wait_for(lambda: self._reply or self._gives_up(ask))
            return self._reply

    def sleep(self, duration_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_cancelled, duration_s)

    def _gives_up(self, ask: Ask) -> bool:
        return self._is_cancelled and not isinstance(ask, Checkpoint)

    def _listen(self) -> None:
        for line in sys.stdin:
            with self._changed:
                if line == "cancel\n":
                    self._is_cancelled = True
                else:
                    self._reply = Reply(line.strip())
                self._changed.notify_all()


def tell(message: object) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    event = TaskReadyEvent.from_json(sys.stdin.readline())
    assert event.import_path is not None
    module, _, name = event.import_path.partition(":")
    handle = None
    if event.memory is not None:
        key = attempt_key(event.execution_id, event.namespace.task_id, event.element)
        handle = TaskHandle(LinePort(), event.memory, key)
    try:
        body = getattr(import_module(module), name)
        outcome = perform(body, event.texts, event.element, handle)
        result = ExecutionResult.of(event.token, outcome)
    except BaseException as error:  # noqa: BLE001 - a body may raise anything
        result = ExecutionResult.failed(event.token, failure_of(error))
    tell({"result": result.to_json()})


if __name__ == "__main__":
    main()
