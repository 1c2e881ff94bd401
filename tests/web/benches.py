"""A labeler's page in Chromium, and what the store says that was done there."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.drafts import read_draft
from instructloop.store.database.queues import Queue
from instructloop.store.database.submissions import Submission, list_submissions
from web.scripted import PASSWORD, Stage

AXE = Path(__file__).parents[1] / "axe_core" / "axe.min.js"
BARRIERS = "async () => (await axe.run()).violations.map(v => [v.id, v.nodes.map(n => n.target.join(' '))])"
EXPECTED = ("Failed to load resource",)
"""What Chromium writes for every reply that is not 2xx; the drills bring such replies about."""


@contextmanager
def opened(browser: Any, *, width: int = 1280, height: int = 900, may_fail: bool = False, **options: Any) -> Iterator[Any]:
    """A page of a new context that fails the test on any error or refused piece of script; replies may only fail if said so."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page, errors = context.new_page(), []
    page.set_default_timeout(8000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert [error for error in errors if not (may_fail and error.startswith(EXPECTED))] == []


def log_in(page: Any, url: str, name: str = "labeler") -> None:
    page.goto(f"{url}/login")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "/login" not in address)


def work_at(page: Any, url: str, queue: Queue) -> None:
    """The queue's page, with its first task or none."""
    page.goto(f"{url}/labeling/queues/{queue.id}")
    ready(page)


def ready(page: Any) -> None:
    page.wait_for_selector("body[data-ready]")


def press(page: Any, keys: str) -> None:
    """Keys with blanks between."""
    for key in keys.split():
        page.keyboard.press(key)


def drop(page: Any, chip: str, target: str) -> None:
    """Drag a chip to a rank or between two, with the mouse."""
    page.locator(chip).evaluate("chip => chip.scrollIntoView({block: 'center'})")
    source, aim = page.locator(chip).bounding_box(), page.locator(target).bounding_box()
    page.mouse.move(source["x"] + source["width"] / 2, source["y"] + source["height"] / 2)
    page.mouse.down()
    page.mouse.move(aim["x"] + aim["width"] / 2 - 9, aim["y"] + aim["height"] / 2, steps=3)
    page.mouse.move(aim["x"] + aim["width"] / 2, aim["y"] + aim["height"] / 2)
    page.mouse.up()


def tab_to(page: Any, selector: str) -> None:
    """By the Tab key alone."""
    for _ in range(80):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached")


def until(page: Any, expression: str, *, seconds: float = 8.0) -> Any:
    """What an expression says once that is something. Asked anew each time, as `wait_for_function` is forbidden by the pages' policy."""
    end = time.monotonic() + seconds
    while not (said := page.evaluate(expression)):
        assert time.monotonic() < end, f"{expression} after {seconds:g} seconds"
        page.wait_for_timeout(10)
    return said


def saved(page: Any) -> None:
    """Wait until the page says that the server has everything."""
    page.wait_for_selector("#saved:text-matches('^Saved ')")


def submitted(page: Any) -> None:
    """Wait for the next task, or for there being none."""
    heard(page, "Submitted.")


def heard(page: Any, words: str) -> None:
    """Wait until the live region says something that begins so; it is emptied, so that it can be waited for again."""
    page.wait_for_selector(f"#said:text-matches('^{words}')", state="attached")
    page.evaluate("document.getElementById('said').textContent = ''")


def submissions(site: Stage, name: str = "labeler") -> list[Submission]:
    """What the store has of a person, the oldest first."""
    person = site.people[name]
    return (
        list_submissions(site.store, person)[::-1]
        if person.role == "labeler"
        else [one for one in list_submissions(site.store, person)[::-1] if one.account_id == person.id]
    )


def by_letters(site: Stage, submission: Submission) -> dict[str, Any]:
    """The body of a submission, with the letters that its labeler saw in place of ids."""
    with site.store.reading() as connection:
        shown = connection.execute(sa.select(schema.leases.c.shown).where(schema.leases.c.id == submission.lease_id)).scalar_one()
    letters = dict(zip(shown, "ABCDEFGHI", strict=False))
    body = dict(submission.body)
    if "groups" in body:
        body["groups"] = [sorted(letters[answer] for answer in group) for group in body["groups"]]
    if "ratings" in body:
        body["ratings"] = {letters[answer]: rating for answer, rating in sorted(body["ratings"].items(), key=lambda one: letters[one[0]])}
    if body.get("preferred"):
        body["preferred"] = letters[body["preferred"]]
    return body


def draft_of(site: Stage, name: str = "labeler") -> Any:
    """The draft of the task that a person has had in hand for longest; None if there is none."""
    with site.store.reading() as connection:
        leases = schema.leases
        mine = leases.c.account_id == site.people[name].id, leases.c.state == "active"
        lease = connection.execute(sa.select(leases.c.id).where(*mine).order_by(leases.c.taken_at)).scalars().first()
    return read_draft(site.store, site.people[name], lease) if lease else None
