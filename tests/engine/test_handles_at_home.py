"""Tasks that take a handle, from one end to the other, wherever they run."""

import os
import signal
from pathlib import Path

import pytest

from cloacina import DefaultRunner, DefaultRunnerConfig, ExecutionHandle, WorkflowResult
from cloacina.model.states import Answer
from engine.homes import KINDS, at_home
from engine.waiting import DEADLINE_S, eventually

PLAIN = {"ran": True}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def until_deferred(handle: ExecutionHandle) -> None:
    """Wait until the task waits, and takes no slot."""
    kinds = iter(event.kind for event in handle.events())
    assert any(kind in {"task_deferred", "task_parked"} for kind in kinds)


def others_run(runner: DefaultRunner) -> bool:
    """Whether the one slot is free for others."""
    return runner.execute("plain", timeout=DEADLINE_S).final_context.to_dict() == PLAIN


def done(handle: ExecutionHandle) -> WorkflowResult:
    return handle.wait(DEADLINE_S)


def test_an_approval_waits_without_a_slot_and_its_payload_arrives(
    kind: str, tmp_path: Path
) -> None:
    body = """
        note(context["log"])
        context["answer"] = await handle.wait_event("approved", timeout="3d")
    """
    with at_home(kind, tmp_path, body) as runner:
        handle = runner.submit("waiting", {"log": str(tmp_path / "log")})
        until_deferred(handle)
        assert others_run(runner)
        assert handle.send_event("approved", {"by": "é"}) is Answer.GRANTED
        result = done(handle)
    assert result.final_context["answer"] == {"by": "é"}
    assert (result.tasks["t"].status, result.tasks["t"].attempts) == ("Completed", 2)
    assert (tmp_path / "log").read_text() == "run run "


def test_times_conditions_and_events_pass_in_turn(kind: str, tmp_path: Path) -> None:
    body = """
        await handle.defer_until(timedelta(milliseconds=1))
        await handle.defer_until(datetime(2020, 1, 1, tzinfo=timezone.utc))
        await handle.defer_until("stock", poll_interval_ms=1)
        context["first"] = await handle.wait_event("go")
        context["second"] = await handle.wait_event("go")
    """
    looks: list[bool] = []

    def stock() -> bool:
        looks.append(True)
        return len(looks) == 3

    with at_home(kind, tmp_path, body) as runner:
        runner.register_condition("stock", stock)
        handle = runner.submit("waiting")
        for number in (1, 2):
            handle.send_event("go", number)
        result = done(handle)
    assert result.final_context.to_dict() == {"first": 1, "second": 2}
    assert result.tasks["t"].attempts == 6
    assert len(looks) == 3


def test_a_wait_that_is_given_up_may_be_caught(kind: str, tmp_path: Path) -> None:
    body = """
        try:
            await handle.wait_event("never", timeout=0.001)
        except WaitTimedOutError:
            context["gave up"] = True
        await handle.wait_event("other", timeout="1ms")
    """
    with at_home(kind, tmp_path, body, retry_condition="transient") as runner:
        result = runner.execute("waiting", timeout=DEADLINE_S)
    assert result.status == "Failed"
    assert "WaitTimedOutError: The wait for the event 'other' was given up after 0.001 s" in (
        result.error_message or ""
    )
    assert result.tasks["t"].attempts == 3  # two ended to wait; none was repeated


def test_a_checkpoint_and_the_waits_behind_survive_a_failure(kind: str, tmp_path: Path) -> None:
    body = """
        before = handle.last_checkpoint or []
        await handle.checkpoint([*before, len(before)])
        answer = await handle.wait_event("go")
        if len(before) < 3:
            raise OSError("not yet")
        context["out"] = [before, answer, handle.attempt_key]
    """
    with at_home(kind, tmp_path, body, retry_attempts=5) as runner:
        handle = runner.submit("waiting")
        handle.send_event("go", "é")
        result = done(handle)
    assert result.final_context["out"] == [[0, 1, 2], "é", f"{handle.id}/t"]
    assert result.tasks["t"].attempts == 4


def test_a_function_is_waited_for_in_place_without_a_slot(kind: str, tmp_path: Path) -> None:
    body = """
        note(context["log"])
        await handle.defer_until(Path(context["flag"]).exists, poll_interval_ms=2)
        context["held"] = handle.is_slot_held()
    """
    flag = tmp_path / "flag"
    with at_home(kind, tmp_path, body) as runner:
        handle = runner.submit("waiting", {"log": str(tmp_path / "log"), "flag": str(flag)})
        until_deferred(handle)
        assert others_run(runner)
        second = runner.submit("waiting", {"log": str(tmp_path / "log"), "flag": str(flag)})
        until_deferred(second)
        assert others_run(runner)
        flag.touch()
        results = [done(handle), done(second)]
    assert [result.final_context["held"] for result in results] == [True, True]
    assert [result.tasks["t"].attempts for result in results] == [1, 1]
    assert (tmp_path / "log").read_text() == "run run "


@pytest.mark.parametrize(
    "wait", ["handle.wait_event('never')", "handle.defer_until(lambda: False, poll_interval='9d')"]
)
def test_cancelling_reaches_a_task_that_waits(kind: str, tmp_path: Path, wait: str) -> None:
    body = f"""
        try:
            await {wait}
        finally:
            note(context["log"], "left ")
    """
    with at_home(kind, tmp_path, body) as runner:
        handle = runner.submit("waiting", {"log": str(tmp_path / "log")})
        until_deferred(handle)
        handle.cancel()
        result = done(handle)
        assert (result.status, result.tasks["t"].status) == ("Cancelled", "Cancelled")
        assert others_run(runner)
        eventually(lambda: (tmp_path / "log").read_text() == "left ")


