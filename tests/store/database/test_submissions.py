"""Submissions: said once, kept for ever, revised by adding."""

from typing import Any

import pytest
import sqlalchemy as sa

from instructloop.errors import AccessDenied, Conflict, DataError, NotFound
from instructloop.store.database import schema
from instructloop.store.database.drafts import StaleDraft, read_draft
from instructloop.store.database.erasure import erase_prompt
from instructloop.store.database.labels import (
    current_labels,
    training_demonstrations,
    training_prompts,
    training_rankings,
    training_ratings,
)
from instructloop.store.database.leases import Lease, release
from instructloop.store.database.submissions import Work, list_submissions, read_submission, revise, save_revision_draft, submit
from instructloop.store.database.tasks import NewTask, add_answer_sets, add_tasks, list_tasks
from instructloop.store.database.views import view_submitted, view_task
from store.database.filled import take
from store_world import World, answer_set, ranking_body


def held(world: World, **settings: Any) -> Lease:
    """A ranking task in the labeler's hands."""
    queue = world.queue(**settings)
    world.rankings(queue)
    return take(world, world.labeler, queue)


def test_the_same_key_gives_the_same_record_and_another_key_is_refused(world: World) -> None:
    lease = held(world)
    first = submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="k", work=Work(seconds=12.5, pasted=0.1))
    assert submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="k") == first
    with pytest.raises(Conflict, match="submitted already"):
        submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="other")
    assert list_submissions(world.store, world.labeler) == [first]
    assert len(list(training_rankings(world.store, None))) == 1
    other = world.queue()
    world.rankings(other)
    with pytest.raises(Conflict, match="used for another"):
        submit(world.store, world.labeler, take(world, world.labeler, other).id, ranking_body(lease.shown), key="k")


def test_a_ranking_becomes_records_for_training(world: World) -> None:
    lease = held(world)
    a, b, c, d = lease.shown
    body = ranking_body(lease.shown, groups=[[b], [a, c], [d]], better="Better than all.")
    body["ratings"][a] = {"likert": 2, "flags": ["harmful_advice", "fails_task"], "note": "no"}
    submission = submit(world.store, world.labeler, lease.id, body, key="k")
    (ranking,) = (one.record for one in training_rankings(world.store, None))
    assert ranking.labeler_id == world.labeler.id
    assert {frozenset(group) for group in ranking.groups} == {frozenset([b]), frozenset([a, c]), frozenset([d])}
    assert [answer.id for answer in ranking.completions] == ["a0", "a1", "a2", "a3"], "in the order of the task, not in the order shown"
    assert [answer.model_id for answer in ranking.completions] == ["sft", "ppo", "sft", "ppo"]
    ratings = {one.record.completion.id: one.record for one in training_ratings(world.store, None)}
    assert (ratings[a].likert, ratings[a].flags, ratings[a].note) == (2, ("fails_task", "harmful_advice"), "no")
    assert {answer: rating.likert for answer, rating in ratings.items()} == {a: 2, b: 6, c: 5, d: 4}
    (demonstration,) = (one.record for one in training_demonstrations(world.store, None))
    assert (demonstration.text, demonstration.prompt) == ("Better than all.", ranking.prompt)
    assert submission.body["groups"] == [[b], sorted([a, c]), [d]]


def test_labelers_see_the_question_and_nothing_that_could_sway_them(world: World) -> None:
    lease = held(world, overlap=2)
    view = view_task(world.store, world.labeler, lease.id)
    assert tuple(answer for answer, _ in view.answers) == lease.shown
    assert dict(view.answers)["a1"].startswith("Answer 1 to")
    assert view.prompt is not None
    assert "sft" not in repr(view)
    assert "gold" not in repr(view)
    with pytest.raises(NotFound):
        view_task(world.store, world.person("labeler", "other"), lease.id)
    submission = submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="k")
    with pytest.raises(NotFound):
        read_submission(world.store, world.person("labeler", "other"), submission.id)
    assert read_submission(world.store, world.person("researcher"), submission.id) == submission
    assert list_submissions(world.store, world.person("labeler", "other")) == []


