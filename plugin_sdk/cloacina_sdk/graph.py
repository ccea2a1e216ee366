"""Questions about a graph of tasks, given as a map from each task to its dependencies.

* Pure functions; the map's own order is the definition order, and breaks every tie.
* A dependency that is no key of the map is ignored here; `WorkflowSpec.validate` reports it.
* Where an order is asked for and the graph has a cycle, `CycleError` is raised.
* None recurses, so a chain of any length is fine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from cloacina_sdk.errors import CycleError

Graph: TypeAlias = Mapping[str, Sequence[str]]


def find_cycle(graph: Graph) -> tuple[str, ...] | None:
    """Return one cycle as a path that ends where it starts (`a, b, a`), or None.

    Each task on the path depends on the one after it.
    """
    finished: set[str] = set()
    for start in graph:
        if start not in finished:
            cycle = _cycle_from(start, graph, finished)
            if cycle:
                return cycle
    return None


def find_cycles(graph: Graph) -> list[tuple[str, ...]]:
    """Return one cycle, as `find_cycle` does, for each set of tasks that all wait for one another.

    They come in the definition order of the first task of each set.
    """
    index = {name: position for position, name in enumerate(graph)}
    found: list[tuple[int, tuple[str, ...]]] = []
    for component in _components(graph):
        names = sorted(component, key=index.__getitem__)
        inside = {name: [near for near in graph[name] if near in component] for name in names}
        cycle = find_cycle(inside)
        if cycle:
            found.append((index[names[0]], cycle))
    return [cycle for _, cycle in sorted(found)]


def topological_order(graph: Graph) -> list[str]:
    """Return all tasks, each after its dependencies, otherwise in definition order."""
    names = list(graph)
    index = {name: position for position, name in enumerate(names)}
    followers = dependents(graph)
    missing = {name: len(_known(graph, name)) for name in names}
    ready = [index[name] for name in names if not missing[name]]
    heapify(ready)
    order: list[str] = []
    while ready:
        name = names[heappop(ready)]
        order.append(name)
        for follower in followers[name]:
            missing[follower] -= 1
            if not missing[follower]:
                heappush(ready, index[follower])
    if len(order) < len(names):
        raise CycleError(find_cycle(graph) or ())
    return order


def execution_levels(graph: Graph) -> list[list[str]]:
    """Return the tasks in waves: each needs only tasks of earlier waves."""
    level: dict[str, int] = {}
    for name in topological_order(graph):
        level[name] = 1 + max((level[needed] for needed in _known(graph, name)), default=-1)
    waves: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for name in graph:
        waves[level[name]].append(name)
    return waves


def roots(graph: Graph) -> list[str]:
    """Return the tasks that depend on none."""
    return [name for name in graph if not _known(graph, name)]


def leaves(graph: Graph) -> list[str]:
    """Return the tasks on which none depends."""
    followers = dependents(graph)
    return [name for name in graph if not followers[name]]


def dependents(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return for every task those that depend on it directly."""
    followers: dict[str, list[str]] = {name: [] for name in graph}
    for name in graph:
        for needed in _known(graph, name):
            followers[needed].append(name)
    return {name: tuple(found) for name, found in followers.items()}


def upstream(graph: Graph, names: Iterable[str]) -> frozenset[str]:
    """Return every task that the named ones depend on, directly or not."""
    return _reached(graph, names)


def downstream(graph: Graph, names: Iterable[str]) -> frozenset[str]:
    """Return every task that depends on the named ones, directly or not."""
    return _reached(dependents(graph), names)


def subgraph(graph: Graph, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the graph of the named tasks and all that they depend on."""
    wanted = set(names)
    wanted |= upstream(graph, wanted)
    return {name: tuple(graph[name]) for name in graph if name in wanted}


def can_run_in_parallel(graph: Graph, first: str, second: str) -> bool:
    """Tell whether neither of two different tasks has to wait for the other."""
    if first == second:
        return False
    return second not in upstream(graph, [first]) and first not in upstream(graph, [second])


def _known(graph: Graph, name: str) -> list[str]:
    return [needed for needed in dict.fromkeys(graph[name]) if needed in graph]


def _reached(graph: Graph, names: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [name for name in names if name in graph]
    while waiting:
        new = [near for near in _known(graph, waiting.pop()) if near not in found]
        found.update(new)
        waiting.extend(new)
    return frozenset(found)


def _components(graph: Graph) -> Iterator[set[str]]:
    """Yield the strongly connected components, by Kosaraju's algorithm."""
    followers = dependents(graph)
    assigned: set[str] = set()
    for start in reversed(_leaving_order(graph)):
        if start in assigned:
            continue
        component: set[str] = set()
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name not in assigned:
                assigned.add(name)
                component.add(name)
                waiting.extend(followers[name])
        yield component


def _leaving_order(graph: Graph) -> list[str]:
    """Return all tasks in the order in which a walk, depth first, leaves them."""
    entered: set[str] = set()
    left: list[str] = []
    for start in graph:
        if start in entered:
            continue
        entered.add(start)
        path = [(start, iter(_known(graph, start)))]
        while path:
            name, branches = path[-1]
            needed = next((each for each in branches if each not in entered), None)
            if needed is None:
                left.append(name)
                path.pop()
            else:
                entered.add(needed)
                path.append((needed, iter(_known(graph, needed))))
    return left


def _cycle_from(start: str, graph: Graph, finished: set[str]) -> tuple[str, ...] | None:
    """Walk depth first; `path` holds the tasks entered and not yet left, in order."""
    path: dict[str, Iterator[str]] = {start: iter(_known(graph, start))}
    while path:
        name, branches = next(reversed(path.items()))
        for needed in branches:
            if needed in path:
                entered = list(path)
                return (*entered[entered.index(needed) :], needed)
            if needed not in finished:
                path[needed] = iter(_known(graph, needed))
                break
        else:
            finished.add(name)
            del path[name]
    return None