def test_a_running_body_sees_that_it_is_cancelled(kind: str, tmp_path: Path) -> None:
    body = """
        await handle.checkpoint("began")
        Path(context["flag"]).touch()
        try:
            while not handle.is_cancelled():
                await handle.checkpoint("still here")
        finally:
            Path(context["log"]).write_text("saw it")
    """
    flag, log = tmp_path / "flag", tmp_path / "log"
    with at_home(kind, tmp_path, body) as runner:
        handle = runner.submit("waiting", {"log": str(log), "flag": str(flag)})
        eventually(flag.exists)
        handle.cancel()
        assert done(handle).status == "Cancelled"
        assert others_run(runner)
        assert log.read_text() == "saw it"


@pytest.mark.parametrize("is_parked", [False, True], ids=["deferred", "parked"])
def test_a_runner_that_shuts_down_does_not_wait_and_the_next_one_goes_on(
    kind: str, tmp_path: Path, is_parked: bool
) -> None:
    parks = "await handle.defer_until(Path(context['flag']).exists, poll_interval_ms=5)"
    defers = "await handle.wait_event('go')"
    body = f"""
        note(context["log"])
        await handle.checkpoint("kept")
        {parks if is_parked else defers}
        context["kept"] = handle.last_checkpoint
    """
    flag, log = tmp_path / "flag", tmp_path / "log"
    with at_home(kind, tmp_path, body, retry_attempts=1) as runner:
        handle = runner.submit("waiting", {"log": str(log), "flag": str(flag)})
        until_deferred(handle)
    flag.touch()
    with at_home(kind, tmp_path, body, retry_attempts=1) as runner:
        again = runner.handle(handle.id)
        if not is_parked:
            again.send_event("go")
        result = done(again)
    assert result.status == "Completed"
    assert result.final_context["kept"] == "kept"
    assert log.read_text() == "run run "


def test_elements_of_a_mapped_task_wait_each_for_themselves(kind: str, tmp_path: Path) -> None:
    body = """
        answer = await handle.wait_event("go")
        return [item, answer, handle.attempt_key.split("/", 1)[1]]
    """
    with at_home(kind, tmp_path, body, map_over="xs") as runner:
        handle = runner.submit("waiting", {"xs": ["a", "b"]})
        until_deferred(handle)
        handle.send_event("go", 7)
        result = done(handle)
    assert result.final_context["t"] == [["a", 7, "t/0"], ["b", 7, "t/1"]]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("try:\n    await handle.wait_event('go')\nexcept BaseException:\n    pass", "swallowed"),
        (
            "await handle.wait_event('go' if handle.last_checkpoint is None else 'other')"
            "\nawait handle.checkpoint(1)\nraise OSError('once more')",
            "took another way than before",
        ),
    ],
    ids=["swallowed", "another way"],
)
def test_a_body_that_does_not_keep_to_its_waits_fails_for_good(
    kind: str, tmp_path: Path, body: str, said: str
) -> None:
    with at_home(kind, tmp_path, body, retry_attempts=5) as runner:
        handle = runner.submit("waiting")
        handle.send_event("go")
        result = done(handle)
    assert result.status == "Failed"
    assert said in (result.error_message or "")
    assert result.tasks["t"].attempts < 5


def test_progress_is_kept_with_what_the_attempt_says(kind: str, tmp_path: Path) -> None:
    with at_home(kind, tmp_path, "handle.heartbeat(0.25)\nhandle.heartbeat(0.5)") as runner:
        result = runner.execute("waiting", timeout=DEADLINE_S)
        lines = [(line.source, line.text) for line in runner.logs(result.execution_id)]
    assert lines == [("progress", "0.25")]


def test_a_checkpoint_that_cannot_be_kept_fails_the_attempt(kind: str, tmp_path: Path) -> None:
    body = "await handle.checkpoint({1, 2})"
    with at_home(kind, tmp_path, body, retry_attempts=1) as runner:
        result = runner.execute("waiting", timeout=DEADLINE_S)
    assert "of type set, which JSON does not have" in (result.error_message or "")


@pytest.mark.parametrize("kind", ["worker", "worker-loop"], indirect=True)
def test_a_worker_that_dies_while_its_body_is_parked_costs_that_run(
    kind: str, tmp_path: Path
) -> None:
    body = """
        note(context["log"], f"{os.getpid()}\\n")
        await handle.defer_until(Path(context["flag"]).exists, poll_interval_ms=5)
    """
    flag, log = tmp_path / "flag", tmp_path / "log"
    with at_home(kind, tmp_path, body) as runner:
        handle = runner.submit("waiting", {"log": str(log), "flag": str(flag)})
        until_deferred(handle)
        os.kill(int(log.read_text()), signal.SIGKILL)
        eventually(lambda: len(log.read_text().splitlines()) == 2)
        flag.touch()
        result = done(handle)
    assert (result.status, result.tasks["t"].attempts) == ("Completed", 2)


@pytest.mark.parametrize("kind", ["worker", "worker-loop"], indirect=True)
def test_a_function_that_hangs_is_killed_with_its_worker(kind: str, tmp_path: Path) -> None:
    body = """
        looks = []
        def condition():
            looks.append(1)
            if len(looks) > 1:
                note(context["log"])
                threading.Event().wait()
        await handle.defer_until(condition, poll_interval_ms=1)
    """
    log = tmp_path / "log"
    config = DefaultRunnerConfig(max_concurrent_tasks=1, cancel_grace_seconds=0.05)
    with at_home(kind, tmp_path, body, config=config) as runner:
        handle = runner.submit("waiting", {"log": str(log)})
        eventually(log.exists)
        handle.cancel()
        assert done(handle).status == "Cancelled"
        assert others_run(runner)
