"""What the bodies of tasks that take a handle wait for, one thing after the other."""

from random import Random
from typing import Final

from cloacina.planner.memory import OpenWait
from cloacina_sdk.waiting import Memory, Wait, WaitKind
from simulation.log import require

SECOND: Final = 1_000_000
BEGINNING_US: Final = 1_800_000_000 * SECOND
"""What wall clocks show when a simulation begins, unless they are set otherwise."""
EVENTS: Final = ("go", "stop")
CONDITIONS: Final = ("early", "late", "shaky", "unheard of")
"""The last one is registered nowhere while faults strike."""

Script = tuple[Wait, ...]


def draw_script(dice: Random) -> Script:
    """Draw what a body waits for."""
    return tuple(_wait(dice) for _ in range(dice.choice((0, 1, 1, 2, 3))))


def wait_at(script: Script, place: int, utc_us: int) -> Wait:
    """Return what a body that has passed ``place`` waits waits for; moments are told from now."""
    wait = script[place]
    return wait if wait.until_us is None else Wait.until(utc_us - 5 * SECOND + wait.until_us)


def check_memory(script: Script, memory: Memory) -> None:
    """A body is told of the waits that it came to, in their order."""
    told = [(wait.kind, wait.name) for wait in memory.waits]
    expected = [(wait.kind, wait.name) for wait in script[: len(told)]]
    require(told == expected, f"a body is told of {told}, and waited for {expected}")


def describes(wait: Wait, found: OpenWait) -> bool:
    """Whether a stored wait is what a body asked for."""
    longest_us = None
    if wait.delay_ms is not None or wait.timeout_ms is not None:
        longest_us = (wait.delay_ms or wait.timeout_ms or 0) * 1000
    if wait.until_us is not None and found.until_us != wait.until_us:
        return False
    is_as_long = wait.until_us is not None or found.longest_us == longest_us
    return (wait.kind, wait.name) == (found.kind, found.name) and is_as_long


def _wait(dice: Random) -> Wait:
    kind = dice.choice(tuple(WaitKind))
    if kind is WaitKind.TIME:
        if dice.random() < 0.3:
            return Wait.until(dice.randrange(30 * SECOND))
        return Wait.delay(dice.choice((0, 1, 500, 5_000, 30_000)))
    timeout_ms = dice.choice((None, None, 0, 2_000, 20_000))
    if kind is WaitKind.EVENT:
        return Wait.event(dice.choice(EVENTS), timeout_ms=timeout_ms)
    poll_ms = dice.choice((200, 1_000, 7_000))
    return Wait.condition(dice.choice(CONDITIONS), poll_ms=poll_ms, timeout_ms=timeout_ms)