def test_a_revision_replaces_the_label_and_keeps_the_old_answer(world: World) -> None:
    lease = held(world, revise_seconds=60)
    old = submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="1")
    tied = ranking_body(lease.shown, groups=[list(lease.shown)])
    new = revise(world.store, world.labeler, old.id, tied, key="2")
    assert revise(world.store, world.labeler, old.id, tied, key="2") == new
    assert read_submission(world.store, world.labeler, old.id) == old
    (ranking,) = (one.record for one in training_rankings(world.store, None))
    assert ranking.pairs == ()
    with pytest.raises(Conflict, match="revised already"):
        revise(world.store, world.labeler, old.id, tied, key="3")
    world.clock.move(seconds=61)
    with pytest.raises(AccessDenied):
        revise(world.store, world.labeler, new.id, tied, key="4")
    with pytest.raises(NotFound):
        revise(world.store, world.person("labeler", "other"), new.id, tied, key="5")
    last = revise(world.store, world.lead, new.id, ranking_body(lease.shown), key="6")
    (ranking,) = (one.record for one in training_rankings(world.store, None))
    assert (ranking.labeler_id, len(ranking.pairs), last.revises) == (world.lead.id, 6, new.id)


def test_a_revision_is_drafted_until_somebody_revises(world: World) -> None:
    lease = held(world, revise_seconds=60)
    first = submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="1")
    draft = save_revision_draft(world.store, world.labeler, first.id, {"step": 1}, version=0)
    assert save_revision_draft(world.store, world.labeler, first.id, {"step": 1}, version=0) == draft, "sent again"
    with pytest.raises(StaleDraft):
        save_revision_draft(world.store, world.labeler, first.id, {"step": 2}, version=0)
    assert view_task(world.store, world.labeler, lease.id).draft == draft
    for role in ("labeler", "researcher"):
        somebody = world.person(role, f"another {role}")
        with pytest.raises(NotFound):
            save_revision_draft(world.store, somebody, first.id, {}, version=1)
        with pytest.raises(NotFound):
            view_submitted(world.store, somebody, first)
    assert view_submitted(world.store, world.lead, first) == view_task(world.store, world.labeler, lease.id)
    world.clock.move(seconds=61)
    with pytest.raises(AccessDenied):
        save_revision_draft(world.store, world.labeler, first.id, {"step": 2}, version=1)
    revise(world.store, world.lead, first.id, ranking_body(lease.shown), key="2")
    assert view_task(world.store, world.labeler, lease.id).draft is None
    world.clock.move(seconds=-61)
    with pytest.raises(Conflict, match="revised already"):
        save_revision_draft(world.store, world.labeler, first.id, {"step": 2}, version=0)


def test_a_drafted_revision_is_erased_with_its_prompt(world: World) -> None:
    prompt, queue = world.prompt("A secret."), world.queue("demonstration")
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=prompt)])
    lease = take(world, world.labeler, queue)
    first = submit(world.store, world.labeler, lease.id, {"text": "About the secret."}, key="1")
    save_revision_draft(world.store, world.labeler, first.id, {"answer": {"text": "More of the secret."}}, version=0)
    erase_prompt(world.store, world.person("playground"), prompt)
    assert "secret" not in str(read_draft(world.store, world.labeler, lease.id))
    with pytest.raises(NotFound):
        save_revision_draft(world.store, world.labeler, first.id, {"answer": {"text": "Again."}}, version=1)


def test_a_wrong_answer_is_refused_and_can_be_corrected(world: World) -> None:
    lease = held(world)
    with pytest.raises(DataError, match="exactly once"):
        submit(world.store, world.labeler, lease.id, ranking_body(lease.shown, groups=[["a0", "a1", "a2"]]), key="k")
    assert list_submissions(world.store, world.labeler) == []
    submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="k")


def test_evaluations_are_blind_pairs_and_never_train(world: World) -> None:
    queue = world.queue("evaluation", mode="evaluation")
    training = world.queue()
    (task,) = world.rankings(training)
    prompt = next(one.prompt_id for one in list_tasks(world.store, world.lead, training.id) if one.id == task)
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=prompt, answers=("a0", "a1"))])
    lease = take(world, world.labeler, queue)
    ratings = ranking_body(lease.shown)["ratings"]
    with pytest.raises(DataError, match="preferred"):
        submit(world.store, world.labeler, lease.id, {"ratings": ratings}, key="k")
    submit(world.store, world.labeler, lease.id, {"ratings": ratings, "preferred": "a1"}, key="k")
    (label,) = current_labels(world.store, None, "evaluation")
    assert label["body"] == {"answers": ["a0", "a1"], "preferred": "a1"}
    assert list(training_ratings(world.store, None)) == []


