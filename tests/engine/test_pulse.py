"""The thread that keeps a runner's lease, on a line that the test holds the other end of."""

import os
import threading
from collections.abc import Callable

from cloacina.errors import StoreUnavailableError
from cloacina.ownership.pulse import HELLO, LOOK, TELL_ME, LeaseTimes, Pulse

RARELY = LeaseTimes(lease_s=600, heartbeat_s=200, poll_s=200)


class End:
    """A line of which the test sees what is rung, and says what is heard."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        self._changed = threading.Condition()
        self._heard: set[str] = set()
        self.rung: list[str] = []
        self.fails = 0
        self.before_ring: Callable[[str], None] = lambda _why: None

    def fileno(self) -> int:
        return self._reading

    def renew(self) -> bool:
        if self.fails:
            self.fails -= 1
            raise StoreUnavailableError("broken")
        return True

    def ring(self, why: str) -> None:
        self.before_ring(why)
        with self._changed:
            self.rung.append(why)
            self._changed.notify_all()

    def heard(self) -> set[str]:
        with self._changed:
            heard, self._heard = self._heard, set()
            if heard:
                os.read(self._reading, 1)
            return heard

    def close(self) -> None: ...

    def say(self, why: str) -> None:
        with self._changed:
            self._heard = {why}
            os.write(self._writing, b".")

    def wait_for(self, *rung: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.rung == list(rung), 10), self.rung

    def hang_up(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


def test_what_is_wanted_before_the_end_is_rung() -> None:
    end = End()
    pulse = Pulse(lambda: end, RARELY, lambda: None)
    end.wait_for(HELLO)
    is_ringing = threading.Event()

    def wait_for_the_end(_why: str) -> None:
        is_ringing.set()
        assert pulse._closing.wait(10)

    end.before_ring = wait_for_the_end
    pulse.ring(TELL_ME)
    assert is_ringing.wait(10)
    pulse.ring(LOOK)
    pulse.close()
    assert end.rung == [HELLO, TELL_ME, LOOK]
    end.hang_up()


def test_who_waits_is_told_by_those_who_come_later_and_by_those_who_ended_before() -> None:
    waiting, working = End(), End()
    noticed = threading.Event()
    waiter = Pulse(lambda: waiting, RARELY, noticed.set)
    worker = Pulse(lambda: working, RARELY, lambda: None)
    working.wait_for(HELLO)
    worker.tell_of_ends()  # nobody asked: nothing is rung
    waiter.ask_for_ends()
    waiting.wait_for(HELLO, TELL_ME)
    working.say(TELL_ME)
    working.wait_for(HELLO, LOOK)  # what ended before
    worker.tell_of_ends()
    working.wait_for(HELLO, LOOK, LOOK)
    waiting.say(HELLO)
    waiting.wait_for(HELLO, TELL_ME, TELL_ME)
    noticed.clear()
    waiting.say(LOOK)
    assert noticed.wait(10)
    waiter.close()
    worker.close()
    waiting.hang_up()
    working.hang_up()


def test_a_line_that_breaks_is_opened_again_and_asks_again() -> None:
    end = End()
    end.fails = 2
    pulse = Pulse(lambda: end, RARELY, lambda: None)
    end.wait_for(HELLO, HELLO, HELLO)
    pulse.close()
    end.hang_up()
