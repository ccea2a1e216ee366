"""One attempt of a task, as a worker is asked to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloacina_native.conversation import OnAsk, Question
from cloacina_native.frames import pack_texts
from cloacina_native.replies import Failed, Finished, Reply, Waiting
from cloacina_sdk.json_text import JsonValue, encode
from cloacina_sdk.mapped import Element
from cloacina_sdk.waiting import Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One attempt of a task.

    Attributes:
        token: what the worker has to return with the result.
        attempt: counts from 1.
        texts: the context, each key with the JSON text of its value.
        element: what the attempt is for, if the task is mapped. Attempts that share one and the
            same ``texts`` send it to a worker once.
        memory: what earlier runs left, if the task takes a handle.
        on_ask: takes what the body asks for by its handle.
    """

    token: str
    workflow: str
    task: str
    attempt: int
    execution_id: str
    texts: Mapping[str, str]
    element: Element | None = None
    memory: Memory | None = None
    on_ask: OnAsk | None = None

    def to_question(
        self, *, is_context_known: bool = False
    ) -> Question[Finished | Failed | Waiting]:
        """Return what to ask a worker.

        Args:
            is_context_known: whether the worker has ``texts`` from the last element it ran.
        """
        keys: JsonValue = None
        body = b""
        if not is_context_known:
            keys, body = pack_texts(self.texts)
        element: JsonValue = None
        if self.element is not None:
            item = self.element.text.encode("utf-8")
            element = [self.element.index, self.element.result_key, len(item)]
            body = item + body
        memory: JsonValue = None
        if self.memory is not None:
            remembered = encode(self.memory.to_document()).encode("utf-8")
            memory = len(remembered)
            body = remembered + body
        header: dict[str, JsonValue] = {
            "type": "run",
            "token": self.token,
            "workflow": self.workflow,
            "task": self.task,
            "attempt": self.attempt,
            "execution_id": self.execution_id,
            "keys": keys,
            "element": element,
            "memory": memory,
        }
        return Question(
            header=header,
            body=body,
            token=self.token,
            doing=(
                f"ran task {self.task!r} of workflow {self.workflow!r} "
                f"(attempt {self.attempt} in execution {self.execution_id})"
            ),
            accept=self._accept,
            on_ask=None if self.memory is None else self.on_ask,
        )

    def _accept(self, reply: Reply) -> Finished | Failed | Waiting | None:
        if not isinstance(reply, Finished | Failed | Waiting) or reply.token != self.token:
            return None
        if isinstance(reply, Waiting):
            return None if self.memory is None else reply
        if isinstance(reply, Finished) and self.element is not None:
            return reply if self.element.is_result(reply.changes) else None
        return reply
