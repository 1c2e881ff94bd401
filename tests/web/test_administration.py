"""The administration through its pages; what was done is read back from the store."""

import html
import time
from pathlib import Path

import pytest

from instructloop.records import Prompt
from instructloop.store.database.accounts import create_account
from instructloop.store.database.audit import read_audit
from instructloop.store.database.families import KnownSnapshot
from instructloop.store.database.freezing import register_snapshot
from instructloop.store.database.judgements import labels_by_source
from instructloop.store.database.leases import lease_next
from instructloop.store.database.oversight import lease_rows, list_guides, queue_overviews, task_rows
from instructloop.store.database.queues import create_queue
from instructloop.store.database.submissions import submit
from instructloop.store.database.tasks import add_answer_sets
from instructloop.store.database.views import view_task
from instructloop.store.snapshots import freeze
from instructloop.web.guide_text import shipped_guide
from instructloop.web.tables import table_six
from store_world import START, answer_set, ranking_body
from web.people import browsing
from web.scripted import Stage

HOSTILE = "<img src=x onerror=alert(1)>"


def acts(site: Stage) -> list[str]:
    return [row.action for row in read_audit(site.store, site.people["administrator"])]


def ranked_queue(site: Stage, overlap: int = 2, tasks: int = 3) -> str:
    from instructloop.store.database.queues import QueueSettings

    lead = site.people["lead"]
    queue = create_queue(site.store, lead, name="rank", kind="ranking", settings=QueueSettings(overlap=overlap))
    add_answer_sets(site.store, lead, queue.id, [answer_set(number) for number in range(tasks)], licence="CC0")
    return queue.id


def test_a_queue_is_made_and_set_by_its_forms(site: Stage) -> None:
    with browsing(site, "lead") as browser:
        browser.submit("/admin/guides", name="ranking", mode="training", words="Rank what helps.")
        (guide,) = list_guides(site.store, site.people["lead"])
        made = browser.submit(
            "/admin/queues", name=HOSTILE, kind="ranking", mode="training", overlap="3", gold_rate="12.5", lease_seconds="20", open="true",
            guide_id=guide.id,
        )  # fmt: skip
        (one,) = queue_overviews(site.store, site.people["lead"])
        settings = one.queue.settings
        assert made.headers["location"] == f"/admin/queues/{one.queue.id}"
        assert (settings.overlap, settings.gold_rate, settings.lease_seconds, settings.guide_id) == (3, 0.125, 1200, guide.id)
        assert (settings.open, settings.needs_qualification) == (True, False)
        shown = browser.http.get(made.headers["location"]).text
        assert HOSTILE not in shown
        assert "&lt;img src=x" in shown
        assert browser.submit(f"/admin/queues/{one.queue.id}", overlap="0").status_code == 400
        assert browser.submit(f"/admin/queues/{one.queue.id}", overlap="many").status_code == 400
    assert queue_overviews(site.store, site.people["lead"])[0].queue.settings.overlap == 3
    assert {"create queue", "publish guide"} <= set(acts(site))


def test_prompts_are_asked_for_answered_and_described(site: Stage, tmp_path: Path) -> None:
    store, lead, labeler = site.store, site.people["lead"], site.people["labeler"]
    queues = {kind: create_queue(store, lead, name=kind, kind=kind) for kind in ("write_prompt", "demonstration", "prompt_metadata", "ranking")}
    with browsing(site, "lead") as browser:

        def add(kind: str, **fields: str) -> int:
            return browser.submit(f"/admin/queues/{queues[kind].id}/new-tasks", **fields).status_code

        assert add("write_prompt", prompt_kind="user_based", about=HOSTILE, count="2") == 303
        assert add("write_prompt", prompt_kind="poem", count="2") == 400
        assert add("demonstration", source="written", count="5") == 400, "nothing is written yet"
        for number in range(2):
            lease = lease_next(store, labeler, queues["write_prompt"].id)
            assert lease is not None
            assert view_task(store, labeler, lease.id).about == HOSTILE
            submit(store, labeler, lease.id, {"prompt": f"Name fish {number}.", "use_case": None}, key=lease.id)
        assert add("demonstration", source="written", count="1") == 303
        assert add("demonstration", source="written", count="5") == 303, "the other"
        assert add("demonstration", source="written", count="5") == 400, "both are there"
        asked = [Prompt(id=f"c{number}", text=f"Name tree {number}.", user_id="a customer", consent="1") for number in range(3)]
        snapshot = freeze(tmp_path / "prompts", {"train": asked}, query="", source_of=lambda _: "customer")
        assert add("prompt_metadata", source=snapshot.id, count="2") == 404, "not registered"
        register_snapshot(store, None, tmp_path / "prompts")
        assert add("prompt_metadata", source=snapshot.id, count="2") == 303
        assert add("prompt_metadata", source=snapshot.id, count="2") == 303
        assert "3 prompts" in browser.http.get(f"/admin/queues/{queues['demonstration'].id}").text
        for count in ("0", "1001", "two", "1.5"):
            assert add("prompt_metadata", source="written", count=count) == 400
        assert add("ranking", source="written", count="1") == 400
    said = {kind: sorted(row.excerpt or "" for row in task_rows(store, lead, queue.id, state=None)) for kind, queue in queues.items()}
    assert said == {
        "write_prompt": ["", ""], "demonstration": ["Name fish 0.", "Name fish 1."],
        "prompt_metadata": ["Name tree 0.", "Name tree 1.", "Name tree 2."], "ranking": [],
    }  # fmt: skip


