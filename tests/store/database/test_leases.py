"""Leases: who is given what, and what becomes of it."""

import pytest

from instructloop.errors import AccessDenied, Conflict, NotFound
from instructloop.store.database.drafts import StaleDraft, read_draft, save_draft
from instructloop.store.database.leases import (
    LeaseLost,
    free,
    held_leases,
    lease_next,
    list_leases,
    release,
    renew,
    skip,
    skip_reasons,
)
from instructloop.store.database.queues import GuideUnread, QueueSettings, acknowledge_guide, change_queue, publish_guide, qualify
from instructloop.store.database.submissions import submit
from instructloop.store.database.tasks import NewTask, add_tasks, list_tasks, requeue_task
from store_world import World, ranking_body


def states(world: World, queue_id: str) -> dict[str, tuple[str, int, int]]:
    """Task -> state, assigned, submitted."""
    return {task.id: (task.state, task.assigned, task.submitted) for task in list_tasks(world.store, world.lead, queue_id)}


def test_a_page_loaded_twice_takes_one_task_and_the_next_can_be_fetched_beside(world: World) -> None:
    queue = world.queue()
    world.rankings(queue, 2)
    first = lease_next(world.store, world.labeler, queue.id)
    assert first is not None
    assert lease_next(world.store, world.labeler, queue.id) == first
    second = lease_next(world.store, world.labeler, queue.id, beside=[first.id])
    assert second is not None
    assert second.task_id != first.task_id
    assert lease_next(world.store, world.labeler, queue.id, beside=[first.id, second.id]) is None
    assert {lease.id for lease in held_leases(world.store, world.labeler, queue.id)} == {first.id, second.id}


def test_overlap_is_never_exceeded_and_a_done_task_ends(world: World) -> None:
    queue = world.queue(overlap=2)
    (task,) = world.rankings(queue)
    people = [world.person("labeler", f"labeler {i}") for i in range(3)]
    leases = [lease_next(world.store, person, queue.id) for person in people]
    assert [lease is not None for lease in leases] == [True, True, False]
    for person, lease in zip(people, leases[:2], strict=False):
        assert lease is not None
        submit(world.store, person, lease.id, ranking_body(lease.shown), key="once")
    assert states(world, queue.id) == {task: ("done", 2, 2)}


def test_nobody_is_given_their_own_prompt_or_what_they_answered_or_skipped(world: World) -> None:
    queue = world.queue("demonstration", overlap=5)
    author = world.person("labeler", "author")
    own, other, third = (world.prompt(f"prompt {i}", author=author if i == 0 else None) for i in range(3))
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=prompt) for prompt in (own, other, third)])
    lease = lease_next(world.store, author, queue.id)
    assert lease is not None
    submit(world.store, author, lease.id, {"text": "An answer."}, key="1")
    lease = lease_next(world.store, author, queue.id)
    assert lease is not None
    skip(world.store, author, lease.id, "unclear")
    assert lease_next(world.store, author, queue.id) is None
    given = set()
    for number in range(3):
        lease = lease_next(world.store, world.labeler, queue.id)
        assert lease is not None
        given.add(lease.task_id)
        submit(world.store, world.labeler, lease.id, {"text": "An answer."}, key=str(number))
    assert len(given) == 3


def test_enough_skips_send_a_task_to_the_review_list_and_a_lead_sends_it_back(world: World) -> None:
    queue = world.queue(skips_to_review=2)
    (task,) = world.rankings(queue)
    for name in ("a", "b"):
        person = world.person("labeler", name)
        lease = lease_next(world.store, person, queue.id)
        assert lease is not None
        skip(world.store, person, lease.id, f"{name} does not understand it")
    assert [one.id for one in list_tasks(world.store, world.lead, queue.id, state="review")] == [task]
    assert skip_reasons(world.store, world.lead, task) == ["a does not understand it", "b does not understand it"]
    assert lease_next(world.store, world.labeler, queue.id) is None
    requeue_task(world.store, world.lead, task)
    assert lease_next(world.store, world.labeler, queue.id) is not None
    assert lease_next(world.store, world.person("labeler", "a"), queue.id) is None


def test_an_expired_task_goes_to_another_and_its_first_holder_loses_it_but_not_the_draft(world: World) -> None:
    queue = world.queue(lease_seconds=60)
    world.rankings(queue)
    mine = lease_next(world.store, world.labeler, queue.id)
    assert mine is not None
    save_draft(world.store, world.labeler, mine.id, {"note": "half a thought"}, version=0)
    world.clock.move(seconds=61)
    other = world.person("labeler", "other")
    theirs = lease_next(world.store, other, queue.id)
    assert theirs is not None
    assert theirs.task_id == mine.task_id
    with pytest.raises(LeaseLost):
        submit(world.store, world.labeler, mine.id, ranking_body(mine.shown), key="late")
    draft = read_draft(world.store, world.labeler, mine.id)
    assert draft is not None
    assert draft.body == {"note": "half a thought"}
    release(world.store, other, theirs.id)
    again = lease_next(world.store, world.labeler, queue.id)
    assert again is not None
    assert again.shown == mine.shown
    assert read_draft(world.store, world.labeler, again.id) is not None


