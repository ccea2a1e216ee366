"""The host's side of a worker: a process that has loaded one package and runs its tasks.

* One attempt at a time; whatever ends the worker is the failure of that attempt, never an
  exception, and never touches the host.
* A worker is not trusted: what it sends is parsed by `replies`, has to answer what was asked
  under the token that was given, and the first violation kills it.
* A worker that ended stays ended; whoever wants another starts another.
* `close` leaves no process, descriptor or directory behind. Only a process that left the
  worker's group (setsid) is beyond its reach.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cloacina_native.conversation import A, Conversation, Question
from cloacina_native.errors import PackageLoadError, UnknownTaskError, WorkerBusyError
from cloacina_native.frames import MAX_FRAME_BYTES
from cloacina_native.launch import Launched, launch
from cloacina_native.log_lines import AttemptLog, LogLine
from cloacina_native.replies import Failed, Finished, Loaded, LoadFailed, Reply, Waiting
from cloacina_native.run_request import RunRequest
from cloacina_sdk.changes import Changes
from cloacina_sdk.outcome import TaskFailure
from cloacina_sdk.spec import WorkflowSpec
from cloacina_sdk.waiting import Wait

LOAD_TIMEOUT_S = 120.0
CLOSE_TIMEOUT_S = 2.0

_LOGGER = logging.getLogger(__name__)


class WorkerProcess:
    """A worker; make one with `start`, end it with `close` or a `with` block.

    `load` and `run` are called by one thread at a time; `interrupt` and `close` by any.
    """

    def __init__(self, launched: Launched, name: str) -> None:
        self.name: Final = name
        self._launched = launched
        self._conversation = Conversation(launched, name)
        self._turn = threading.Lock()
        self._ending = threading.Lock()
        self._is_closed = False
        self._is_freed = False
        self._tasks: frozenset[tuple[str, str]] = frozenset()
        self._shared: Mapping[str, str] | None = None
        """The context of the last element that the worker ran."""

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        name: str,
        environment: Mapping[str, str],
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> WorkerProcess:
        """Start a worker for the package in a directory.

        Args:
            directory: holds the package's top-level modules; nothing is written there.
            name: what messages call the worker.
            environment: variables that the worker has beside the few that `launch` gives it.
            max_frame_bytes: how large a request and an answer may be; see `frame_limit`.

        Raises:
            WorkerStartError: if the system refuses, or there is no such directory.
            RuntimeMissingError: if this interpreter lacks what workers need.
        """
        launched = launch(
            directory, name=name, environment=environment, max_frame_bytes=max_frame_bytes
        )
        return cls(launched, name)

    @property
    def pid(self) -> int:
        """The number of the process, which leads a process group."""
        return self._launched.process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the worker can still be asked for something."""
        return not self._is_closed and not self._conversation.is_over

    def load(
        self, package: str, modules: Sequence[str], *, timeout_s: float = LOAD_TIMEOUT_S
    ) -> list[WorkflowSpec]:
        """Import modules in order and return the workflows that they define, in order.

        Raises:
            PackageLoadError: if they raise, define no valid workflows, end the worker or take
                too long; the worker lives on in the first two cases only.
            WorkerBusyError: if another thread is using the worker.
        """
        question: Question[Loaded | LoadFailed] = Question(
            header={"type": "load", "package": package, "modules": list(modules)},
            body=b"",
            token="",
            doing=f"loaded package {package!r}",
            accept=_load_answer,
            deadline=time.monotonic() + timeout_s,
        )
        with self._taking_turns():
            answer = self._asked(question, self._conversation.log_outside)
        if not isinstance(answer, Loaded):
            failure = answer if isinstance(answer, TaskFailure) else answer.failure
            raise PackageLoadError(package, failure)
        self._tasks = frozenset((each.name, t.id) for each in answer.workflows for t in each.tasks)
        return list(answer.workflows)

    def run(
        self, request: RunRequest, on_log: Callable[[LogLine], None]
    ) -> Changes | TaskFailure | Wait:
        """Run one attempt and return what it changed, why it failed, or what it waits for.

        Args:
            request: the attempt of a task that was loaded before.
            on_log: called in this thread with each line that the task says; what it raises goes
                on, and a worker that still runs the attempt is killed.

        Returns:
            A failure also where the worker died ("WorkerCrashed"), was interrupted
            ("WorkerInterrupted") or broke the protocol ("WorkerProtocolError"); then
            `is_alive` is false.

        Raises:
            UnknownTaskError: if no such task is loaded.
            WorkerBusyError: if another thread is using the worker.
        """
        if (request.workflow, request.task) not in self._tasks:
            raise UnknownTaskError(request.workflow, request.task)
        with self._taking_turns():
            is_known = request.element is not None and request.texts is self._shared
            answer = self._asked(request.to_question(is_context_known=is_known), on_log)
            if request.element is not None:
                self._shared = request.texts
        match answer:
            case Finished(changes=changes):
                return changes
            case Failed(failure=failure):
                return failure
            case Waiting(wait=wait):
                return wait
            case TaskFailure():
                return answer

    def cancel(self, token: str) -> None:
        """Let the handle of the attempt with this token know that it is to end.

        Callable by any thread, also before the attempt begins; it does nothing for an attempt
        without a handle, or one that has ended.
        """
        self._conversation.post({"type": "cancel", "token": token})

    def interrupt(self) -> None:
        """Kill the worker and everything in its process group; a blocked `run` returns.

        Callable by any thread, any number of times.
        """
        with self._ending:
            if not self._is_freed:
                self._conversation.stop("interrupted")
                self._conversation.group.kill()

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """End the worker and free everything; doing so again does nothing.

        The worker sees the end of its input and exits; what still lives after the timeout is
        killed. Must not be called from `on_log`.
        """
        with self._ending:
            if self._is_closed:
                return
            self._is_closed = True
            self._conversation.stop("closed")
        self._conversation.group.has_ended(timeout_s)
        self._conversation.group.reap()
        with self._turn, self._ending:  # a blocked `run` has seen the end, and returns now
            self._is_freed = True
            self._conversation.settle()
            self._conversation.close()
            os.close(self._launched.lifeline)
            self._remove_scratch()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _remove_scratch(self) -> None:
        try:
            self._launched.scratch.cleanup()
        except OSError as error:  # a process outside of the group may still write there
            _LOGGER.warning("the scratch directory of %s stays: %s", self.name, error)

    @contextmanager
    def _taking_turns(self) -> Iterator[None]:
        if not self._turn.acquire(blocking=False):
            raise WorkerBusyError(self.name)
        try:
            yield
        finally:
            self._turn.release()

    def _asked(self, question: Question[A], on_line: Callable[[LogLine], None]) -> A | TaskFailure:
        log = AttemptLog(on_line)
        answer = self._conversation.ask(question, log)
        log.close()
        return answer


def describe_package(
    directory: Path, package: str, modules: Sequence[str], *, timeout_s: float = LOAD_TIMEOUT_S
) -> list[WorkflowSpec]:
    """Import a package's modules in a worker of their own and return the workflows they define.

    Raises:
        PackageLoadError: if that fails, for any reason that lies in the package.
        WorkerStartError: if no worker can be started.
        RuntimeMissingError: if this interpreter lacks what workers need.
    """
    with WorkerProcess.start(directory, name=package, environment={}) as worker:
        return worker.load(package, modules, timeout_s=timeout_s)


def _load_answer(reply: Reply) -> Loaded | LoadFailed | None:
    return reply if isinstance(reply, Loaded | LoadFailed) else None
