"""Callbacks of tasks and workflows: after the state is durable, at most once, changing nothing."""

import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from cloacina import Context, DefaultRunner, Runtime, WorkflowBuilder, task
from cloacina_sdk.collect import collecting
from cloacina_sdk.errors import InvalidDefinitionError
from engine.databases import Where

PATIENCE_S = 60.0
WHO: ContextVar[str] = ContextVar("who", default="nobody")


class Said:
    """What callbacks were called with, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.ended = threading.Event()

    def note(self, kind: str, *given: object) -> None:
        plain = tuple(each.to_dict() if isinstance(each, Context) else each for each in given)
        self.calls.append((kind, *plain))

    def note_last(self, kind: str, *given: object) -> None:
        self.note(kind, *given)
        self.ended.set()


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def runner(where: Where, said: Said) -> Iterator[DefaultRunner]:
    runtime = Runtime()
    with collecting(runtime.collection):
        with WorkflowBuilder("flaky") as builder:
            builder.on_success(lambda *given: said.note_last("done", *given))
            tries: list[int] = []

            @task(
                retry_attempts=2,
                retry_delay_ms=1,
                on_success=lambda *given: said.note("success", *given),
                on_failure=lambda *given: said.note("failure", *given),
                on_retry=lambda *given: said.note("retry", *given),
            )
            def work(context: Context) -> None:
                tries.append(1)
                context["try"] = len(tries)
                if len(tries) == 1:
                    raise OSError("not yet")

        with WorkflowBuilder("bad") as builder:
            builder.on_failure(lambda *given: said.note_last("ended", *given))

            async def later(task_id: str, error: str, context: Context) -> None:
                said.note(
                    "async", task_id, error, context, WHO.get(), threading.current_thread().name
                )
                raise RuntimeError("a callback is broken")

            @task(retry_attempts=1, on_failure=later)
            def breaks(_context: Context) -> None:
                raise ValueError("no")

    with DefaultRunner(where.url, runtime=runtime) as opened:
        yield opened


def test_every_attempt_is_told_and_sees_what_the_body_changed(
    runner: DefaultRunner, said: Said
) -> None:
    assert runner.execute("flaky", {"n": 1}, timeout=PATIENCE_S).status == "Completed"
    assert said.ended.wait(PATIENCE_S)
    assert said.calls == [
        ("failure", "work", "OSError: not yet", {"n": 1, "try": 1}),
        ("retry", "work", "OSError: not yet", {"n": 1, "try": 1}),
        ("success", "work", {"n": 1, "try": 2}),
        ("done", "flaky", {"n": 1, "try": 2}),
    ]


def test_what_a_callback_raises_changes_nothing(
    runner: DefaultRunner, said: Said, caplog: pytest.LogCaptureFixture
) -> None:
    WHO.set("somebody")
    result = runner.execute("bad", timeout=PATIENCE_S)
    assert result.error_message == "task 'breaks' failed: ValueError: no"
    assert said.ended.wait(PATIENCE_S)
    assert said.calls == [
        ("async", "breaks", "ValueError: no", {}, "somebody", "cloacina-callbacks"),
        ("ended", "bad", "ValueError: no", {}),
    ]
    assert "a callback is broken" in caplog.text


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(InvalidDefinitionError, match="cannot have on_success"):
        task(map_over="xs", on_success=print)
    with pytest.raises(InvalidDefinitionError, match="on_retry takes a function, not 3"):
        task(on_retry=3)  # type: ignore[call-overload]  # on purpose
