"""What leads see and do: overviews, review, leases, times, skips, funnel, families, spot checks; on both databases."""

from datetime import timedelta
from pathlib import Path

import pytest

from instructloop.errors import AccessDenied, Conflict, DataError, NotFound
from instructloop.store.database import activity, bulk, families, judgements, oversight, spot_checks
from instructloop.store.database.audit import read_audit
from instructloop.store.database.erasure import erase_prompt
from instructloop.store.database.freezing import freeze_from_store
from instructloop.store.database.importing import import_files
from instructloop.store.database.labels import training_rankings
from instructloop.store.database.leases import lease_next, skip
from instructloop.store.database.models import NewModel, register_model
from instructloop.store.database.submissions import Work, revise, submit
from instructloop.store.database.task_sheet import task_sheet
from instructloop.store.database.tasks import NewTask, add_tasks, set_known_answer
from store.database.filled import take
from store_world import START, World, ranking_body


def test_a_queue_at_a_glance(world: World) -> None:
    queue = world.queue(overlap=2, skips_to_review=1)
    ids = world.rankings(queue, 3)
    first = take(world, world.labeler, queue)
    submit(world.store, world.labeler, first.id, ranking_body(first.shown), key="1", work=Work(seconds=30, pasted=0.6))
    skip(world.store, world.labeler, take(world, world.labeler, queue).id, "unclear: which one?")
    held = take(world, world.person("labeler", "other"), queue)
    bulk.change_tasks(world.store, world.lead, [one for one in ids if one not in (first.task_id, held.task_id)][:1], "retire")
    one = oversight.queue_overview(world.store, world.lead, queue.id)
    assert sum(one.states.values()) == 3
    assert (one.given, one.held) == (1, 1)
    assert one.left == one.wanted - 1
    (time,) = activity.task_times(world.store, world.lead)
    assert (time.n, time.median, time.pasted) == (1, 30.0, 1.0)
    assert activity.skip_counts(world.store, world.lead) == {"unclear": 1}
    assert activity.throughput(world.store, world.lead, days=3).by_queue == {queue.id: (0, 0, 1)}
    world.clock.move(minutes=10)
    assert activity.lease_ages(world.store, world.lead, (0.1, 1.0)) == [0, 1, 0]
    (row,) = oversight.lease_rows(world.store, world.lead)
    assert (row.name, row.lease.id, row.drafted_at) == ("other", held.id, None)
    with pytest.raises(AccessDenied):
        oversight.queue_overviews(world.store, world.labeler)


def test_a_task_becomes_gold_for_those_who_have_not_met_it(world: World) -> None:
    queue, other = world.queue(overlap=1, gold_rate=1.0), world.person("labeler", "other")
    (task,) = world.rankings(queue)
    first = take(world, world.labeler, queue)
    submit(world.store, world.labeler, first.id, ranking_body(first.shown), key="1")
    known = ranking_body(sorted(first.shown))
    with pytest.raises(DataError):
        set_known_answer(world.store, world.lead, task, known | {"groups": known["groups"][1:]})
    with pytest.raises(NotFound):
        set_known_answer(world.store, world.lead, "none", known)
    with pytest.raises(AccessDenied):
        set_known_answer(world.store, world.person("researcher"), task, known)
    set_known_answer(world.store, world.lead, task, known)
    sheet = task_sheet(world.store, world.lead, task)
    assert (sheet.known, sheet.task.is_gold, sheet.task.state) == (known, True, "open")
    assert [(said.name, said.purpose) for said in sheet.said] == [(world.labeler.name, "label")]
    assert [row.task.id for row in oversight.task_rows(world.store, world.lead, queue.id, state=oversight.GOLD)] == [task]
    assert lease_next(world.store, world.labeler, queue.id) is None
    second = take(world, other, queue)
    assert second.purpose == "gold"
    submit(world.store, other, second.id, ranking_body(second.shown), key="2")
    assert len(list(training_rankings(world.store, None))) == 1
    (answer,) = judgements.known_answers(world.store, world.lead, queue.id)
    assert answer.ranks == {id_: place for place, id_ in enumerate(sorted(first.shown), start=1)}
    (row,) = (row for row in read_audit(world.store, world.lead) if row.action == "set known answer")
    assert "gold" not in row.details


