"""What runs while processes are killed: some workflows, and what each must come to.

Each body writes to the side file when it begins and when it ends, and works for a moment between.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from cloacina import Context, WorkflowBuilder, task
from crash.side_file import SideFile

WIDTH: Final = 6
ELEMENTS: Final = 10
_WORK: Final = 20_000
_PATIENT: Final = 20
"""Attempts of a task that fails once in every process that runs it."""

Body = Callable[[Context], None]


def define(side: SideFile) -> None:
    """Define all workflows; their bodies write to ``side``."""
    _define_chain(side)
    _define_fan(side)
    _define_mapped(side)
    _define_stubborn(side)
    _define_limited(side)
    _define_coroutines(side)


SHAPES: Final = ("chain", "fan", "mapped", "stubborn", "limited", "coroutines")


def shape_of(run: int) -> str:
    """Return the workflow of a run."""
    return SHAPES[run % len(SHAPES)]


def expected(run: int) -> object:
    """Return what a run's final context must hold under ``"result"``."""
    match shape_of(run):
        case "chain":
            return run + 3
        case "fan":
            return sum(run + place for place in range(WIDTH))
        case "mapped":
            return [(run + place) ** 2 for place in range(ELEMENTS)]
        case "coroutines":
            return run + 2
        case _:
            return run + 1


def _define_chain(side: SideFile) -> None:
    with WorkflowBuilder("chain"):
        for place, before in (("first", []), ("second", ["first"]), ("third", ["second"])):
            task(id=place, dependencies=list(before), retry_attempts=1)(_adding(side, place))


def _adding(side: SideFile, name: str) -> Body:
    def body(context: Context) -> None:
        with side.body(_number(context, "run"), name):
            before = _number(context, "result" if "result" in context else "run")
            context["result"] = _work(before) + 1

    return body


def _define_fan(side: SideFile) -> None:
    with WorkflowBuilder("fan"):

        @task(retry_attempts=1)
        def root(context: Context) -> None:
            with side.body(_number(context, "run"), "root"):
                _work(0)

        def branch(place: int) -> Body:
            def body(context: Context) -> None:
                with side.body(_number(context, "run"), f"branch{place}"):
                    context[f"part{place}"] = _work(_number(context, "run")) + place

            return body

        names = [f"branch{place}" for place in range(WIDTH)]
        for place, name in enumerate(names):
            task(id=name, dependencies=["root"], retry_attempts=1)(branch(place))

        @task(dependencies=list(names), retry_attempts=1)
        def join(context: Context) -> None:
            with side.body(_number(context, "run"), "join"):
                context["result"] = sum(_number(context, f"part{place}") for place in range(WIDTH))


def _define_mapped(side: SideFile) -> None:
    with WorkflowBuilder("mapped"):

        @task(retry_attempts=1)
        def spread(context: Context) -> None:
            with side.body(_number(context, "run"), "spread"):
                first = _number(context, "run")
                context["items"] = [first + place for place in range(ELEMENTS)]

        @task(dependencies=[spread], map_over="items", map_into="result", max_parallel=3)
        def square(context: Context, item: int) -> int:
            with side.body(_number(context, "run"), "square", item - _number(context, "run")):
                return _work(item) ** 2


def _define_stubborn(side: SideFile) -> None:
    refused: set[int] = set()
    with WorkflowBuilder("stubborn"):

        @task(retry_attempts=_PATIENT, retry_delay_ms=5)
        def refuse(context: Context) -> None:
            run = _number(context, "run")
            with side.body(run, "refuse"):
                if run not in refused:
                    refused.add(run)
                    raise ConnectionError("once in every process")
                context["result"] = _work(run) + 1


def _define_limited(side: SideFile) -> None:
    with WorkflowBuilder("limited"):

        @task(concurrency_key="narrow", max_concurrent=2, retry_attempts=1)
        def squeeze(context: Context) -> None:
            with side.body(_number(context, "run"), "squeeze"):
                context["result"] = _work(_number(context, "run")) + 1


def _define_coroutines(side: SideFile) -> None:
    with WorkflowBuilder("coroutines"):

        @task(retry_attempts=1)
        async def ask(context: Context) -> None:
            with side.body(_number(context, "run"), "ask"):
                await asyncio.sleep(0.002)
                context["result"] = _number(context, "run") + 1

        @task(dependencies=[ask], retry_attempts=1)
        async def answer(context: Context) -> None:
            with side.body(_number(context, "run"), "answer"):
                await asyncio.sleep(0.002)
                context["result"] = _number(context, "result") + 1


def _work(value: int) -> int:
    """Spend about a millisecond; return ``value``."""
    sum(range(_WORK))
    return value


def _number(context: Context, key: str) -> int:
    value = context[key]
    assert isinstance(value, int)
    return value
