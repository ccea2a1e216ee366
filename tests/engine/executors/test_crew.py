"""Threads that take work in turn, and those of them that do not count."""

import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from cloacina.executors.crew import Crew, Stand
from cloacina_sdk.asking import Checkpoint, Park, Reply, Unpark
from engine.executors.gate import DEADLINE_S

Work = Callable[[], None]


class Job:
    """Work that says on which thread it began, and goes on when told to."""

    def __init__(self) -> None:
        self._began: queue.Queue[threading.Thread] = queue.Queue()
        self._release = threading.Event()

    def __call__(self) -> None:
        self._began.put(threading.current_thread())
        assert self._release.wait(DEADLINE_S)

    def thread(self) -> threading.Thread:
        return self._began.get(timeout=DEADLINE_S)

    def has_begun(self) -> bool:
        return not self._began.empty()

    def let_go(self) -> None:
        self._release.set()


def labour(works: Iterator[Work]) -> None:
    for work in works:
        work()


@pytest.fixture
def crew() -> Iterator[Crew[Work]]:
    made = Crew("crew", 1, labour)
    yield made
    made.close()
    made.join(DEADLINE_S, parked=True)


def test_what_is_beyond_its_size_waits_in_order(crew: Crew[Work]) -> None:
    first, second, third = jobs = Job(), Job(), Job()
    for job in jobs:
        crew.put(job)
    thread = first.thread()
    assert not second.has_begun()
    for job in jobs:
        job.let_go()
    assert second.thread() is third.thread() is thread


def test_the_place_of_a_parked_thread_is_taken_and_one_goes_when_it_is_back(
    crew: Crew[Work],
) -> None:
    parked, other, last = Job(), Job(), Job()
    crew.put(parked)
    crew.put(other)
    first = parked.thread()
    crew.park(first)
    second = other.thread()
    assert second is not first
    crew.unpark(first)
    other.let_go()
    second.join(DEADLINE_S)
    assert not second.is_alive()
    crew.put(last)
    assert not last.has_begun()
    parked.let_go()
    last.let_go()
    assert last.thread() is first


def test_an_idle_thread_goes_when_another_one_is_back(crew: Crew[Work]) -> None:
    parked, other = Job(), Job()
    crew.put(parked)
    first = parked.thread()
    crew.park(first)
    crew.put(other)
    second = other.thread()
    other.let_go()
    crew.unpark(first)
    second.join(DEADLINE_S)
    assert not second.is_alive()
    parked.let_go()


def test_a_parked_thread_counts_again_with_its_next_work(crew: Crew[Work]) -> None:
    parked, after, beside = Job(), Job(), Job()
    crew.put(parked)
    crew.park(parked.thread())
    parked.let_go()
    crew.put(after)
    after.thread()
    crew.put(beside)
    assert not beside.has_begun()
    after.let_go()
    beside.thread()
    beside.let_go()


def test_closing_leaves_nothing_undone_and_does_not_wait_for_what_is_parked() -> None:
    crew = Crew("crew", 1, labour)
    parked, other = Job(), Job()
    crew.put(parked)
    thread = parked.thread()
    crew.park(thread)
    crew.put(other)
    crew.close()
    other.let_go()
    crew.join(DEADLINE_S, parked=False)
    assert other.has_begun()
    assert thread.is_alive()
    parked.let_go()
    crew.join(DEADLINE_S, parked=True)
    assert not thread.is_alive()


def test_labour_that_breaks_costs_one_thread(crew: Crew[Work]) -> None:
    def breaks() -> None:
        raise ValueError

    hook, threading.excepthook = threading.excepthook, lambda _arguments: None
    try:
        crew.put(breaks)
        job = Job()
        job.let_go()
        crew.put(job)
        job.thread()
    finally:
        threading.excepthook = hook


def test_a_stand_follows_the_first_answer_while_the_attempt_runs(crew: Crew[Work]) -> None:
    told: list[Reply] = []
    stands: queue.Queue[tuple[Stand, Callable[[Reply], None]]] = queue.Queue()
    job, other, third = Job(), Job(), Job()

    def work() -> None:
        stand = Stand(crew)
        stands.put((stand, stand.following(Park(), told.append)))
        stands.put((stand, stand.following(Unpark(), told.append)))
        stands.put((stand, stand.following(Checkpoint(text="1"), told.append)))
        job()

    crew.put(work)
    crew.put(other)
    job.thread()
    stand, park = stands.get()
    _, unpark = stands.get()
    _, keep = stands.get()
    keep(Reply.DONE)
    assert not other.has_begun()
    park(Reply.DONE)
    other.thread()
    unpark(Reply.DONE)
    park(Reply.DONE)  # once more, and too late
    stand.leave()
    crew.put(third)
    other.let_go()
    assert not third.has_begun()
    assert told == [Reply.DONE] * 3
    unpark(Reply.DONE)
    job.let_go()
    third.thread()
    third.let_go()
