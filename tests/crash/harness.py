"""One round: processes that share a database, killed at random instants and started again."""

import multiprocessing
import random
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloacina import DefaultRunner, Runtime
from crash import history, side_file
from crash.checker import problems
from crash.target import Share, work
from engine.databases import Where

PATIENCE_S: Final = 60.0
_LONGEST_LIFE_S: Final = 0.4
_EXPECTED: Final = ("took over from runners that are silent",)
"""What a runner may write of the deaths of others."""

_PROCESSES: Final = multiprocessing.get_context("forkserver")
# what takes longest to import is there already in every process
_PROCESSES.set_forkserver_preload(["cloacina.runner.runner", "sqlalchemy", "psycopg", "asyncio"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A round.

    Attributes:
        seed: decides who dies when.
        processes: how many share the database.
        kills: how many of them are killed, one after the other.
        runs: how many executions each submits.
        restart: restarts the server, once, instead of killing.
    """

    seed: int
    processes: int
    kills: int = 3
    runs: int = 12
    restart: Callable[[], None] | None = None


class _Target:
    """One place for a process, and the one that has it now."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self.begin()

    def begin(self) -> None:
        self._connection, theirs = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=work, args=(self._share, theirs))
        self._process.start()
        theirs.close()

    def await_word(self, word: str) -> None:
        """Wait until the process says it.

        Raises:
            AssertionError: if it does not come to that, with what it wrote last.
        """
        with suppress(EOFError):
            while self._connection.poll(PATIENCE_S):
                if self._connection.recv() == word:
                    return
        wrote = self._share.errors.read_text()[-4000:] if self._share.errors.exists() else ""
        raise AssertionError(f"a process did not come to {word!r}:\n{wrote}")

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def end(self) -> None:
        """Let the process leave, and wait until it has."""
        self._connection.close()
        self._process.join(PATIENCE_S)
        assert self._process.exitcode == 0, f"a process ended with {self._process.exitcode}"


def run(plan: Plan, where: Where, directory: Path) -> list[str]:
    """Carry out a round in a new database and an empty directory; return what is wrong."""
    side, errors = directory / "side", directory / "errors"
    shares = [
        Share(
            where=where,
            side=side,
            errors=errors,
            runs=range(place * plan.runs, (place + 1) * plan.runs),
        )
        for place in range(plan.processes)
    ]
    with ExitStack() as stack:
        targets = [_Target(share) for share in shares]
        for target in targets:
            stack.callback(target.kill)
        _disturb(plan, targets)
        for target in targets:
            target.await_word("done")
        for target in targets:
            target.end()
        stack.pop_all()
    return [
        *problems(side_file.read(side), history.read(where), _results(where)),
        *_unexpected(errors, is_server_restarted=plan.restart is not None),
    ]


def _disturb(plan: Plan, targets: list[_Target]) -> None:
    dice = random.Random(plan.seed)  # noqa: S311 - a choice, not a secret
    if plan.restart is not None:
        for target in targets:
            target.await_word("began")
        time.sleep(dice.uniform(0, _LONGEST_LIFE_S))
        plan.restart()
        return
    for _ in range(plan.kills):
        victim = dice.choice(targets)
        time.sleep(dice.uniform(0, _LONGEST_LIFE_S))
        victim.kill()
        victim.begin()


def _results(where: Where) -> dict[int, object]:
    """Return what every final context holds, by run."""
    with DefaultRunner(where.url, runtime=Runtime()) as runner:
        executions = [runner.execution(e.execution_id) for e in runner.executions(limit=1000)]
    return {int(str(e.input_context["run"])): e.final_context.get("result") for e in executions}


def _unexpected(errors: Path, *, is_server_restarted: bool) -> list[str]:
    lines = errors.read_text().splitlines() if errors.exists() else []
    if is_server_restarted:  # they tell of the server in many words
        strange = [line for line in lines if "Traceback" in line or "error ignored" in line]
    else:
        strange = [line for line in lines if not any(words in line for words in _EXPECTED)]
    return [f"a process wrote: {line}" for line in strange]
