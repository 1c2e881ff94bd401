"""Revising what was submitted, one's own and, for leads, anybody's, in a real browser; what became of it is read back from the store."""

from typing import Any

from instructloop.store.database.drafts import read_draft
from instructloop.store.database.leases import lease_next
from instructloop.store.database.submissions import submit
from store_world import ranking_body
from web.benches import log_in, opened, press, saved, submissions, work_at
from web.labeling_stage import about_prompts, judged, queue_of
from web.scripted import Stage


def test_a_revision_is_drafted_as_an_answer_is(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = queue_of(site, "demonstration")
    about_prompts(site, queue, 1)
    with opened(browser) as page:
        log_in(page, url)
        work_at(page, url, queue)
        page.fill("#once-text", "The first answer.")
        press(page, "Control+Enter")
        page.wait_for_selector("#none:not([hidden])")
        (first,) = submissions(site)
        page.goto(f"{url}/labeling/submissions/{first.id}")
        page.wait_for_selector("#once-text")
        page.fill("#once-text", "The first answer, and half of a")
        saved(page)
    assert read_draft(site.store, site.people["labeler"], first.lease_id).body["answer"]["text"] == "The first answer, and half of a"
    with opened(browser, may_fail=True) as page, opened(browser) as elsewhere:
        for one in (page, elsewhere):
            log_in(one, url)
            one.goto(f"{url}/labeling/submissions/{first.id}")
            one.wait_for_selector("#once-text")
            assert one.input_value("#once-text") == "The first answer, and half of a"
        elsewhere.fill("#once-text", "The second answer.")
        saved(elsewhere)
        page.fill("#once-text", "Something else.")
        page.wait_for_selector("#conflict[open]")
        page.click("#conflict [value=theirs]")
        saved(page)
        press(page, "Control+Enter")
        page.wait_for_url("**/labeling/own")
    assert [submission.body["text"] for submission in submissions(site)] == ["The first answer.", "The second answer."]
    assert read_draft(site.store, site.people["labeler"], first.lease_id) is None


def test_a_lead_revises_what_somebody_said_and_both_are_kept(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = queue_of(site, "ranking")
    judged(site, queue, 1)
    lease = lease_next(site.store, site.people["labeler"], queue.id)
    assert lease is not None
    first = submit(site.store, site.people["labeler"], lease.id, ranking_body(lease.shown), key="1")
    with opened(browser) as page:
        log_in(page, url, "lead")
        page.goto(f"{url}/admin/tasks/{first.task_id}")
        page.click("a:text-is('Revise')")
        page.wait_for_selector("text=This is what labeler said.")

        page.click(".step:nth-child(1)")
        press(page, "1")
        saved(page)
        page.click(".step:last-child")
        press(page, "Control+Enter")
        page.wait_for_url(f"**/admin/tasks/{first.task_id}")
    (old,), (new,) = submissions(site), submissions(site, "lead")
    assert (old.id, new.revises) == (first.id, first.id)
    changed = {answer for answer, rating in new.body["ratings"].items() if rating != old.body["ratings"][answer]}
    assert changed == {lease.shown[0]}
    assert new.body["ratings"][lease.shown[0]]["likert"] == 1
    assert new.body["groups"] == old.body["groups"]
