"""The other end of ``ProcessExecutor``: one attempt on stdin, its result on stdout."""

import sys
from importlib import import_module

from cloacina_sdk.attempt import ExecutionResult, TaskReadyEvent
from cloacina_sdk.outcome import failure_of
from cloacina_sdk.perform import perform


def main() -> None:
    event = TaskReadyEvent.from_json(sys.stdin.read())
    assert event.import_path is not None
    module, _, name = event.import_path.partition(":")
    try:
        changes = perform(getattr(import_module(module), name), event.texts, event.element)
        result = ExecutionResult.succeeded(event.token, changes)
    except BaseException as error:  # noqa: BLE001 - a body may raise anything
        result = ExecutionResult.failed(event.token, failure_of(error))
    sys.stdout.write(result.to_json())


if __name__ == "__main__":
    main()
