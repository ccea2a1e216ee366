"""Elements of mapped tasks in a worker."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from cloacina_native.run_request import RunRequest
from cloacina_sdk.json_text import JsonValue
from cloacina_sdk.mapped import Element
from native.packages import PACKAGE, Recorder, assigned, failure, worker_of, write_module

SOURCE = """
from cloacina_sdk import task

@task(map_over="xs", map_into="out", retry_attempts=1)
def act(context, item):
    if item == "change":
        context["x"] = 1
    return [item, context["xs"], len(context)]

@task(map_over="xs", retry_attempts=1)
async def later(context, item):
    return item

@task(retry_attempts=1)
def plain(context):
    context["seen"] = sorted(context)
"""


def an_element(texts: dict[str, str], text: str, task: str = "act", key: str = "out") -> RunRequest:
    return RunRequest(
        token=f"token-{text}",
        workflow=PACKAGE,
        task=task,
        attempt=1,
        execution_id="execution-1",
        texts=texts,
        element=Element(index=0, text=text, result_key=key),
    )


def test_elements_run_on_one_context_that_is_sent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    with worker_of(write_module(tmp_path / "p", SOURCE)) as worker:
        texts = {"xs": f'["{"x" * 100_000}"]'}
        original = worker._conversation._connection.send

        def send(header: Mapping[str, JsonValue], body: bytes) -> None:
            sent.append(len(body))
            original(header, body)

        monkeypatch.setattr(worker._conversation._connection, "send", send)
        for number in range(3):
            found = assigned(worker.run(an_element(texts, str(number)), Recorder()))
            assert found == {"out": f"[{number},{texts['xs']},1]"}
        assert sent[0] > 100_000
        assert max(sent[1:]) < 10
        other = {"xs": "[]", "y": "0"}
        assert assigned(worker.run(an_element(other, "7"), Recorder())) == {"out": "[7,[],2]"}


def test_a_task_that_is_not_mapped_between_elements_changes_nothing(tmp_path: Path) -> None:
    with worker_of(write_module(tmp_path / "p", SOURCE)) as worker:
        texts = {"xs": "[]"}
        worker.run(an_element(texts, "1"), Recorder())
        request = RunRequest(
            token="t",
            workflow=PACKAGE,
            task="plain",
            attempt=1,
            execution_id="e",
            texts={"z": "1"},
        )
        assert assigned(worker.run(request, Recorder())) == {"seen": '["z"]'}
        assert assigned(worker.run(an_element(texts, "2"), Recorder())) == {"out": "[2,[],1]"}


def test_async_bodies_and_failures_of_elements(tmp_path: Path) -> None:
    with worker_of(write_module(tmp_path / "p", SOURCE)) as worker:
        texts = {"xs": "[]"}
        later = an_element(texts, '{"a":"é"}', task="later", key="later")
        assert assigned(worker.run(later, Recorder())) == {"later": '{"a":"é"}'}
        refused = failure(worker.run(an_element(texts, '"change"'), Recorder()))
        assert "return the element's result instead" in refused.message
        assert assigned(worker.run(an_element(texts, "2"), Recorder())) == {"out": "[2,[],1]"}


def test_a_worker_that_answers_with_anything_but_the_result_is_not_believed(
    tmp_path: Path,
) -> None:
    liar = """
    from cloacina_sdk import task
    from cloacina_sdk.changes import Changes
    import cloacina_sdk.mapped, cloacina_sdk.perform

    def lie(returned, context, before, element):
        return Changes(assigned={"other": "1"}, removed=frozenset())

    cloacina_sdk.perform.result_of = lie

    @task(map_over="xs", retry_attempts=1)
    def act(context, item): ...
    """
    with worker_of(write_module(tmp_path / "p", liar)) as worker:
        refused = failure(worker.run(an_element({"xs": "[]"}, "1"), Recorder()))
        assert refused.error_type == "WorkerProtocolError"
        assert not worker.is_alive
