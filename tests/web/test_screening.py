"""Screening: what candidates reach, counted by hand; and spot checks."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from instructloop.errors import AccessDenied, ConfigError
from instructloop.records import AnswerSet, Completion, Prompt
from instructloop.store.database import schema
from instructloop.store.database.leases import lease_next
from instructloop.store.database.queues import Queue, QueueSettings, create_queue
from instructloop.store.database.roles import Account
from instructloop.store.database.screening import create_screening, list_screenings
from instructloop.store.database.spot_checks import list_checks
from instructloop.store.database.submissions import list_submissions, submit
from instructloop.store.database.tasks import NewTask, add_answer_sets, add_tasks
from instructloop.web.candidates import sheets
from store_world import ranking_body
from web.people import browsing
from web.scripted import Stage

WIDE = QueueSettings(overlap=9)


def ranks(site: Stage, person: Account, queue: Queue, groups: Sequence[Sequence[str]], sensitive: Sequence[str]) -> None:
    """The same ranking of every task, with the same answers flagged."""
    answers = [answer for group in groups for answer in group]
    ratings = {answer: {"likert": 4, "flags": ["violent_content"] if answer in sensitive else ["hallucination"], "note": ""} for answer in answers}
    while (lease := lease_next(site.store, person, queue.id)) is not None:
        submit(site.store, person, lease.id, {"ratings": ratings, "groups": [list(group) for group in groups], "better": None}, key=lease.id)


def judged(site: Stage) -> Queue:
    lead = site.people["lead"]
    queue = create_queue(site.store, lead, name="test", kind="ranking", mode="evaluation", settings=WIDE)
    sets = [
        AnswerSet(
            prompt=Prompt(id=f"p{place}", text=f"Prompt {place}", user_id="u"),
            completions=tuple(Completion(id=name, prompt_id=f"p{place}", text=name) for name in "abcd"),
        )
        for place in range(5)
    ]
    add_answer_sets(site.store, lead, queue.id, sets, licence="CC0")
    return queue


def test_the_results_against_the_cut_offs(site: Stage) -> None:
    """The researcher says a > b > c > d and flags d. The labeler ties a and b, and flags c and d: 5 of 6 pairs, 3 of 4 texts."""
    lead, queue = site.people["lead"], judged(site)
    ranks(site, site.people["researcher"], queue, ["a", "b", "c", "d"], "d")
    ranks(site, site.people["labeler"], queue, ["ab", "c", "d"], "cd")
    screening = create_screening(site.store, lead, name="spring", speech=queue.id, ranking=queue.id, writing=None)
    (sheet,) = sheets(site.store, lead, screening)
    assert (sheet.person.name, sheet.reached) == ("labeler", 2)
    assert (sheet.ranking.value, sheet.ranking.n, sheet.ranking.prompts) == (pytest.approx(5 / 6), 30, 5)
    assert (sheet.speech.value, sheet.speech.n) == (pytest.approx(3 / 4), 20)
    with browsing(site, "researcher") as browser:
        page = browser.http.get("/admin/screening").text
        assert page.count("Reached") == 2
        assert "83.3 %" in page


def test_demonstrations_are_rated_without_a_name(site: Stage) -> None:
    lead, labeler = site.people["lead"], site.people["labeler"]
    queue = create_queue(site.store, lead, name="write", kind="demonstration", mode="evaluation", settings=WIDE)
    source = judged(site)
    add_tasks(site.store, lead, queue.id, [NewTask(prompt_id=f"p{place}") for place in range(2)])
    while (lease := lease_next(site.store, labeler, queue.id)) is not None:
        submit(site.store, labeler, lease.id, {"text": "<b>An answer</b>"}, key=lease.id)
    screening = create_screening(site.store, lead, name="spring", speech=None, ranking=source.id, writing=queue.id)
    for likert in (7, 5):
        with browsing(site, "researcher") as browser:
            page = browser.http.get("/admin/screening").text
            assert "&lt;b&gt;An answer" in page
            assert page.split('id="rate"')[1].count("labeler") == 0, "whose it is, is not said"
            submission = page.split('name="submission" value="')[1].split('"')[0]
            assert browser.submit("/admin/screening/ratings", submission=submission, likert="9").status_code == 400
            assert browser.submit("/admin/screening/ratings", submission=submission, likert=str(likert)).status_code == 303
            assert browser.submit("/admin/screening/ratings", submission=submission, likert=str(likert)).status_code == 409
    (sheet,) = sheets(site.store, lead, screening)
    assert (sheet.writing.value, sheet.writing.n, sheet.writing.prompts) == (6.0, 2, 2)


def test_nobody_rates_their_own_demonstration_nor_what_is_none(site: Stage) -> None:
    lead, researcher = site.people["lead"], site.people["researcher"]
    ranked, queue = judged(site), create_queue(site.store, lead, name="write", kind="demonstration", mode="evaluation", settings=WIDE)
    add_tasks(site.store, lead, queue.id, [NewTask(prompt_id="p0")])
    lease = lease_next(site.store, researcher, queue.id)
    assert lease is not None
    own = submit(site.store, researcher, lease.id, {"text": "Mine."}, key="own").id
    ranks(site, site.people["labeler"], ranked, ["a", "b", "c", "d"], "")
    ranking = list_submissions(site.store, site.people["labeler"])[0].id
    with browsing(site, "researcher") as browser:
        for submission in (own, ranking, "none"):
            assert browser.submit("/admin/screening/ratings", submission=submission, likert="7").status_code == 404
    with browsing(site, "lead") as browser:
        assert browser.submit("/admin/screening/ratings", submission=own, likert="7").status_code == 303


def test_tests_must_not_train(site: Stage) -> None:
    lead = site.people["lead"]
    training = create_queue(site.store, lead, name="rank", kind="ranking", mode="training")
    for queues in ({"ranking": training.id}, {"writing": judged(site).id}, {}):
        with pytest.raises(ConfigError):
            create_screening(site.store, lead, name="x", **{"speech": None, "ranking": None, "writing": None, **queues})
    with pytest.raises(AccessDenied):
        create_screening(site.store, site.people["researcher"], name="x", speech=None, ranking=training.id, writing=None)
    assert list_screenings(site.store, lead) == []


def test_people_assess_themselves_and_may_change_it(site: Stage) -> None:
    with browsing(site, "labeler") as browser:
        assert browser.submit("/self-assessment", topic="astrology").status_code == 400
        browser.submit("/self-assessment", topic="religion")
        browser.submit("/self-assessment", topic="age", note="I am 70.")
        page = browser.http.get("/self-assessment").text
    assert 'value="age" checked' in page
    assert 'value="religion" checked' not in page
    with site.store.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.self_assessments)).scalar_one() == 2, "nothing is overwritten"


def test_a_spot_check_is_of_each_submission_once(site: Stage) -> None:
    queue, labeler = judged(site), site.people["labeler"]
    ranks(site, labeler, queue, ["a", "b", "c", "d"], "")
    seen = set()
    with browsing(site, "lead") as browser:
        for place in range(5):
            page = browser.http.get("/admin/spot-checks").text
            submission = page.split('name="submission" value="')[1].split('"')[0]
            assert labeler.name not in page.split("<main")[1].split("What was found")[0]
            seen.add(submission)
            browser.submit("/admin/spot-checks", submission=submission, fine=str(place > 0).lower(), note="hasty" if place == 0 else "")
        page = browser.http.get("/admin/spot-checks").text
    assert len(seen) == 5
    assert "Nothing to check" in page
    assert "80.0 % [37.6, 96.4], n = 5" in page
    (doubtful,) = (one for one in list_checks(site.store, site.people["lead"]) if not one.fine)
    assert (doubtful.person, doubtful.note) == (labeler.id, "hasty")


SAID: Mapping[str, Any] = {
    "demonstration": {"text": "A trout."},
    "prompt_metadata": {"use_case": "brainstorming", "marks": ["ambiguous"]},
    "ranking": ranking_body("ab"),
    "evaluation": {"ratings": ranking_body("ab")["ratings"], "preferred": None},
    "plain": {"prompt": "Name a lake.", "use_case": None},
    "few_shot": {"instruction": "Name the mood.", "shots": [{"query": "I passed!", "response": "happy"}, {"query": "Rain.", "response": "sad"}],
                 "use_case": None},
}  # fmt: skip


@pytest.mark.parametrize("kind", SAID)
def test_a_submission_of_every_kind_can_be_checked(site: Stage, kind: Any) -> None:
    lead, labeler = site.people["lead"], site.people["labeler"]
    asked = Prompt(id="p", text="Name a fish.", user_id="user")
    answers = tuple(Completion(id=id_, prompt_id="p", text=f"answer {id_}", model_id="m") for id_ in "ab")
    add_answer_sets(
        site.store,
        lead,
        create_queue(site.store, lead, name="stock", kind="ranking").id,
        [AnswerSet(prompt=asked, completions=answers)],
        licence="CC0",
    )
    writes = kind in ("plain", "few_shot")
    queue = create_queue(site.store, lead, name="queue", kind="write_prompt" if writes else kind)
    judges = ("a", "b") if kind in ("ranking", "evaluation") else ()
    add_tasks(site.store, lead, queue.id, [NewTask(prompt_kind=kind) if writes else NewTask(prompt_id="p", answers=judges)])
    lease = lease_next(site.store, labeler, queue.id)
    assert lease is not None
    submit(site.store, labeler, lease.id, SAID[kind], key="k")
    with browsing(site, "lead") as browser:
        shown = browser.http.get("/admin/spot-checks")
    assert shown.status_code == 200
    words = {"demonstration": "A trout.", "prompt_metadata": "Ambiguous", "plain": "Name a lake.", "few_shot": "I passed! → happy"}
    assert words.get(kind, "answer b") in shown.text
