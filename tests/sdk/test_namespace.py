"""Full names of tasks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_sdk.errors import InvalidNamespaceError
from cloacina_sdk.namespace import TaskNamespace

PARTS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,9}", fullmatch=True)


@given(PARTS, PARTS, PARTS, PARTS)
def test_a_full_name_comes_back_from_its_text(
    tenant: str, package: str, workflow: str, task: str
) -> None:
    namespace = TaskNamespace(tenant, package, workflow, task)
    assert str(namespace) == f"{tenant}::{package}::{workflow}::{task}"
    assert TaskNamespace.from_string(str(namespace)) == namespace
    assert hash(TaskNamespace.from_string(str(namespace))) == hash(namespace)


def test_the_dotted_form_has_exactly_four_parts() -> None:
    assert TaskNamespace.from_string("a.b.c.d") == TaskNamespace("a", "b", "c", "d")
    assert TaskNamespace.from_string("a::b.x::c::d.y").task_id == "d.y"


@pytest.mark.parametrize("text", ["", "a", "a::b::c", "a::b::c::d::e", "a.b.c", "a.b.c.d.e"])
def test_another_number_of_parts_is_refused(text: str) -> None:
    with pytest.raises(InvalidNamespaceError, match="four parts"):
        TaskNamespace.from_string(text)


@pytest.mark.parametrize("text", ["a::b::::d", "::b::c::d", "a.b..d"])
def test_an_empty_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not empty"):
        TaskNamespace.from_string(text)


def test_parents_children_and_siblings() -> None:
    first = TaskNamespace("t", "p", "w", "first")
    second = TaskNamespace("t", "p", "w", "second")
    elsewhere = TaskNamespace("t", "p", "other", "second")
    assert str(first.parent()) == "t::p::w"
    assert first.is_child_of(second.parent())
    assert not first.is_child_of(elsewhere.parent())
    assert not first.is_child_of(second)
    assert first.is_sibling_of(second)
    assert not first.is_sibling_of(first)
    assert not first.is_sibling_of(elsewhere)
    assert not first.parent().is_child_of(first.parent())