def test_the_review_list_has_the_reasons_and_no_erased_text(world: World) -> None:
    queue = world.queue("demonstration", skips_to_review=1)
    prompt = world.prompt("A secret.")
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=prompt)])
    skip(world.store, world.labeler, take(world, world.labeler, queue).id, "personal")
    (row,) = oversight.task_rows(world.store, world.lead, None, state="review")
    assert (row.excerpt, row.reasons) == ("A secret.", ("personal",))
    erase_prompt(world.store, world.person("playground"), prompt)
    (row,) = oversight.task_rows(world.store, world.lead, queue.id, state=None)
    assert (row.excerpt, row.task.state) == (None, "retired")


def test_reassigning_respects_who_may_have_a_task(world: World) -> None:
    queue = world.queue(overlap=1)
    world.rankings(queue, 2)
    other = world.person("labeler", "other")
    done = take(world, other, queue)
    submit(world.store, other, done.id, ranking_body(done.shown), key="1")
    lease = take(world, world.labeler, queue)
    assert bulk.reassign(world.store, world.lead, [lease.id], other.id) == 1
    (row,) = oversight.lease_rows(world.store, world.lead)
    with pytest.raises(Conflict):
        bulk.reassign(world.store, world.lead, [lease.id], world.labeler.id)
    assert oversight.lease_rows(world.store, world.lead) == [row], "nothing has changed"
    with pytest.raises(NotFound):
        bulk.free_leases(world.store, world.lead, [row.lease.id, "none"])
    assert oversight.lease_rows(world.store, world.lead) == [row]
    with pytest.raises(DataError):
        bulk.free_leases(world.store, world.lead, [])
    assert bulk.free_leases(world.store, world.lead, [row.lease.id]) == 1
    assert lease_next(world.store, world.labeler, queue.id) is not None


def test_judgements_are_as_they_stand_after_revisions(world: World) -> None:
    queue = world.queue("evaluation", mode="evaluation")
    ranked = world.queue()
    world.rankings(ranked, 1)
    (row,) = oversight.task_rows(world.store, world.lead, ranked.id, state=None)
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=row.task.prompt_id, answers=("a0", "a1"))])
    lease = take(world, world.labeler, queue)
    ratings = {answer: {"likert": 4, "flags": [], "note": ""} for answer in ("a0", "a1")}
    first = submit(world.store, world.labeler, lease.id, {"ratings": ratings, "preferred": "a1"}, key="1")
    revise(world.store, world.labeler, first.id, {"ratings": ratings, "preferred": None}, key="2")
    (one,) = judgements.judgements(world.store, world.lead, queue.id)
    assert (one.ranks, one.purpose, one.person, one.at) == ({"a0": 1, "a1": 1}, "label", world.labeler.id, START)
    assert judgements.judgements(world.store, world.lead, queue.id, since=START + timedelta(seconds=1)) == []
    assert list(training_rankings(world.store, None)) == [], "evaluations never train"


def test_the_funnel_narrows_and_table_six_counts_prompts(world: World) -> None:
    queue = world.queue()
    world.rankings(queue, 3)
    lease = take(world, world.labeler, queue)
    submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="1")
    gone = world.prompt("Forget me.")
    erase_prompt(world.store, world.person("playground"), gone)
    counts = {stage.name: stage.prompts for stage in activity.funnel(world.store, world.lead)}
    assert counts == {"stored": 4, "kept": 3, "may_train": 3, "given": 3, "labeled": 1, "frozen": 0}
    assert sorted(judgements.labels_by_source(world.store, world.lead)) == [("prompt", "import", 3), ("ranking", "import", 1)]


