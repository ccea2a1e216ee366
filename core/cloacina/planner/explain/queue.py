"""Say why a task does not start of which all that comes before is done: slots, keys, rates."""

from cloacina.model.explanation import Explanation, Reason
from cloacina.model.states import SubStatus
from cloacina.planner.events import StoredTask
from cloacina.planner.explain.facts import Facts
from cloacina.planner.queue.standing import InQueue, Standing


def explain_ready(facts: Facts, task: StoredTask) -> Explanation:
    """Say what keeps a task or an element waiting that is ready."""
    name, standing = facts.name(task.number), facts.standing
    if task.sub_status == SubStatus.OFFERED:
        return Explanation(
            reason=Reason.OFFERED,
            sentence=(
                f"task {name!r} is ready and on offer to all runners, as {facts.owner} has no free "
                "slot for it"
            ),
            unblock="it starts on whichever runner that knows it has a free slot first",
            task=name,
        )
    limit = facts.limit_of(task)
    if standing is not None and standing.is_closing:
        return Explanation(
            reason=Reason.SHUTTING_DOWN,
            sentence=f"task {name!r} is ready, but its runner is being shut down",
            unblock="the next runner goes on with it",
            task=name,
        )
    if limit is not None:
        return _limited(name, *limit)
    if standing is None:
        return Explanation(
            reason=Reason.OWNER_ELSEWHERE,
            sentence=f"task {name!r} is ready and waits for a free slot of {facts.owner}",
            unblock="it starts when that runner has one; ask there for more",
            task=name,
        )
    place = standing.queue.get(task.number)
    if place is not None:
        found = _in_queue(name, standing, place)
        if found is not None:
            return found
    return Explanation(
        reason=Reason.STARTING,
        sentence=f"task {name!r} is ready and about to start",
        unblock="nothing stands in its way",
        task=name,
    )


def _limited(name: str, kind: str, limit: str) -> Explanation:
    if kind == "key":
        return Explanation(
            reason=Reason.CONCURRENCY_KEY,
            sentence=f"task {name!r} is ready, but all slots of concurrency key {limit!r} are taken",
            unblock="it starts when an attempt that holds a slot of that key ends, here or elsewhere",
            task=name,
        )
    return Explanation(
        reason=Reason.RATE,
        sentence=f"task {name!r} is ready, but as many have started as rate limit {limit!r} allows",
        unblock="it starts when the next window of that rate begins",
        task=name,
    )


def explain_unparked(facts: Facts, task: StoredTask) -> Explanation | None:
    """Say what a body waits for that was parked, and could go on."""
    standing = facts.standing
    place = None if standing is None else standing.queue.get(task.number)
    if standing is None or place is None:
        return None
    return _in_queue(facts.name(task.number), standing, place)


def _in_queue(name: str, standing: Standing, place: InQueue) -> Explanation | None:
    if not place.has_room and standing.free_slots:
        return Explanation(
            reason=Reason.POOL,
            sentence=f"task {name!r} is ready, but executor {place.pool!r} runs all it can",
            unblock="it starts when one of the attempts there ends",
            task=name,
        )
    if standing.free_slots:
        return None
    if place.preferred:
        return Explanation(
            reason=Reason.PRIORITY,
            sentence=(
                f"task {name!r} is ready, all slots are taken, and {place.preferred} tasks of "
                "executions of higher priority come first"
            ),
            unblock="raise its priority, or wait until those have started",
            task=name,
        )
    return Explanation(
        reason=Reason.SLOT,
        sentence=(
            f"task {name!r} is ready, but all slots of its runner are taken, and {place.ahead} "
            "tasks come before it"
        ),
        unblock="it starts when attempts end; max_concurrent_tasks, or another runner, adds slots",
        task=name,
    )
