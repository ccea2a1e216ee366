"""Questions about graphs."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloacina_sdk import graph
from cloacina_sdk.errors import CycleError

DIAMOND = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ()}


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    names = [f"t{number}" for number in range(draw(st.integers(0, 12)))]
    needs = {
        name: draw(st.lists(st.sampled_from(names[:position]), unique=True)) if position else []
        for position, name in enumerate(names)
    }
    return {name: needs[name] for name in draw(st.permutations(names))}


def any_graphs() -> st.SearchStrategy[dict[str, list[str]]]:
    names = st.sampled_from("abcdef")
    return st.dictionaries(names, st.lists(names, max_size=4))


@given(acyclic_graphs())
def test_the_order_holds_every_task_once_after_its_dependencies(
    needs: dict[str, list[str]],
) -> None:
    order = graph.topological_order(needs)
    assert sorted(order) == sorted(needs)
    assert all(order.index(other) < order.index(name) for name in needs for other in needs[name])


@given(acyclic_graphs())
def test_the_order_is_the_definition_order_where_dependencies_allow(
    needs: dict[str, list[str]],
) -> None:
    done: set[str] = set()
    for name in graph.topological_order(needs):
        ready = [other for other in needs if other not in done and done >= set(needs[other])]
        assert name == ready[0]
        done.add(name)


@given(acyclic_graphs())
def test_levels_are_as_early_as_they_can_be(needs: dict[str, list[str]]) -> None:
    waves = graph.execution_levels(needs)
    level = {name: number for number, wave in enumerate(waves) for name in wave}
    assert sorted(level) == sorted(needs)
    for name, others in needs.items():
        assert level[name] == max((level[other] + 1 for other in others), default=0)


@given(acyclic_graphs())
def test_two_tasks_are_parallel_exactly_if_neither_reaches_the_other(
    needs: dict[str, list[str]],
) -> None:
    for first in needs:
        for second in needs:
            apart = second not in graph.upstream(needs, [first])
            apart = apart and second not in graph.downstream(needs, [first])
            expected = apart and first != second
            assert graph.can_run_in_parallel(needs, first, second) == expected


@given(any_graphs())
def test_a_cycle_is_found_exactly_if_there_is_no_order(needs: dict[str, list[str]]) -> None:
    cycle = graph.find_cycle(needs)
    if cycle is None:
        assert len(graph.topological_order(needs)) == len(needs)
        return
    assert cycle[0] == cycle[-1]
    assert all(later in needs[name] for name, later in pairwise(cycle))
    with pytest.raises(CycleError, match=" -> ".join(cycle)):
        graph.topological_order(needs)


@given(any_graphs())
def test_one_cycle_is_found_for_each_set_of_tasks_that_wait_for_one_another(
    needs: dict[str, list[str]],
) -> None:
    rings = {
        frozenset({name} | (graph.upstream(needs, [name]) & graph.downstream(needs, [name])))
        for name in needs
        if name in graph.upstream(needs, [name])
    }
    cycles = graph.find_cycles(needs)
    assert len(cycles) == len(rings)
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        assert all(later in needs[name] for name, later in pairwise(cycle))
        assert sum(ring >= set(cycle) for ring in rings) == 1


@given(acyclic_graphs())
def test_a_subgraph_holds_all_that_its_tasks_need(needs: dict[str, list[str]]) -> None:
    for name in needs:
        part = graph.subgraph(needs, [name])
        assert set(part) == {name} | graph.upstream(needs, [name])
        assert list(part) == [other for other in needs if other in part]


def test_the_questions_about_a_diamond() -> None:
    assert graph.topological_order(DIAMOND) == ["a", "b", "c", "d", "e"]
    assert graph.execution_levels(DIAMOND) == [["a", "e"], ["b", "c"], ["d"]]
    assert graph.roots(DIAMOND) == ["a", "e"]
    assert graph.leaves(DIAMOND) == ["d", "e"]
    assert graph.dependents(DIAMOND) == {
        "a": ("b", "c"),
        "b": ("d",),
        "c": ("d",),
        "d": (),
        "e": (),
    }
    assert graph.downstream(DIAMOND, ["b"]) == {"d"}
    assert graph.upstream(DIAMOND, ["d"]) == {"a", "b", "c"}
    assert graph.can_run_in_parallel(DIAMOND, "b", "c")
    assert not graph.can_run_in_parallel(DIAMOND, "a", "d")


def test_a_long_chain_needs_no_recursion() -> None:
    chain = {str(number): (str(number - 1),) if number else () for number in range(20_000)}
    assert graph.find_cycle(chain) is None
    assert len(graph.execution_levels(chain)) == 20_000
    loop = {**chain, "0": ("19999",)}
    assert len(graph.find_cycle(loop) or ()) == 20_001
    assert [len(cycle) for cycle in graph.find_cycles(loop)] == [20_001]
    assert graph.find_cycles(chain) == []


def test_a_dependency_that_is_no_task_is_left_aside() -> None:
    assert graph.topological_order({"a": ["ghost"]}) == ["a"]
    assert graph.roots({"a": ["ghost"]}) == ["a"]
