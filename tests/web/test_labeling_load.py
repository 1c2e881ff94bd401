"""Many labelers at once over HTTP, on both databases, and a server that is killed: what was acknowledged is there, once, no task has too many."""

import random
import signal
import threading
import time
from collections.abc import Sequence

import pytest
from argon2 import PasswordHasher

from instructloop.store.database import tokens
from instructloop.store.database.opening import open_store
from store_world import PlaceMaker, empty_sqlite, new_place, place, postgres, postgres_stores
from web.crowd import PASSWORD, gather, lost_and_doubled
from web.load import Person, Tally, label
from web.site_process import free_port, serving

__all__ = ["PlaceMaker", "empty_sqlite", "new_place", "place", "postgres", "postgres_stores"]


def at_work(port: int, queue: str, names: Sequence[str], tally: Tally, *, seconds: float, thinking: float) -> list[threading.Thread]:
    until = time.monotonic() + seconds
    people = [Person(port, name, PASSWORD, tally) for name in names]
    work = [
        threading.Thread(target=label, args=(person, queue), kwargs={"until": until, "thinking": thinking, "seed": seed})
        for seed, person in enumerate(people)
    ]
    for thread in work:
        thread.start()
    return work


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_labelers_and_a_server_killed_twenty_times(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    store = open_store(place)
    queue, names, _ = gather(store, labelers=20, users=0, tasks=400, overlap=3)
    port, tally, moments = free_port(), Tally(), random.Random(0)
    work: list[threading.Thread] = []
    for kill in range(20):
        with serving(place, port) as process:
            if not work:
                work = at_work(port, queue.id, names, tally, seconds=150, thinking=0.6)
            time.sleep(moments.uniform(0.3, 1.5))
            assert process.poll() is None, kill
            process.send_signal(signal.SIGKILL)
    with serving(place, port):
        for thread in work:
            thread.join()
    assert tally.failures == []
    assert tally.hung_up >= 20
    assert len(tally.acknowledged) > 100
    assert lost_and_doubled(store, list(tally.acknowledged)) == (0, 0, 0)
    print(f"{store.engine.dialect.name}: {len(tally.acknowledged)} submissions, {tally.hung_up} times without a server")
    store.close()


@pytest.mark.slow
def test_four_labelers_and_a_server_killed_once(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    store = open_store(place)
    queue, names, _ = gather(store, labelers=4, users=0, tasks=20, overlap=2)
    port, tally = free_port(), Tally()
    with serving(place, port) as process:
        work = at_work(port, queue.id, names, tally, seconds=60, thinking=0.1)
        time.sleep(1.0)
        process.send_signal(signal.SIGKILL)
    with serving(place, port):
        for thread in work:
            thread.join()
    assert tally.failures == []
    assert len(tally.acknowledged) == 40
    assert lost_and_doubled(store, list(tally.acknowledged)) == (0, 0, 0)
    store.close()