def test_a_lease_that_expired_while_nobody_wanted_the_task_is_taken_up_again(world: World) -> None:
    queue = world.queue(lease_seconds=60)
    (task,) = world.rankings(queue)
    lease = lease_next(world.store, world.labeler, queue.id)
    assert lease is not None
    world.clock.move(seconds=61)
    assert list_leases(world.store, world.lead, queue.id) == []
    assert states(world, queue.id) == {task: ("open", 0, 0)}
    submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="late")
    assert states(world, queue.id) == {task: ("done", 1, 1)}


def test_a_sign_of_life_keeps_the_task(world: World) -> None:
    queue = world.queue(lease_seconds=60)
    world.rankings(queue)
    lease = lease_next(world.store, world.labeler, queue.id)
    assert lease is not None
    for version in range(3):
        world.clock.move(seconds=50)
        save_draft(world.store, world.labeler, lease.id, {"version": version}, version=version)
    world.clock.move(seconds=50)
    assert renew(world.store, world.labeler, lease.id).expires_at > world.clock()
    assert lease_next(world.store, world.person("labeler", "other"), queue.id) is None


def test_a_lead_frees_a_task_and_a_labeler_cannot(world: World) -> None:
    queue = world.queue()
    world.rankings(queue)
    lease = lease_next(world.store, world.labeler, queue.id)
    assert lease is not None
    other = world.person("labeler", "other")
    with pytest.raises(AccessDenied):
        free(world.store, other, lease.id)
    with pytest.raises(NotFound):
        release(world.store, other, lease.id)
    free(world.store, world.lead, lease.id)
    assert lease_next(world.store, other, queue.id) is not None
    with pytest.raises(LeaseLost):
        renew(world.store, world.labeler, lease.id)


def test_who_may_not_be_given_tasks(world: World) -> None:
    queue = world.queue(needs_qualification=True)
    world.rankings(queue)
    with pytest.raises(AccessDenied, match="be given tasks"):
        lease_next(world.store, world.person("playground"), queue.id)
    with pytest.raises(AccessDenied, match="not qualified"):
        lease_next(world.store, world.labeler, queue.id)
    qualify(world.store, world.lead, queue.id, world.labeler.id)
    assert lease_next(world.store, world.labeler, queue.id) is not None
    change_queue(world.store, world.lead, queue.id, QueueSettings(open=False))
    with pytest.raises(Conflict, match="closed"):
        lease_next(world.store, world.labeler, queue.id)


def test_a_new_version_of_the_guide_must_be_acknowledged_and_the_submission_names_it(world: World) -> None:
    old, new = (publish_guide(world.store, world.lead, name="ranking", mode="training", text=f"Version {i}") for i in (1, 2))
    assert (old.version, new.version) == (1, 2)
    queue = world.queue(guide_id=old.id)
    world.rankings(queue)
    acknowledge_guide(world.store, world.labeler, old.id)
    assert lease_next(world.store, world.labeler, queue.id) is not None
    change_queue(world.store, world.lead, queue.id, QueueSettings(guide_id=new.id))
    with pytest.raises(GuideUnread) as unread:
        lease_next(world.store, world.labeler, queue.id)
    assert unread.value.guide == new
    acknowledge_guide(world.store, world.labeler, new.id)
    lease = lease_next(world.store, world.labeler, queue.id)
    assert lease is not None
    assert submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="1").guide_id == old.id


def test_two_tabs_cannot_overwrite_each_other(world: World) -> None:
    queue = world.queue()
    world.rankings(queue)
    lease = lease_next(world.store, world.labeler, queue.id)
    assert lease is not None
    first = save_draft(world.store, world.labeler, lease.id, {"text": "first tab"}, version=0)
    with pytest.raises(StaleDraft) as stale:
        save_draft(world.store, world.labeler, lease.id, {"text": "second tab"}, version=0)
    assert stale.value.stored == first
    assert save_draft(world.store, world.labeler, lease.id, {"text": "first tab"}, version=0) == first, "a lost reply, sent again"
    kept = save_draft(world.store, world.labeler, lease.id, {"text": "second tab"}, version=first.version)
    assert (kept.version, kept.body) == (2, {"text": "second tab"})


def test_the_order_shown_is_shuffled_for_each_lease(world: World) -> None:
    queue = world.queue(overlap=30)
    world.rankings(queue, num_answers=4)
    orders = set()
    for number in range(30):
        lease = lease_next(world.store, world.person("labeler", f"labeler {number}"), queue.id)
        assert lease is not None
        assert sorted(lease.shown) == ["a0", "a1", "a2", "a3"]
        orders.add(lease.shown)
    assert len(orders) > 10
