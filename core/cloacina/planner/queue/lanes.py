"""Concurrency keys and rates: what this runner holds of them, what others hold, who waits.

Rules it upholds:

* an attempt holds its slot of a key from the moment its start is planned until its end is
  committed; nothing else here can say that a slot is free again;
* what others hold is only what was last read: a slot that is believed free may be refused by the
  database, which alone decides, and whoever was refused learns from what is read then;
* who waits is in nobody's way.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from cloacina.planner.events import Now
from cloacina.planner.queue.claims import Claim, Taken
from cloacina.planner.queue.parking import Parking
from cloacina.planner.queue.slots import Place
from cloacina_sdk.throttle import RateLimit, Throttle


@dataclass(slots=True)
class _Key:
    own: dict[int, str] = field(default_factory=dict)
    foreign: set[int] = field(default_factory=set)
    parking: Parking = field(default_factory=Parking)

    def free_slot(self, limit: int) -> int | None:
        taken = self.own.keys() | self.foreign
        return next((slot for slot in range(limit) if slot not in taken), None)

    def room(self, limit: int) -> int:
        return limit - sum(slot < limit for slot in self.own.keys() | self.foreign)


@dataclass(slots=True)
class _Rate:
    key: str
    limit: RateLimit
    cursor: int = 0
    """No slot below is free."""
    foreign: set[int] = field(default_factory=set)
    parking: Parking = field(default_factory=Parking)
    rings_at_us: int = 0
    """The monotonic time at which somebody looks whether a new window has begun."""

    def window(self, utc_us: int) -> range:
        """Return the slots of the window of a moment."""
        first = utc_us // self.limit.window_us * self.limit.count
        return range(first, first + self.limit.count)

    def free_slot(self, utc_us: int) -> int | None:
        window = self.window(utc_us)
        if self.cursor < window.start or self.cursor > window.stop:  # the clock may be set back
            self.cursor, self.foreign = window.start, set()
        while self.cursor < window.stop and self.cursor in self.foreign:
            self.cursor += 1
        return self.cursor if self.cursor < window.stop else None

    def room(self, utc_us: int) -> int:
        free = self.free_slot(utc_us)
        if free is None:
            return 0
        stop = self.window(utc_us).stop
        return stop - free - sum(free <= slot < stop for slot in self.foreign)


class Lanes:
    """The keys and rates of one runner."""

    def __init__(self) -> None:
        """Begin without any."""
        self._keys: dict[str, _Key] = {}
        self._rates: dict[tuple[str, RateLimit], _Rate] = {}
        self._held: dict[str, Claim] = {}
        self._let_go: dict[int, str] = {}
        """Arrival of a place that a key let go -> the key."""
        self._may_have_room: set[str] = set()
        self._has_freed = False

    @property
    def awaited(self) -> Collection[str]:
        """The keys of which others hold slots, and that tasks here wait for."""
        return [n for n, lane in self._keys.items() if lane.foreign and not lane.parking.is_empty]

    @property
    def held(self) -> Mapping[str, Claim]:
        """What attempts of this runner hold of keys, by token."""
        return self._held

    def take_freed(self) -> bool:
        """Return whether a slot of a key was freed since the last call."""
        has_freed, self._has_freed = self._has_freed, False
        return has_freed

    def came(self, place: Place) -> None:
        """Note that a place is in turn."""
        name = self._let_go.pop(place.arrival, None)
        lane = None if name is None else self._keys.get(name)
        if name is not None and lane is not None:
            lane.parking.came(place)
            self._may_have_room.add(name)
        for rate in self._rates.values():
            rate.parking.came(place)

    def admit(
        self, place: Place, throttle: Throttle, key: str | None, rate_key: str, now: Now
    ) -> Claim | None:
        """Return what the next attempt of a place's task may hold; ``None`` if it has to wait."""
        key_slot = rate_slot = None
        if key is not None:
            lane = self._keys.setdefault(key, _Key())
            key_slot = lane.free_slot(throttle.max_concurrent)
            if key_slot is None:
                lane.parking.park(place, throttle.max_concurrent)
                return None
        if throttle.rate is not None:
            rate = self._rate(rate_key, throttle.rate)
            rate_slot = rate.free_slot(now.utc_us)
            if rate_slot is None:
                rate.parking.park(place, throttle.rate.count)
                return None
        named = rate_key if throttle.rate is not None else None
        return Claim(key=key, key_slot=key_slot, rate_key=named, rate_slot=rate_slot)

    def take(self, token: str, claim: Claim, throttle: Throttle | None) -> None:
        """Note that an attempt holds ``claim`` from now on."""
        if claim.key is not None and claim.key_slot is not None:
            self._keys[claim.key].own[claim.key_slot] = token
            self._held[token] = claim
        limit = None if throttle is None else throttle.rate
        if limit is not None and claim.rate_key is not None and claim.rate_slot is not None:
            self._rate(claim.rate_key, limit).cursor = claim.rate_slot + 1

    def release(self, token: str) -> None:
        """Note that an attempt holds nothing any more, or never did."""
        claim = self._held.pop(token, None)
        if claim is not None and claim.key is not None and claim.key_slot is not None:
            del self._keys[claim.key].own[claim.key_slot]
            self._may_have_room.add(claim.key)
            self._has_freed = True

    def learn(self, taken: Taken) -> None:
        """Take note of what the database holds."""
        for name in taken.question.keys:
            lane = self._keys.setdefault(name, _Key())
            found = taken.keys.get(name, {})
            lane.foreign = {slot for slot, token in found.items() if lane.own.get(slot) != token}
            self._may_have_room.add(name)
        for rate in self._rates.values():
            rate.foreign |= taken.rates.get(rate.key, {}).keys()

    def let_go(self, now: Now) -> Iterator[Place]:
        """Yield the places for which there may be room now."""
        while self._may_have_room:
            name = self._may_have_room.pop()
            lane = self._keys.get(name)
            if lane is None:
                continue
            for limit in lane.parking.limits:
                for place in lane.parking.take_out(limit, lane.room(limit)):
                    self._let_go[place.arrival] = name
                    yield place
            if lane.parking.is_empty and not lane.own and not lane.foreign:
                del self._keys[name]
        for rate in self._rates.values():
            if not rate.parking.is_empty:
                yield from rate.parking.take_out(rate.limit.count, rate.room(now.utc_us))

    def next_windows(self, now: Now) -> Iterator[int]:
        """Yield the monotonic times at which somebody must look whether a new window began."""
        for rate in self._rates.values():
            if not rate.parking.is_empty and rate.rings_at_us <= now.monotonic_us:
                left_us = rate.limit.window_us - now.utc_us % rate.limit.window_us
                rate.rings_at_us = now.monotonic_us + left_us
                yield rate.rings_at_us

    def reprioritise(self, execution_id: str, priority: int) -> None:
        """Move what waits of an execution to where another priority puts it."""
        parkings = [each.parking for each in self._keys.values()]
        for parking in parkings + [each.parking for each in self._rates.values()]:
            parking.reprioritise(execution_id, priority)

    def waits_for(self, execution_id: str, task_number: int) -> tuple[str, str] | None:
        """Return the kind and name of what keeps a task's place here; ``None`` if nothing does."""
        for name, lane in self._keys.items():
            if lane.parking.has(execution_id, task_number):
                return "key", name
        for rate in self._rates.values():
            if rate.parking.has(execution_id, task_number):
                return "rate", f"{rate.key} {rate.limit}"
        return None

    def _rate(self, rate_key: str, limit: RateLimit) -> _Rate:
        return self._rates.setdefault((rate_key, limit), _Rate(rate_key, limit))
