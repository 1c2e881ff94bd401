"""What leads do on several things at once, and the known answer of a task, in a real browser: with the mouse, and with keys alone."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from instructloop.errors import UserError
from instructloop.store.database import schema
from instructloop.store.database.leases import lease_next
from instructloop.store.database.oversight import lease_rows, queue_overview, task_rows
from instructloop.store.database.task_sheet import task_sheet
from web.benches import press, tab_to
from web.example_site import ExampleSite


@pytest.fixture
def page(browser: Any, example: ExampleSite) -> Iterator[Any]:
    """A page of the lead."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    example.log_in(context, "Lena")
    made = context.new_page()
    made.set_default_timeout(8000)
    yield made
    context.close()


def test_several_leases_are_ticked_and_freed(example: ExampleSite, page: Any) -> None:
    for name in ("Ben", "Chidi", "Dana", "Emil"):
        for queue in example.ids("queues"):
            with contextlib.suppress(UserError):  # who has not read a guide is given nothing
                lease_next(example.store, example.people[name], queue)
    lead = example.people["Lena"]
    assert len(lease_rows(example.store, lead)) > 1
    page.goto(f"{example.url}/admin/leases")
    page.check("[data-all]")
    assert page.text_content("[data-picked]") == f"{len(lease_rows(example.store, lead))} ticked"
    page.click("button[value=free]")
    page.wait_for_selector("text=Nobody holds a task")
    assert lease_rows(example.store, lead) == []


def test_a_task_is_reviewed_and_another_passed_on_with_keys_alone(example: ExampleSite, page: Any) -> None:
    lead = example.people["Lena"]
    (waiting,) = task_rows(example.store, lead, None, state="review")
    page.goto(f"{example.url}/admin/review")
    tab_to(page, "[name=task]")
    press(page, "Space")
    tab_to(page, "[name=overlap]")
    page.keyboard.type("6")
    tab_to(page, "[value=requeue]")
    press(page, "Enter")
    page.wait_for_selector("text=Offered again: 1.")
    assert task_rows(example.store, lead, None, state="review") == []
    sheet = task_sheet(example.store, lead, waiting.task.id)
    assert (sheet.task.state, sheet.task.overlap, sheet.task.skipped) == ("open", 6, 0)

    held = next(row for row in lease_rows(example.store, lead) if row.lease.purpose == "label")
    page.goto(f"{example.url}/admin/leases")
    tab_to(page, f"[name=lease][value='{held.lease.id}']")
    press(page, "Space")
    tab_to(page, "[name=account]")
    page.keyboard.type("Lena")
    tab_to(page, "[value=reassign]")
    press(page, "Enter")
    page.wait_for_selector("text=Passed to another person: 1.")
    assert "Lena" in {row.name for row in lease_rows(example.store, lead) if row.lease.task_id == held.lease.task_id}


def test_a_known_answer_is_given_with_keys_alone_and_the_share_of_gold_is_set(example: ExampleSite, page: Any) -> None:
    lead = example.people["Lena"]
    (queue,) = example.ids("queues", schema.queues.c.name == "Compare the new model")
    task = task_rows(example.store, lead, queue, state="open")[0].task
    page.goto(f"{example.url}/admin/queues/{queue}")
    tab_to(page, f"a[href='/admin/tasks/{task.id}']")
    press(page, "Enter")
    page.wait_for_selector("#likert_A")
    for name, likert in (("A", "6"), ("B", "2")):
        tab_to(page, f"#likert_{name}")
        page.keyboard.type(likert)
    tab_to(page, "[name=preferred]")
    press(page, "Space")
    tab_to(page, "#known .button.main")
    press(page, "Enter")
    page.wait_for_selector("text=The task is gold now")
    sheet = task_sheet(example.store, lead, task.id)
    first, second = (answer for answer, _ in sheet.answers)
    assert sheet.known == {
        "ratings": {first: {"likert": 6, "flags": [], "note": ""}, second: {"likert": 2, "flags": [], "note": ""}}, "preferred": first,
    }  # fmt: skip
    assert sheet.task.is_gold

    page.goto(f"{example.url}/admin/queues/{queue}")
    assert page.is_visible("text=the share of gold is 0")
    for name, share in (("gold_rate", "25"), ("repeat_rate", "10")):
        tab_to(page, f"#{name}")
        press(page, "Control+a")
        page.keyboard.type(share)
    press(page, "Enter")
    page.wait_for_selector("text=The settings are saved.")
    settings = queue_overview(example.store, lead, queue).queue.settings
    assert (settings.gold_rate, settings.repeat_rate) == (0.25, 0.1)


def test_the_known_answer_begins_from_what_somebody_said(example: ExampleSite, page: Any) -> None:
    lead, submissions = example.people["Lena"], schema.submissions
    with example.store.reading() as connection:
        ranked = sa.select(submissions).join_from(submissions, schema.tasks, submissions.c.task_id == schema.tasks.c.id).join(schema.queues)
        ranked = ranked.where(schema.queues.c.name == "Rank answers", ~schema.tasks.c.is_gold, submissions.c.purpose == "label")
        said = connection.execute(ranked.order_by(submissions.c.id)).mappings().first()
    assert said is not None
    page.goto(f"{example.url}/admin/tasks/{said['task_id']}")
    assert page.input_value("#rank_A") == ""
    page.click(f"a[href*='begin={said['id']}']")
    page.wait_for_url("**begin=*")
    page.click("#known .button.main")
    page.wait_for_selector("text=The task is gold now")
    known = task_sheet(example.store, lead, said["task_id"]).known
    assert known is not None
    assert known["groups"] == said["body"]["groups"]
    assert {answer: rating["likert"] for answer, rating in known["ratings"].items()} == {
        answer: rating["likert"] for answer, rating in said["body"]["ratings"].items()
    }


def test_a_form_that_is_on_its_way_is_not_sent_again(example: ExampleSite, page: Any) -> None:
    """The window is the last to hear of a submission: what the page thinks of it is known by then, and nothing leaves the page."""
    (queue,) = example.ids("queues", schema.queues.c.kind == "write_prompt")
    page.goto(f"{example.url}/admin/queues/{queue}")
    held_back = page.evaluate(
        """() => {
            const held = [];
            addEventListener("submit", event => { held.push(event.defaultPrevented); event.preventDefault(); });
            const form = document.querySelector("form[action$='/new-tasks']");
            for (let click = 0; click < 3; click += 1) form.requestSubmit();
            return held;
        }"""
    )
    assert held_back == [False, True, True]