def test_a_guide_may_begin_with_the_package_s_own(site: Stage) -> None:
    with browsing(site, "lead") as browser:
        for mode in ("training", "evaluation"):
            text = html.unescape(browser.http.get(f"/admin/guides?begin={mode}").text)
            assert shipped_guide(mode).strip().splitlines()[-1] in text
        assert browser.http.get("/admin/guides?begin=neither").status_code == 400


def test_tasks_are_retired_and_offered_again_all_or_none(site: Stage) -> None:
    queue_id, lead = ranked_queue(site), site.people["lead"]
    ids = [row.task.id for row in task_rows(site.store, lead, queue_id, state=None)]
    with browsing(site, "lead") as browser:

        def act(tasks: list[str], act: str, **more: str) -> int:
            fields = {"form_token": browser.token(), "task": tasks, "act": act, **more}
            return browser.http.post(f"/admin/queues/{queue_id}/tasks", data=fields, follow_redirects=False).status_code

        assert act([*ids[:2], "none"], "retire") == 404
        assert {row.task.state for row in task_rows(site.store, lead, queue_id, state=None)} == {"open"}
        assert act(ids[:2], "retire") == 303
        assert act([], "retire") == 400
        assert act(ids[:1], "requeue", overlap="5") == 303
    states = {row.task.id: (row.task.state, row.task.overlap) for row in task_rows(site.store, lead, queue_id, state=None)}
    assert states == {ids[0]: ("open", 5), ids[1]: ("retired", 2), ids[2]: ("open", 2)}
    assert acts(site).count("retire task") == 2


def test_a_lease_passes_to_another_who_may_have_it(site: Stage) -> None:
    queue_id, lead = ranked_queue(site, overlap=1, tasks=1), site.people["lead"]
    other = create_account(site.store, None, name="other", role="labeler")
    lease = lease_next(site.store, site.people["labeler"], queue_id)
    assert lease is not None
    with browsing(site, "lead") as browser:
        assert "labeler" in browser.http.get("/admin/leases").text
        assert browser.submit("/admin/leases", lease=lease.id, act="reassign", account=site.people["ada"].id).status_code == 403
        assert browser.submit("/admin/leases", lease=lease.id, act="reassign", account=other.id).status_code == 303
        (row,) = lease_rows(site.store, lead)
        assert row.name == "other"
        assert browser.submit("/admin/leases", lease=row.lease.id, act="free").status_code == 303
    assert lease_rows(site.store, lead) == []
    assert {"reassign lease", "free lease"} <= set(acts(site))


