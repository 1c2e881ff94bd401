"""What a running site holds: the store, the models, the limits, and what is said once."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from fastapi import Request

from instructloop.protocols import Completer
from instructloop.store.database.opening import Store
from instructloop.web.exporting import Exports
from instructloop.web.generation import Answers
from instructloop.web.keeping import Keeping
from instructloop.web.rates import RateLimit
from instructloop.web.settings import SiteSettings

MINUTE = 60.0
NOTE_SECONDS = 300.0
MOST_NOTES = 1000


class Notes:
    """What the next page of one session says once: "the password is changed", a new key. In memory, since some of it is secret."""

    def __init__(self) -> None:
        self._notes: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def leave(self, session_id: str, **note: Any) -> None:
        """Leave a note for the next page of the session; it is forgotten after five minutes."""
        with self._lock:
            self._notes[session_id] = (time.monotonic(), note)
            while len(self._notes) > MOST_NOTES:
                self._notes.popitem(last=False)

    def take(self, session_id: str) -> dict[str, Any]:
        """The note, which is then gone; empty if there is none."""
        with self._lock:
            left_at, note = self._notes.pop(session_id, (0.0, {}))
        return note if time.monotonic() - left_at < NOTE_SECONDS else {}


@dataclass(frozen=True, kw_only=True)
class Site:
    """One site; handlers get it from `site_of(request)`."""

    store: Store
    completers: Mapping[str, Completer]
    settings: SiteSettings
    answers: Answers
    failures: RateLimit
    """Wrong passwords for one name from one address."""
    failures_by_address: RateLimit
    failures_by_name: RateLimit
    """From everywhere together: so many that nobody can keep somebody else out from one address."""
    asked: RateLimit
    notes: Notes = field(default_factory=Notes)
    keeping: Keeping = field(default_factory=Keeping)
    exports: Exports = field(default_factory=Exports)
    started: int = field(default_factory=lambda: int(time.time()))


def new_site(store: Store, completers: Mapping[str, Completer], settings: SiteSettings) -> Site:
    """A site with its limits at their beginning."""
    return Site(
        store=store,
        completers=completers,
        settings=settings,
        answers=Answers(settings.max_running),
        failures=RateLimit(settings.login_failures, settings.login_window),
        failures_by_address=RateLimit(4 * settings.login_failures, settings.login_window),
        failures_by_name=RateLimit(20 * settings.login_failures, settings.login_window),
        asked=RateLimit(settings.answers_per_minute, MINUTE),
    )


def site_of(request: Request) -> Site:
    """The site that a request came to."""
    return cast(Site, request.app.state.site)


def new_seed() -> int:
    """A seed for those who give none."""
    return secrets.randbelow(1 << 31)
