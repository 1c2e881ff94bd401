"""The site in a real browser: a person's whole way through it, by keyboard too, and every page without a barrier.

What was done is read back from the store, never from the page that did it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.invitations import invite
from instructloop.store.database.prompts import StoredPrompt, history
from instructloop.store.database.roles import Account, account_of
from web.scripted import PASSWORD, Script, Stage, served, stage

AXE = Path(__file__).parents[1] / "axe_core" / "axe.min.js"
BARRIERS = "async () => (await axe.run()).violations.map(v => [v.id, v.nodes.map(n => n.target.join(' '))])"
HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


@pytest.fixture
def slow_site(tmp_path: Path) -> Iterator[tuple[Stage, str]]:
    made = stage(tmp_path, models={"first": Script(pace=0.03, words=40), "second": Script(words=12)})
    with served(made.app) as url:
        yield made, url
    made.store.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of a new context that fails the test on any error or refused piece of script."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made, errors = context.new_page(), []
    made.set_default_timeout(8000)
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield made
    context.close()
    assert errors == []


def log_in(page: Any, url: str, name: str) -> None:
    page.goto(f"{url}/login")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/playground")


def person(site: Stage, name: str) -> Account:
    with site.store.reading() as connection:
        return account_of(connection.execute(sa.select(schema.accounts).where(schema.accounts.c.name == name)).mappings().one())


def kept(site: Stage, name: str) -> list[StoredPrompt]:
    someone = person(site, name)
    return history(site.store, someone, someone.id)


def reactions(site: Stage) -> list[tuple[str, Any]]:
    with site.store.reading() as connection:
        return [(row.kind, row.body) for row in connection.execute(sa.select(schema.reactions).order_by(schema.reactions.c.at))]


def wait_until_kept(page: Any, site: Stage, name: str, num_answers: int) -> StoredPrompt:
    for _ in range(100):
        if (found := kept(site, name)) and len(found[0].generations) == num_answers:
            return found[0]
        page.wait_for_timeout(30)
    raise AssertionError("nothing was stored")


def test_from_invitation_to_erasure(slow_site: tuple[Stage, str], page: Any) -> None:
    site, url = slow_site
    token, _ = invite(site.store, site.people["administrator"], "playground")
    page.goto(f"{url}/invitation/{token}")
    page.fill("#name", "Grace <b>Hopper</b>")
    page.fill("#password", PASSWORD)
    page.fill("#repeat", PASSWORD)
    page.click("main button")
    page.wait_for_url("**/playground")
    assert not page.is_checked("#store")
    assert not page.is_checked("#train")

    page.check("#store")
    page.fill("#prompt", HOSTILE)
    page.click("#run")
    page.wait_for_selector("#answer-0 [data-text]:not(:empty)")
    page.wait_for_timeout(150)
    page.click("#stop")
    page.wait_for_selector("#answer-0[aria-busy=false]")
    shown = page.text_content("#answer-0 [data-text]")
    stopped = wait_until_kept(page, site, "Grace <b>Hopper</b>", 1)
    assert (stopped.text, stopped.may_train, stopped.consent) == (HOSTILE, False, "1")
    answer = stopped.generations[0]
    assert answer.finish_reason is None
    assert answer.text is not None
    assert answer.text.startswith(shown)
    assert len(answer.text.split()) < 40
    assert site.models["first"].closed.is_set(), "the model was told to stop"

    page.click("#run")
    page.click("[data-thumb=up]")
    page.wait_for_selector("[data-thumb=up][aria-pressed=true]")
    finished = kept(site, "Grace <b>Hopper</b>")[0]
    assert reactions(site) == [("thumb", {"answer": finished.generations[0].id, "up": True})]
    assert page.text_content("#answer-0 [data-text]") == finished.generations[0].text

    page.click("text=My data")
    assert page.text_content(".entry-text") == HOSTILE
    page.click(".entry:first-child .ask summary")
    page.click("text=Erase it")
    page.wait_for_selector("text=The prompt is erased.")
    assert [prompt.text for prompt in kept(site, "Grace <b>Hopper</b>")] == [None, HOSTILE]
    assert page.title() == "My data · instructloop"


def test_two_answers_by_keyboard_alone(slow_site: tuple[Stage, str], page: Any) -> None:
    site, url = slow_site
    log_in(page, url, "ada")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"

    def tab_to(selector: str) -> None:
        for _ in range(60):
            if page.evaluate(f"document.activeElement.matches({selector!r})"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{selector} cannot be reached")

    tab_to("#store")
    page.keyboard.press("Space")
    tab_to("#train")
    page.keyboard.press("Space")
    tab_to("#prompt")
    page.keyboard.type("Say something.")
    tab_to("#compare")
    page.keyboard.press("Enter")
    tab_to("#temperature")
    page.keyboard.press("Home")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#verdict:not([hidden])")
    tab_to("[data-better='1']")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-better='1'][aria-pressed=true]")
    (prompt,) = kept(site, "ada")
    assert (prompt.text, prompt.may_train) == ("Say something.", True)
    by_model = {answer.model: answer for answer in prompt.generations}
    assert {answer.sampling["temperature"] for answer in prompt.generations} == {0.0}
    assert reactions(site) == [("comparison", {"better": by_model["second"].id, "answers": [by_model["first"].id, by_model["second"].id]})]


def test_the_live_region_speaks_twice_and_never_chatters(slow_site: tuple[Stage, str], page: Any) -> None:
    _, url = slow_site
    log_in(page, url, "ada")
    page.evaluate(
        "window.said = []; new MutationObserver(() => said.push(document.getElementById('said').textContent))"
        ".observe(document.getElementById('said'), {childList: true, characterData: true, subtree: true})"
    )
    page.fill("#prompt", "Say something.")
    page.click("#run")
    page.wait_for_selector("#answer-0[aria-busy=false]")
    page.wait_for_timeout(50)
    assert page.evaluate("said") == ["The model has begun to answer.", "The answer is complete, 40 words."]
    assert page.evaluate("document.querySelectorAll('[aria-live], [role=status], [role=alert]').length") <= 3
    assert page.is_visible("text=Answers can be rated when prompts are stored.")


def test_nothing_jumps_while_an_answer_grows(slow_site: tuple[Stage, str], page: Any) -> None:
    _, url = slow_site
    log_in(page, url, "ada")
    page.fill("#prompt", "Say something.")
    page.click("#run")
    page.wait_for_selector("#answer-0[aria-busy=true]")
    before = page.evaluate("['prompt', 'answer-0', 'compare', 'settings'].map(id => document.getElementById(id).getBoundingClientRect().toJSON())")
    page.wait_for_selector("#answer-0[aria-busy=false]")
    after = page.evaluate("['prompt', 'answer-0', 'compare', 'settings'].map(id => document.getElementById(id).getBoundingClientRect().toJSON())")
    assert [(box["x"], box["y"], box["width"]) for box in before] == [(box["x"], box["y"], box["width"]) for box in after]


def test_consent_to_training_alone_is_asked_about_not_guessed(slow_site: tuple[Stage, str], page: Any) -> None:
    site, url = slow_site
    log_in(page, url, "ada")
    page.check("#train")
    page.fill("#prompt", "Say something.")
    page.click("#run")
    assert page.text_content("#problem") == "Prompts can only be used for training if they are stored: tick both boxes, or neither."
    assert site.models["first"].asked == []
    assert not page.is_checked("#store")


def test_the_colours_are_chosen_without_losing_what_was_written(slow_site: tuple[Stage, str], page: Any) -> None:
    _, url = slow_site
    log_in(page, url, "ada")
    page.fill("#prompt", "half a thought")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click(".menu summary")
    with page.expect_response("**/theme"):
        page.check("input[name=theme][value=dark]")
    assert page.evaluate(ground) != light
    assert page.input_value("#prompt") == "half a thought"
    page.keyboard.press("Escape")
    assert not page.evaluate("document.querySelector('.menu').open")
    page.reload()
    assert page.evaluate(ground) != light


@pytest.mark.parametrize(
    ("theme", "width"),
    [("light", 390), ("dark", 1280), pytest.param("light", 1280, marks=pytest.mark.slow), pytest.param("dark", 390, marks=pytest.mark.slow)],
)
def test_every_page_is_without_barriers(slow_site: tuple[Stage, str], browser: Any, theme: str, width: int) -> None:
    site, url = slow_site
    token, _ = invite(site.store, site.people["administrator"], "labeler")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce")
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def look(name: str) -> None:
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(BARRIERS) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name

    for path in ("/login", f"/invitation/{token}", "/nothing"):
        page.goto(url + path)
        look(path)
    page.goto(f"{url}/data")
    page.fill("#name", "administrator")
    page.fill("#password", PASSWORD)
    page.click("main button")
    look("nothing stored")
    page.goto(f"{url}/playground")
    look("playground")
    page.check("#store")
    page.fill("#prompt", "Say something.")
    page.click("#compare")
    page.click("#run")
    page.wait_for_selector("#answer-0[aria-busy=true]")
    look("an answer growing")
    page.wait_for_selector("#verdict:not([hidden])")
    look("two answers")
    page.goto(f"{url}/data")
    page.click(".entry-answers summary")
    page.click(".ask summary")
    look("my data")
    page.goto(f"{url}/account")
    page.fill("#keys [name=name]", "notebook")
    page.click("#keys form.parted button")
    page.wait_for_selector(".secret")
    page.click(".menu summary")
    look("account")
    page.goto(f"{url}/admin/people")
    page.click("text=Make a link")
    page.wait_for_selector(".secret")
    look("people")
    context.close()
    assert {request for request in asked if not request.startswith(url)} == set()
