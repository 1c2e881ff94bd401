"""A labeler's own day: what is left for them, what they have done."""

import pytest

from instructloop.errors import AccessDenied, NotFound
from instructloop.store.database.kinds import skip_reason
from instructloop.store.database.leases import lease_next, skip
from instructloop.store.database.own_work import own_queues, own_work
from instructloop.store.database.queues import acknowledge_guide, publish_guide, qualify, read_queue
from instructloop.store.database.submissions import revise, submit
from instructloop.store.database.tasks import NewTask, add_tasks
from store.database.filled import take
from store_world import World, ranking_body


def left(world: World, name: str = "the labeler") -> list[tuple[int, int, int]]:
    return [(one.left, one.held, one.submitted) for one in own_queues(world.store, world.person("labeler", name))]


def test_what_is_left_is_what_would_be_given(world: World) -> None:
    queue = world.queue(overlap=1)
    world.rankings(queue, 4)
    assert left(world) == [(4, 0, 0)]
    first = take(world, world.labeler, queue)
    assert left(world) == [(3, 1, 0)]
    submit(world.store, world.labeler, first.id, ranking_body(first.shown), key="1")
    skip(world.store, world.labeler, take(world, world.labeler, queue).id, skip_reason("unclear"))
    assert left(world) == [(2, 0, 1)]
    assert left(world, "another") == [(3, 0, 0)], "what was skipped is still there for others"
    taken = 0
    while (lease := lease_next(world.store, world.labeler, queue.id)) is not None:
        submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key=lease.id)
        taken += 1
    assert taken == 2
    assert left(world) == [(0, 0, 3)]


def test_no_count_tells_gold_tasks_apart(world: World) -> None:
    queue = world.queue(overlap=1, gold_rate=1.0)
    world.rankings(queue, 2)
    prompt = world.prompt()
    demonstrating = world.queue("demonstration", gold_rate=1.0)
    add_tasks(world.store, world.lead, demonstrating.id, [NewTask(prompt_id=prompt, gold={"text": "x"})])
    assert {one.queue.kind: one.left for one in own_queues(world.store, world.labeler)} == {"ranking": 2, "demonstration": 0}


def test_a_new_guide_is_told(world: World) -> None:
    guide = publish_guide(world.store, world.lead, name="g", mode="training", text="x")
    world.queue(guide_id=guide.id)
    assert [one.guide for one in own_queues(world.store, world.labeler)] == [guide]
    acknowledge_guide(world.store, world.labeler, guide.id)
    assert [one.guide for one in own_queues(world.store, world.labeler)] == [None]


def test_queues_that_need_a_qualification_are_not_there_without_it(world: World) -> None:
    queue = world.queue(needs_qualification=True)
    assert left(world) == []
    with pytest.raises(NotFound):
        read_queue(world.store, world.labeler, queue.id)
    qualify(world.store, world.lead, queue.id, world.labeler.id)
    assert read_queue(world.store, world.labeler, queue.id).id == queue.id
    assert left(world) == [(0, 0, 0)]


def test_own_work_stands_once_as_it_is_now_and_is_nobody_else_s(world: World) -> None:
    queue = world.queue(overlap=2, revise_seconds=60)
    world.rankings(queue, 2)
    for key in ("1", "2"):
        lease = take(world, world.labeler, queue)
        last = submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key=key)
        world.clock.move(seconds=10)
    again = revise(world.store, world.labeler, last.id, ranking_body(lease.shown, groups=[list(lease.shown)]), key="3")
    found = own_work(world.store, world.labeler)
    assert [(one.submission_id == again.id, one.is_revision) for one in found] == [(True, True), (False, False)]
    assert {one.excerpt for one in found} == {"Prompt number 2", "Prompt number 3"}
    assert (found[0].revisable_until - found[0].at).total_seconds() == 60
    assert own_work(world.store, world.labeler, before=found[0].at) == found[1:]
    assert own_work(world.store, world.person("labeler", "another")) == []
    with pytest.raises(AccessDenied):
        own_work(world.store, world.person("playground"))
