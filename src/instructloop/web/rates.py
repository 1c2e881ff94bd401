"""How often is too often: sliding windows per name, in memory. One process serves a site, so memory is enough."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from threading import Lock

MAX_NAMES = 10_000
"""Names remembered; the one unused longest is forgotten first, so that a flood of names cannot fill the memory."""


class RateLimit:
    """At most `limit` events of one name within `window` seconds."""

    def __init__(self, limit: int, window: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.window, self._clock = limit, window, clock
        self._events: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def take(self, name: str, cost: int = 1) -> float:
        """Count `cost` events if they are allowed and return 0, else the seconds to wait."""
        with self._lock:
            events = self._recent(name)
            wait = self._wait(events, cost)
            if wait == 0:
                events.extend([self._clock()] * cost)
            return wait

    def give_back(self, name: str) -> None:
        """Uncount the latest event: it turned out to be none of those that are limited."""
        with self._lock:
            if events := self._recent(name):
                events.pop()

    def _recent(self, name: str) -> deque[float]:
        events = self._events.setdefault(name, deque())
        self._events.move_to_end(name)
        while events and events[0] <= self._clock() - self.window:
            events.popleft()
        if len(self._events) > MAX_NAMES:
            self._events.popitem(last=False)
        return events

    def _wait(self, events: deque[float], cost: int) -> float:
        excess = len(events) + cost - self.limit
        if excess <= 0:
            return 0.0
        oldest = events[min(excess, len(events)) - 1] if events else self._clock()
        return max(0.001, oldest + self.window - self._clock())
