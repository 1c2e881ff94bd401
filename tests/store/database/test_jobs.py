"""Jobs: lost by no crash, their effect had once."""

import pytest
import sqlalchemy as sa

from instructloop.errors import DataError
from instructloop.store.database import schema
from instructloop.store.database.jobs import JobLost, cancel_job, claim, enqueue, fail_job, finish_job, list_jobs, read_job, renew_job
from instructloop.store.database.models import NewModel
from store_world import World


def test_the_same_key_is_the_same_job_and_each_is_claimed_once(world: World) -> None:
    first = enqueue(world.store, None, "sample", {"model": "m"}, key="k")
    assert enqueue(world.store, None, "sample", {"model": "m"}, key="k") == first
    enqueue(world.store, None, "freeze", {}, key="other")
    job = claim(world.store, "w1", ["sample"])
    assert job is not None
    assert (job.id, job.state, job.attempts) == (first.id, "running", 1)
    assert claim(world.store, "w2", ["sample"]) is None
    finish_job(world.store, job, {"answers": 3})
    assert (read_job(world.store, job.id).state, read_job(world.store, job.id).result) == ("done", {"answers": 3})
    assert claim(world.store, "w2", ["sample"]) is None


def test_a_dead_workers_job_is_taken_up_and_its_effect_had_once(world: World) -> None:
    enqueue(world.store, None, "sample", {}, key="k")

    def effect(connection: sa.Connection) -> None:
        values = {"id": "effect", "name": "made by the job", "place": "p", "parents": {}, "snapshots": {}, "created_at": world.clock()}
        connection.execute(sa.insert(schema.models).values(**values, visible=True, chosen=False))

    slow = claim(world.store, "slow", ["sample"], seconds=30)
    assert slow is not None
    world.clock.move(seconds=20)
    renew_job(world.store, slow, seconds=30)
    world.clock.move(seconds=20)
    assert claim(world.store, "other", ["sample"]) is None
    world.clock.move(seconds=11)
    other = claim(world.store, "other", ["sample"])
    assert other is not None
    for act in (lambda: renew_job(world.store, slow), lambda: finish_job(world.store, slow, effect=effect), lambda: fail_job(world.store, slow, "x")):
        with pytest.raises(JobLost):
            act()
    finish_job(world.store, other, effect=effect)
    with pytest.raises(JobLost):
        finish_job(world.store, other, effect=effect)
    with world.store.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.models)).scalar() == 1


def test_an_effect_that_fails_leaves_the_job_unfinished(world: World) -> None:
    enqueue(world.store, None, "sample", {}, key="k")
    job = claim(world.store, "w", ["sample"])
    assert job is not None

    def effect(connection: sa.Connection) -> None:
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        finish_job(world.store, job, effect=effect)
    assert read_job(world.store, job.id).state == "running"


def test_a_job_fails_after_its_last_attempt_whether_it_errs_or_kills_its_worker(world: World) -> None:
    enqueue(world.store, None, "sample", {}, key="erring", most_attempts=2)
    for attempt in (1, 2):
        job = claim(world.store, "w", ["sample"])
        assert job is not None
        assert job.attempts == attempt
        fail_job(world.store, job, "no such model")
    assert (read_job(world.store, job.id).state, read_job(world.store, job.id).error) == ("failed", "no such model")
    enqueue(world.store, None, "sample", {}, key="deadly", most_attempts=2)
    for _ in (1, 2):
        assert claim(world.store, "w", ["sample"], seconds=10) is not None
        world.clock.move(seconds=11)
    assert claim(world.store, "w", ["sample"]) is None
    assert {job.key: job.state for job in list_jobs(world.store, world.lead)} == {"erring": "failed", "deadly": "failed"}


def test_a_cancelled_job_is_nobodys(world: World) -> None:
    enqueue(world.store, None, "sample", {}, key="k")
    job = claim(world.store, "w", ["sample"])
    assert job is not None
    cancel_job(world.store, world.lead, job.id)
    with pytest.raises(JobLost):
        finish_job(world.store, job)


def test_payloads_are_json(world: World) -> None:
    with pytest.raises(DataError):
        enqueue(world.store, None, "sample", {"model": NewModel}, key="k")
