"""Tasks and workflows as data."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_sdk.errors import InvalidDocumentError, InvalidWorkflowError, UnknownNameError
from cloacina_sdk.json_text import JsonValue, decode, encode
from cloacina_sdk.retry import RetryPolicy
from cloacina_sdk.rules import (
    Rule,
    none_of,
    parse_rule,
    task_failed,
    task_skipped,
    task_success,
)
from cloacina_sdk.spec import TaskSpec, WorkflowSpec

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,9}", fullmatch=True)
TASKS = st.builds(
    TaskSpec,
    id=NAMES,
    dependencies=st.lists(NAMES, max_size=3).map(tuple),
    retry=st.builds(RetryPolicy, max_attempts=st.integers(0, 9)),
    trigger_rule=st.none() | st.builds(task_success, NAMES).map(parse_rule),
    allow_failure=st.booleans(),
    is_async=st.booleans(),
    description=st.text(st.characters(exclude_categories=["Cs"])),
    fingerprint=st.sampled_from(["", "0" * 64, "9f" * 32]),
    takes_handle=st.booleans(),
)
WORKFLOWS = st.builds(
    WorkflowSpec,
    name=NAMES,
    description=st.text("aé\n"),
    tags=st.dictionaries(NAMES, st.text("aé ")).map(lambda tags: tuple(sorted(tags.items()))),
    tasks=st.lists(TASKS, max_size=4).map(tuple),
)


def task(name: str, *needs: str, rule: Rule | None = None) -> TaskSpec:
    return TaskSpec(id=name, dependencies=needs, retry=RetryPolicy(), trigger_rule=rule)


def workflow(*tasks: TaskSpec, name: str = "flow") -> WorkflowSpec:
    return WorkflowSpec(name=name, description="", tags=(), tasks=tasks)


def problems_of(spec: WorkflowSpec) -> tuple[str, ...]:
    with pytest.raises(InvalidWorkflowError) as caught:
        spec.validate()
    return caught.value.problems


@given(TASKS)
def test_a_task_comes_back_from_its_document(spec: TaskSpec) -> None:
    assert TaskSpec.from_document(decode(encode(spec.to_document()))) == spec


def test_a_task_without_a_handle_is_the_same_for_an_older_host() -> None:
    assert "takes_handle" not in task("a").to_document()


@given(WORKFLOWS)
def test_a_workflow_comes_back_from_its_document(spec: WorkflowSpec) -> None:
    assert WorkflowSpec.from_document(decode(encode(spec.to_document()))) == spec


def test_a_sound_workflow_passes() -> None:
    spec = workflow(task("a"), task("b", "a", rule=parse_rule(task_failed("a"))), task("c.1", "a"))
    spec.validate()
    assert spec.graph() == {"a": (), "b": ("a",), "c.1": ("a",)}
    assert spec.task("b") is spec.tasks[1]
    with pytest.raises(UnknownNameError, match=r"no task 'x'; known are: a, b, c\.1"):
        spec.task("x")


def test_an_empty_workflow_is_refused() -> None:
    assert problems_of(workflow()) == ("the workflow cannot be empty: add at least one task",)


def test_a_cycle_is_printed_as_its_path() -> None:
    spec = workflow(task("x"), task("a", "c", "x"), task("b", "a"), task("c", "b"))
    assert problems_of(spec) == ("the dependencies form a cycle: a -> c -> b -> a",)


def test_an_unknown_dependency_names_the_task_and_close_names() -> None:
    spec = workflow(task("extract"), task("load", "extrac", "zzz"))
    assert problems_of(spec) == (
        "task 'load' depends on 'extrac', which does not exist; did you mean 'extract'?",
        "task 'load' depends on 'zzz', which does not exist",
    )


def test_a_rule_that_names_an_unknown_task_is_refused() -> None:
    rule = parse_rule(task_success("extarct") & task_failed("extract"))
    assert problems_of(workflow(task("extract"), task("a", "extract", rule=rule))) == (
        "the trigger rule of task 'a' names 'extarct', which does not exist; "
        "did you mean 'extract'?",
    )


@pytest.mark.parametrize("condition", [task_success, task_failed, task_skipped])
def test_a_rule_names_only_tasks_that_have_ended_when_it_is_asked(
    condition: Callable[[str], Rule],
) -> None:
    rule = parse_rule(none_of(condition("a")) | condition("b"))
    assert problems_of(workflow(task("a"), task("b", rule=rule))) == (
        "the trigger rule of task 'b' names 'a', on which it does not depend: "
        "add it to dependencies",
        "the trigger rule of task 'b' names the task itself",
    )
    far = parse_rule(condition("a"))
    workflow(task("a"), task("b", "a"), task("c", "b", rule=far)).validate()


def test_every_cycle_is_printed_as_its_path() -> None:
    spec = workflow(
        task("a", "b"), task("p"), task("b", "a", "c"), task("x", "y"), task("y", "x"), task("c")
    )
    assert problems_of(spec) == (
        "the dependencies form a cycle: a -> b -> a",
        "the dependencies form a cycle: x -> y -> x",
    )


@pytest.mark.parametrize("name", ["", "1a", "a b", "a::b", "ä", "a" * 201, "-a", "a\n"])
def test_names_have_a_form(name: str) -> None:
    assert any("is not allowed" in problem for problem in problems_of(workflow(task(name))))
    assert any("is not allowed" in found for found in problems_of(workflow(task("a"), name=name)))


def test_every_violation_is_reported_at_once() -> None:
    spec = workflow(
        task("a", "a"),
        task("b", "c", "c"),
        task("c", "b"),
        task("d"),
        task("d", "ghost"),
        task("e e"),
        name="1",
    )
    found = problems_of(spec)
    assert len(found) == 7
    for fact in (
        "the name '1'",
        "2 tasks have the id 'd'",
        "task 'a' depends on itself",
        "names the dependency 'c' 2 times",
        "'ghost', which does not exist",
        "the task id 'e e'",
        "b -> c -> b",
    ):
        assert sum(fact in problem for problem in found) == 1, fact
    with pytest.raises(ValueError, match="Workflow '1' is not valid"):
        spec.validate()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"timeout": 3}, "$.tasks[0].timeout is not a known key"),
        ({"id": 3}, "$.tasks[0].id must be a string, not an integer"),
        ({"dependencies": ["a", None]}, "$.tasks[0].dependencies[1] must be a string, not null"),
        ({"allow_failure": 1}, "$.tasks[0].allow_failure must be a boolean, not an integer"),
        ({"retry": None}, "$.tasks[0].retry must be an object, not null"),
        ({"trigger_rule": {"type": "All"}}, "$.tasks[0].trigger_rule.conditions is missing"),
        ({"fingerprint": "ABC"}, "$.tasks[0].fingerprint must be a sha256"),
    ],
)
def test_a_wrong_document_is_refused_with_its_path(
    changes: dict[str, JsonValue], problem: str
) -> None:
    changed: dict[str, JsonValue] = {**task("a").to_document(), **changes}
    document: dict[str, JsonValue] = {**workflow().to_document(), "tasks": [changed]}
    with pytest.raises(InvalidDocumentError) as caught:
        WorkflowSpec.from_document(document)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(problem)


def test_tags_are_texts() -> None:
    document: dict[str, JsonValue] = {**workflow().to_document(), "tags": {"a": 1, "b": "x"}}
    with pytest.raises(InvalidDocumentError, match=r"\$\.tags\.a must be a string"):
        WorkflowSpec.from_document(document)