def test_agreement_is_shown_with_its_n(site: Stage) -> None:
    queue_id = ranked_queue(site)
    for name in ("labeler", "researcher"):
        while (lease := lease_next(site.store, site.people[name], queue_id)) is not None:
            submit(site.store, site.people[name], lease.id, ranking_body(sorted(lease.shown)), key=lease.id)
    with browsing(site, "researcher") as browser:
        page = browser.http.get("/admin/agreement").text
        assert "100.0 %" in page
        assert "18 comparisons that two people both made, on 3 prompts, by 2 people." in page
        assert "undefined (everybody gave the same answer)" in page
        overview = browser.http.get("/admin").text
        assert "100.0 %, n = 18" in overview
    with browsing(site, "labeler") as browser:
        assert browser.http.get("/admin").status_code == 403


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_an_export_is_written_fetched_and_in_the_audit(site: Stage, form: str, tmp_path: Path) -> None:
    queue_id = ranked_queue(site, overlap=1)
    while (lease := lease_next(site.store, site.people["labeler"], queue_id)) is not None:
        submit(site.store, site.people["labeler"], lease.id, ranking_body(sorted(lease.shown)), key=lease.id)
    with browsing(site, "researcher") as browser:
        for choice in ("pairs trl", "everything record"):
            assert browser.submit("/admin/exports", choice=choice, form=form).status_code == 303
        exports = site.app.state.site.exports
        for _ in range(200):
            made = exports.listed(site.store.now())
            if all(one.rows is not None or one.problem is not None for one in made):
                break
            time.sleep(0.05)
        assert {one.what: one.problem for one in made} == {"pairs": None, "everything": None}
        assert "Fetch" in browser.http.get("/admin/exports").text
        (pairs,) = (one for one in made if one.what == "pairs")
        file = tmp_path / pairs.path.name
        file.write_bytes(browser.http.get(f"/admin/exports/{pairs.id}").content)
    from instructloop.store.layouts import read_rankings

    found = list(read_rankings(file))
    assert len(found) == pairs.rows == 3 * 6
    assert acts(site)[:1] == ["fetch export"]


def test_a_held_out_labeler_s_labels_leave_the_data_sets(site: Stage) -> None:
    from instructloop.store.database.labels import training_prompts, training_rankings, training_ratings

    queue_id = ranked_queue(site, overlap=1)
    lease = lease_next(site.store, site.people["labeler"], queue_id)
    assert lease is not None
    submit(site.store, site.people["labeler"], lease.id, ranking_body(sorted(lease.shown)), key=lease.id)
    assert len(list(training_rankings(site.store, None))) == 1
    with browsing(site, "lead") as browser:
        assert browser.submit(f"/admin/people/{site.people['labeler'].id}/held-out", held_out="true").status_code == 303
    assert list(training_rankings(site.store, None)) == list(training_ratings(site.store, None)) == []
    assert len(list(training_prompts(site.store, None))) == 3


def test_what_a_held_out_labeler_writes_never_trains(site: Stage) -> None:
    from instructloop.store.database.accounts import set_held_out
    from instructloop.store.database.labels import training_demonstrations, training_prompts
    from instructloop.store.database.tasks import NewTask, add_tasks

    lead, labeler = site.people["lead"], site.people["labeler"]
    writing = create_queue(site.store, lead, name="write", kind="write_prompt")
    answering = create_queue(site.store, lead, name="answer", kind="demonstration")
    add_tasks(site.store, lead, writing.id, [NewTask()])
    lease = lease_next(site.store, labeler, writing.id)
    assert lease is not None
    submit(site.store, labeler, lease.id, {"prompt": "Name a fish.", "use_case": None}, key="1")
    (prompt,) = (one.record for one in training_prompts(site.store, None))
    add_tasks(site.store, lead, answering.id, [NewTask(prompt_id=prompt.id)])
    lease = lease_next(site.store, site.people["researcher"], answering.id)
    assert lease is not None
    submit(site.store, site.people["researcher"], lease.id, {"text": "A trout."}, key="2")
    assert len(list(training_demonstrations(site.store, None))) == 1
    assert sorted(labels_by_source(site.store, lead)) == [("demonstration", "labeler", 1), ("prompt", "labeler", 1)]
    set_held_out(site.store, lead, labeler.id, held_out=True)
    assert list(training_prompts(site.store, None)) == list(training_demonstrations(site.store, None)) == []
    assert list(labels_by_source(site.store, lead)) == [], "the overview counts what may train, and nothing else"


def test_table_six_has_one_line_for_each_split_and_source() -> None:
    """The counts of snapshots name sources differently, as they were frozen by curation, of a store, or of a file."""
    counts = {
        "Demonstration": {"train": {"customer": 2, "labeler": 5}, "valid": {"customer": 1}},
        "Prompt": {"valid": {"playground": 4}, "test": {"playground": 3, "dolly": 1}, "train": {"playground": 7}},
    }
    known = {
        record: KnownSnapshot(id=record, record=record, folder="", counts=some, created_at=START, users=0, erased=0)
        for record, some in counts.items()
    }
    assert [tuple(row.values()) for row in table_six(known)] == [
        ("train", "Customers", 2, None, 7), ("train", "Labelers", 5, None, None), ("valid", "Customers", 1, None, 4),
        ("test", "Customers", None, None, 3), ("test", "dolly", None, None, 1),
    ]  # fmt: skip