def test_a_prompt_comes_no_further_than_the_stage_before_lets_it(world: World, tmp_path: Path) -> None:
    """Prompts are frozen for PPO before anybody has labeled them; labels are imported that were no task here."""
    queue = world.queue()
    world.rankings(queue, 3)
    lease = take(world, world.labeler, queue)
    submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="1")
    (tmp_path / "said.jsonl").write_text('{"prompt": "Name a bird.", "response": "A wren."}\n')
    import_files(world.store, None, [tmp_path / "said.jsonl"], "demonstrations", licence="CC0")
    expected = {"stored": 4, "kept": 4, "may_train": 4, "given": 4, "labeled": 2, "frozen": 0}
    for data, frozen in (("prompts", 0), ("rankings", 1), ("demonstrations", 2)):
        freeze_from_store(world.store, None, data, tmp_path / data, split_of=lambda _: "train", query="")
        assert {stage.name: stage.prompts for stage in activity.funnel(world.store, world.lead)} == expected | {"frozen": frozen}


def test_a_family_goes_back_to_the_first_model_and_no_further(world: World) -> None:
    for name, parent in (("sft", "base"), ("ppo", "w-sft"), ("loop", "w-loop")):
        register_model(world.store, None, NewModel(name=name, place="x", identity=f"w-{name}", parents={"policy": parent}, snapshots={"data": "s"}))
    family = families.model_family(world.store, world.lead, "ppo")
    parent = family.parents["policy"]
    assert isinstance(parent, families.Family)
    assert (parent.model.name, parent.parents) == ("sft", {"policy": "base"})
    assert family.snapshots == {"data": "s"}
    assert families.model_family(world.store, world.lead, "loop").parents == {"policy": "w-loop"}


def test_everybody_whose_data_is_inside_a_family_is_named_once(world: World, tmp_path: Path) -> None:
    queue = world.queue()
    world.rankings(queue, 2)
    asked = world.prompt("Name a fish.")
    add_tasks(world.store, world.lead, (answering := world.queue("demonstration")).id, [NewTask(prompt_id=asked)])
    for number in range(2):
        lease = take(world, world.labeler, queue)
        submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key=f"{number}")
    submit(world.store, world.labeler, take(world, world.labeler, answering).id, {"text": "A trout."}, key="3")
    frozen = {
        data: freeze_from_store(world.store, None, data, tmp_path / data, split_of=lambda _: "train", query="").id
        for data in ("rankings", "demonstrations")
    }  # fmt: skip
    register_model(world.store, None, NewModel(name="sft", place="x", identity="w-sft", snapshots={"demonstrations": frozen["demonstrations"]}))
    parents, read = {"policy": "w-sft"}, {"rankings": frozen["rankings"], "pretraining": "unknown"}
    register_model(world.store, None, NewModel(name="ppo", place="x", parents=parents, snapshots=read))

    def inside(name: str) -> list[tuple[str, int, int]]:
        family = families.model_family(world.store, world.lead, name)
        return [(one.name, one.prompts, one.labels) for one in families.contributors(world.store, world.lead, family)]

    assert inside("sft") == [("the labeler", 0, 1), ("the playground", 1, 0)]
    assert inside("ppo") == [("the labeler", 0, 3), ("the playground", 1, 0), ("user0", 1, 0), ("user2", 1, 0)]
    with pytest.raises(AccessDenied):
        families.contributors(world.store, world.labeler, families.model_family(world.store, world.lead, "sft"))


def test_spot_checks_draw_what_nobody_has_checked(world: World) -> None:
    queue = world.queue()
    world.rankings(queue, 1)
    assert spot_checks.draw_submission(world.store, world.lead) is None
    lease = take(world, world.labeler, queue)
    submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="1")
    drawn = spot_checks.draw_submission(world.store, world.lead)
    assert drawn is not None
    assert len(drawn.answers) == 4
    spot_checks.check_submission(world.store, world.lead, drawn.submission_id, fine=True)
    with pytest.raises(Conflict):
        spot_checks.check_submission(world.store, world.lead, drawn.submission_id, fine=False)
    assert spot_checks.draw_submission(world.store, world.lead) is None
