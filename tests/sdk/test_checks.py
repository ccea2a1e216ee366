"""Options of a wrong type are refused where they are given, and a spec of none gets through."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from cloacina_sdk import Context, WorkflowBuilder, always, task, workflow
from cloacina_sdk.assembly import Workflow
from cloacina_sdk.errors import CloacinaError, InvalidDefinitionError, InvalidWorkflowError
from cloacina_sdk.namespace import TaskNamespace
from cloacina_sdk.retry import BackoffStrategy, RetryPolicy
from cloacina_sdk.spec import TaskSpec, WorkflowSpec

SPEC = WorkflowSpec(
    name="flow",
    description="",
    tags=(),
    tasks=(TaskSpec(id="a", dependencies=(), retry=RetryPolicy(), trigger_rule=None),),
)
TASK: Any = task
BUILDER: Any = WorkflowBuilder
BACKOFF: Any = BackoffStrategy
NAMESPACE: Any = TaskNamespace


def body(context: Context) -> None: ...


def with_options(**options: Any) -> None:
    @workflow(**options)
    class Flow:
        only = task(id="only")(body)


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda: TASK(allow_failure="no"), "allow_failure must be True or False, not 'no'"),
        (lambda: TASK(allow_failure=None), "allow_failure must be True or False, not None"),
        (lambda: BUILDER("w").tag("k", 5), "The tag 'k' must be a text, not 5"),
        (lambda: BUILDER("w").tag(5, "v"), "The key of a tag must be a text, not 5"),
        (lambda: BUILDER("w").description(7), "description must be a text, not 7"),
        (lambda: with_options(description=None), "description must be a text, not None"),
        (lambda: with_options(tags={"a": 1}), "The tag 'a' must be a text, not 1"),
        (lambda: with_options(tags=["a"]), "tags must be a mapping"),
        (lambda: with_options(fail_fast="yes"), "fail_fast must be True or False, not 'yes'"),
        (lambda: with_options(name=5), "The name of a workflow must be a text, not 5"),
        (lambda: BUILDER(None), "The name of a workflow must be a text, not None"),
        (lambda: BUILDER("w", workflow=5), "workflow must be a text, not 5"),
    ],
)
def test_an_option_of_a_wrong_type_is_refused_where_it_is_given(
    give: Callable[[], object], message: str
) -> None:
    with pytest.raises(InvalidDefinitionError) as caught:
        give()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["a::b", "x y\n", 5, "", "1a", "a\n"])
@pytest.mark.parametrize("part", ["tenant", "package"])
def test_tenants_and_packages_have_names_as_workflows_have(part: str, name: Any) -> None:
    with pytest.raises(InvalidDefinitionError, match=f"The {part} .* is not allowed: a letter"):
        WorkflowBuilder("w", **{part: name})
    with pytest.raises(InvalidDefinitionError, match=f"The {part} .* is not allowed: a letter"):
        Workflow(SPEC, {"a": body}, **{part: name})


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 5},
        {"description": None},
        {"description": "\ud800"},
        {"tags": (("k", 5),)},
        {"fail_fast": "yes"},
        {"timeout_ms": 1.5},
        {"tasks": (replace(SPEC.tasks[0], allow_failure="no"),)},  # type: ignore[arg-type]  # on purpose
        {"tasks": (replace(SPEC.tasks[0], fingerprint="ABC"),)},
    ],
)
def test_a_spec_whose_document_does_not_come_back_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidWorkflowError):
        replace(SPEC, **wrong).validate()
    SPEC.validate()


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda: TASK(retry_attempts=-1), "retry_attempts must be an integer of 0 to 2147483647"),
        (lambda: TASK(retry_delay_ms="5"), "retry_delay_ms must be an integer of 0 to"),
        (lambda: TASK(retry_max_delay_ms=-1), "retry_max_delay_ms must be an integer of 0 to"),
        (lambda: TASK(retry_jitter="no"), "retry_jitter must be True or False, not 'no'"),
        (lambda: RetryPolicy(max_attempts=-1), "max_attempts of a retry policy must be"),
        (lambda: BACKOFF.exponential("2x"), "The backoff's base must be a number, not '2x'"),
        (lambda: BACKOFF.exponential(2, "x"), "The backoff's multiplier must be a number"),
        (lambda: BACKOFF.linear(None), "The backoff's multiplier must be a number, not None"),
        (lambda: BACKOFF.linear(float("nan")), "The backoff's multiplier must be 0.0001 to"),
        (lambda: BACKOFF(kind="Fixed", base="x"), "The backoff's base must be a number"),
        (
            lambda: TASK(trigger_rules="always"),
            "The trigger rule is not valid: trigger_rules takes a rule, not 'always'; "
            "use always() or another builder",
        ),
        (lambda: TASK(trigger_rules=always), "The trigger rule is not valid: trigger_rules takes"),
        (lambda: NAMESPACE.from_string(None), "None is not the full name of a task"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_whoever_gave_it(
    give: Callable[[], object], message: str
) -> None:
    with pytest.raises(CloacinaError) as caught:
        give()
    assert str(caught.value).startswith(message)


def test_a_factor_may_be_any_real_number() -> None:
    assert BACKOFF.exponential(Decimal("1.5"), 2) == BACKOFF.exponential(1.5, 2.0)
    assert BACKOFF.linear(Fraction(1, 2)) == BACKOFF.linear(0.5)