def test_prompts_that_labelers_write_train_and_a_revision_takes_the_old_one_out(world: World) -> None:
    queue = world.queue("write_prompt")
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_kind="few_shot", about="moods"), NewTask(prompt_kind="plain")])
    few_shot = {"instruction": "Name the mood.", "shots": [{"query": "I won!", "response": "happy"}, {"query": "It rains.", "response": "sad"}]}
    written = {"few_shot": few_shot, "plain": {"prompt": "Name three birds.", "use_case": "brainstorming"}}
    for key in ("1", "2"):
        lease = take(world, world.labeler, queue)
        view = view_task(world.store, world.labeler, lease.id)
        last = submit(world.store, world.labeler, lease.id, written[view.prompt_kind], key=key)
    prompts = {one.record.kind: one.record for one in training_prompts(world.store, None)}
    assert prompts["few_shot"].text == "Name the mood.\n\nQuery: I won!\nResponse: happy\n\nQuery: It rains.\nResponse: sad"
    assert (prompts["plain"].source, prompts["plain"].use_case, prompts["plain"].user_id) == ("labeler", "brainstorming", world.labeler.id)
    revised = "plain" if "prompt" in last.body else "few_shot"
    body = {**written[revised], **({"prompt": "Name four birds."} if revised == "plain" else {"instruction": "What mood?"})}
    revise(world.store, world.labeler, last.id, body, key="3")
    texts = [one.record.text for one in training_prompts(world.store, None)]
    assert len(texts) == 2
    assert prompts[revised].text not in texts


def test_held_out_labelers_gold_and_repeats_never_train(world: World) -> None:
    queue = world.queue(overlap=2)
    world.rankings(queue)
    held_out = world.person("labeler", "held out", held_out=True)
    for person in (held_out, world.labeler):
        lease = take(world, person, queue)
        submit(world.store, person, lease.id, ranking_body(lease.shown), key="k")
    assert [one.record.labeler_id for one in training_rankings(world.store, None)] == [world.labeler.id]
    assert len(list(current_labels(world.store, None, "ranking"))) == 2


def test_gold_and_repeats_come_at_their_rates_and_leave_the_overlap_alone(world: World) -> None:
    queue = world.queue(gold_rate=0.2, repeat_rate=0.2)
    world.rankings(queue, 60)
    gold = add_answer_sets(world.store, world.lead, world.queue().id, [answer_set(1000 + i) for i in range(40)], licence="CC0")
    prompts = [f"p{1000 + i}" for i in range(len(gold))]
    answers = ("a0", "a1", "a2", "a3")
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=prompt, answers=answers, gold=ranking_body(answers)) for prompt in prompts])
    purposes = []
    for number in range(60):
        lease = take(world, world.labeler, queue)
        purposes.append(lease.purpose)
        world.clock.move(seconds=1)
        submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key=str(number))
    assert 3 <= purposes.count("gold") <= 24
    assert 1 <= purposes.count("repeat") <= 24
    assert "repeat" not in purposes[:10], "what came a moment ago would be recognised"
    assert len(list(training_rankings(world.store, None))) == purposes.count("label")
    ordinary = [task for task in list_tasks(world.store, world.lead, queue.id, limit=200) if not task.is_gold]
    assert sum(task.submitted for task in ordinary) == purposes.count("label")
    with world.store.reading() as connection:
        repeated = schema.leases.c.purpose == "repeat"
        counts = connection.execute(sa.select(sa.func.count()).where(repeated).group_by(schema.leases.c.task_id)).scalars().all()
    assert set(counts) == {1}, "nothing comes a third time"


def test_what_was_given_back_cannot_be_submitted_and_what_was_erased_neither(world: World) -> None:
    lease = held(world)
    release(world.store, world.labeler, lease.id)
    with pytest.raises(Conflict, match="released"):
        submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="k")
    queue = world.queue("demonstration")
    prompt = world.prompt()
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=prompt)])
    lease = take(world, world.labeler, queue)
    erase_prompt(world.store, world.person("playground"), prompt)
    with pytest.raises(NotFound, match="erased"):
        submit(world.store, world.labeler, lease.id, {"text": "An answer."}, key="k")
