"""Every queue in a real browser, by keyboard alone and by mouse; what was done is read back from the store."""

from typing import Any

import pytest
import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.labels import current_labels
from instructloop.store.database.queues import QueueSettings, acknowledge_guide, change_queue, publish_guide
from instructloop.store.database.tasks import NewTask, add_tasks
from web.benches import by_letters, drop, heard, log_in, opened, press, saved, submissions, submitted, tab_to, work_at
from web.labeling_stage import HOSTILE, about_prompts, judged, queue_of
from web.scripted import Stage


def test_nine_answers_by_keyboard_alone(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    guide = publish_guide(site.store, site.people["lead"], name="How to rank", mode="training", text="# How\n\n- Best first.")
    queue = queue_of(site, "ranking", "Nine", guide_id=guide.id)
    judged(site, queue, 2, num_answers=9)
    with opened(browser) as page:
        log_in(page, url)
        tab_to(page, f"a[href='/labeling/queues/{queue.id}']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/labeling/queues/*")
        tab_to(page, ".acknowledge button")
        page.keyboard.press("Enter")
        page.wait_for_selector("#task:not([hidden])")
        assert page.evaluate("document.querySelectorAll('#stage :checked').length") == 0
        for number in range(9):
            press(page, str(1 + number % 7))
            if number == 1:
                press(page, "q e e p n")  # e twice: on, and off again
                page.keyboard.type("1 fault, at 9:30")  # digits in a box are text
            press(page, "Control+Enter")
        page.wait_for_selector(".board")
        press(page, "1 j 2 j 2 j 5 j 9 j 4 j 3 j 7 j 8")  # A 1, B C 2, D 5, E 9, F 4, G 3, H 7, I 8
        assert page.text_content("#said") == "Answer I: rank 8. 9 of 9 ranked."
        press(page, "0 z")  # taken away, and back again
        assert page.text_content("#said") == "Undone."
        press(page, "ArrowUp ArrowUp ArrowUp")  # I: 8, 7, 6, 5: equal with D
        assert page.text_content("#said") == "Answer I: rank 5, equal with D. 9 of 9 ranked."
        press(page, "Shift+Digit1")  # I alone on 1; A moves to where B and C are no longer
        press(page, "b")
        page.keyboard.type("A better one.")
        press(page, "Control+Enter")
        submitted(page)
        assert page.evaluate("document.querySelectorAll('#stage :checked').length") == 0, "the next task is untouched"
    (submission,) = submissions(site)
    body = by_letters(site, submission)
    assert [rating["likert"] for rating in body["ratings"].values()] == [1, 2, 3, 4, 5, 6, 7, 1, 2]
    assert body["ratings"]["B"] == {"likert": 2, "flags": ["fails_task", "expresses_opinion"], "note": "1 fault, at 9:30"}
    assert body["groups"] == [["I"], ["A"], ["B", "C"], ["G"], ["F"], ["D"], ["H"], ["E"]]
    assert body["better"] == "A better one."
    assert submission.guide_id == guide.id
    assert 0 < submission.work["seconds"] < 60
    assert submission.work["pasted"] == 0
    assert [label["body"]["text"] for label in current_labels(site.store, None, "demonstration")] == ["A better one."]


def test_four_answers_by_mouse(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = queue_of(site, "ranking", "Four")
    judged(site, queue, 1)
    with opened(browser) as page:
        log_in(page, url)
        page.click("text=Start")
        page.wait_for_selector("#task:not([hidden])")
        for number in range(4):
            page.click(f".scale label:nth-child({7 - number})")
            if number == 0:
                page.click("label:has-text('States something made up')")
            page.click("#forward")
        drop(page, ".tray .chip:has-text('A')", "[data-drop='2']")
        drop(page, ".tray .chip:has-text('B')", "[data-drop='2']")
        drop(page, "[data-answer=C] .grip", "[data-drop='before 2']")
        page.click("[data-answer=D] .ranks label:nth-child(4)")
        page.click("[data-answer=D] .ranks label:nth-child(4)")
        assert page.text_content("#said") == "Answer D: no rank. 3 of 4 ranked."
        page.click("[data-answer=D] .ranks label:nth-child(1)")
        page.click("#undo")
        page.click("#forward")
        assert page.text_content("#problem") == "Give every answer a rank. Without one: D."
        page.click("[data-answer=D] .ranks label:nth-child(1)")
        page.click("[data-answer=A] >> text=Compare")
        page.click("[data-answer=C] >> text=Compare")
        page.click("#comparing .twin:last-child .ranks label:nth-child(4)")
        page.click("#comparing >> text=Close")
        page.dblclick("#forward")
        page.wait_for_selector("#none:not([hidden])")
    (submission,) = submissions(site)
    body = by_letters(site, submission)
    assert [rating["likert"] for rating in body["ratings"].values()] == [7, 6, 5, 4]
    assert body["ratings"]["A"]["flags"] == ["hallucination"]
    assert body["groups"] == [["D"], ["A", "B"], ["C"]]


def test_letter_keys_work_with_caps_lock_on(place: tuple[Stage, str], browser: Any) -> None:
    """With Caps Lock a letter comes as a capital without Shift, which is how a capital is pressed here; Shift makes it small."""
    site, url = place
    queue = queue_of(site, "ranking")
    judged(site, queue, 1, num_answers=2, texts=("A line. " * 400,))
    with opened(browser) as page:
        log_in(page, url)
        work_at(page, url, queue)
        press(page, "3 Q R N")
        page.keyboard.type("SHOUTED")
        press(page, "Escape Q Z J 4 Control+Enter")  # the flag off, and on again; on to B
        page.wait_for_selector(".board")
        press(page, "1 J 2 X")
        assert page.locator(".rankable.open").count() == 1, "one card is expanded"
        press(page, "Shift+x")  # Playwright sends what is named: a small letter with Shift
        assert page.locator(".rankable.open").count() == 2, "and now both"
        press(page, "K C J C")
        page.wait_for_selector("#comparing[open]")
        press(page, "Escape B")
        page.keyboard.type("A BETTER ONE")
        press(page, "Escape S")
        page.wait_for_selector("#skipping[open]")
        press(page, "Escape Control+Enter")
        page.wait_for_selector("#none:not([hidden])")
    (submission,) = submissions(site)
    body = by_letters(site, submission)
    assert body["ratings"]["A"] == {"likert": 3, "flags": ["fails_task", "satisfies_constraint"], "note": "SHOUTED"}
    assert body["groups"] == [["A"], ["B"]]
    assert body["better"] == "A BETTER ONE"


@pytest.mark.parametrize("num_answers", [4, 9])
def test_nothing_is_submitted_untouched_and_all_may_be_equal(place: tuple[Stage, str], browser: Any, num_answers: int) -> None:
    site, url = place
    queue = queue_of(site, "ranking")
    judged(site, queue, 1, num_answers=num_answers)
    with opened(browser) as page:
        log_in(page, url)
        work_at(page, url, queue)
        press(page, "Control+Enter")
        assert page.text_content("#problem") == "Rate answer A from 1 to 7 first."
        page.click(".step:last-child")
        press(page, "Control+Enter")
        assert (page.text_content("#problem") or "").startswith("Give every answer a rank.")
        press(page, "1 j " * num_answers)
        press(page, "Control+Enter")
        assert page.text_content("#problem") == "Rate answer A from 1 to 7 first.", "back to the first that is not rated"
        assert submissions(site) == []
        for _ in range(num_answers):
            press(page, "4 Control+Enter")
        press(page, "Control+Enter")
        page.wait_for_selector("#none:not([hidden])")
    (submission,) = submissions(site)
    assert by_letters(site, submission)["groups"] == [list("ABCDEFGHI"[:num_answers])]


def test_two_answers_are_judged_blind(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = queue_of(site, "evaluation", mode="evaluation", overlap=2)
    stock = queue_of(site, "ranking", open=False)
    judged(site, stock, 1, num_answers=2, texts=("One.", "Two."), prompt="Which?")
    prompt = next(iter(current_prompts(site)))
    add_tasks(site.store, site.people["lead"], queue.id, [NewTask(prompt_id=prompt, answers=("ppo-0", "ppo-1"))])
    with opened(browser) as page:
        log_in(page, url)
        work_at(page, url, queue)
        press(page, "5 r Control+Enter 3 Control+Enter")
        page.wait_for_selector(".board")
        press(page, "1 Control+Enter")
        page.wait_for_selector("#none:not([hidden])")
    with opened(browser) as page:
        log_in(page, url, "researcher")
        page.goto(f"{url}/labeling/queues/{queue.id}")
        page.wait_for_selector("#task:not([hidden])")
        assert "secret-model" not in page.content()
        assert "ppo-" not in page.content()
        for _ in range(2):
            page.click(".scale label:nth-child(4)")
            page.click("#forward")
        page.click("label:has-text('Equally good')")
        page.click("#forward")
        page.wait_for_selector("#none:not([hidden])")
    (first,), (second,) = submissions(site), submissions(site, "researcher")
    assert by_letters(site, first)["preferred"] == "A"
    assert by_letters(site, first)["ratings"]["A"] == {"likert": 5, "flags": ["satisfies_constraint"], "note": ""}
    assert second.body["preferred"] is None


def current_prompts(site: Stage) -> list[str]:
    with site.store.reading() as connection:
        return list(connection.execute(sa.select(schema.prompts.c.id)).scalars())


def test_demonstrations_and_descriptions_by_keyboard(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    writing, describing = queue_of(site, "demonstration", "Write"), queue_of(site, "prompt_metadata", "Describe")
    about_prompts(site, writing, 2, text=HOSTILE)
    about_prompts(site, describing, 1)
    with opened(browser) as page:
        log_in(page, url)
        work_at(page, url, writing)
        assert page.text_content("#asked-text") == HOSTILE
        press(page, "Control+Enter")
        assert page.text_content("#problem") == "Write something first."
        page.keyboard.type(HOSTILE)
        press(page, "Control+Enter")
        submitted(page)
        page.keyboard.type("A second one.")
        press(page, "Control+Enter")
        page.wait_for_selector("#none:not([hidden])")
        work_at(page, url, describing)
        press(page, "8 q a a Control+Enter")
        page.wait_for_selector("#none:not([hidden])")
        page.goto(f"{url}/labeling/own")
        assert HOSTILE in page.locator(".excerpt").all_text_contents()
        assert page.title() == "Your work · instructloop"
    assert [submission.body for submission in submissions(site)] == [
        {"text": HOSTILE}, {"text": "A second one."}, {"use_case": "classification", "marks": ["ambiguous"]},
    ]  # fmt: skip


def test_prompts_of_every_kind_by_mouse(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = queue_of(site, "write_prompt")
    kinds: list[Any] = ["plain", "few_shot", "user_based"]
    tasks = [NewTask(prompt_kind=kind, about="Tutoring" if kind == "user_based" else None, position=at) for at, kind in enumerate(kinds)]
    add_tasks(site.store, site.people["lead"], queue.id, tasks)
    with opened(browser) as page:
        log_in(page, url)
        work_at(page, url, queue)
        page.fill("#once-prompt", "Tell a joke.")
        page.click("label:has-text('Brainstorming')")
        page.click("#forward")
        page.wait_for_selector("#once-instruction")
        page.fill("#once-instruction", "Name the mood.")
        page.click("text=Add an example")
        page.click("text=Remove example 3")
        for place_, (query, response) in enumerate((("I passed!", "happy"), ("It rained.", "sad"))):
            page.fill(f"#once-shot-{place_}-query", query)
            page.fill(f"#once-shot-{place_}-response", response)
        page.click("#forward")
        page.wait_for_selector("#once-prompt")
        assert page.text_content("#asked-text") == "Tutoring"
        page.fill("#once-prompt", "Explain fractions.")
        page.click("#forward")
        page.wait_for_selector("#none:not([hidden])")
    plain, few_shot, user_based = (submission.body for submission in submissions(site))
    assert plain == {"prompt": "Tell a joke.", "use_case": "brainstorming"}
    assert few_shot["shots"] == [{"query": "I passed!", "response": "happy"}, {"query": "It rained.", "response": "sad"}]
    assert user_based == {"prompt": "Explain fractions.", "use_case": None}


def test_skipping_giving_back_and_revising(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = queue_of(site, "demonstration")
    about_prompts(site, queue, 2)
    with opened(browser) as page:
        log_in(page, url)
        work_at(page, url, queue)
        press(page, "Escape s")
        page.check("[name=reason][value=knowledge]")
        page.fill("#skip-words", HOSTILE)
        press(page, "Control+Enter")
        heard(page, "Skipped.")
        page.wait_for_selector("#stage:not([inert])")
        page.fill("#once-text", "Half")
        saved(page)
        page.click("#give-back")
        page.wait_for_url("**/labeling")
        page.click("text=Start")
        page.wait_for_selector("#task:not([hidden])")
        assert page.input_value("#once-text") == "Half", "what was drafted is there for whoever comes back"
        page.fill("#once-text", "Whole")
        press(page, "Control+Enter")
        page.wait_for_selector("#none:not([hidden])")
        page.goto(f"{url}/labeling/own")
        page.click("text=Look at it again")
        page.wait_for_selector("#once-text")
        assert page.input_value("#once-text") == "Whole"
        page.fill("#once-text", "Better")
        press(page, "Control+Enter")
        page.wait_for_url("**/labeling/own")
        assert page.locator(".own").count() == 1
        assert page.is_visible("text=revised")
    assert [submission.body["text"] for submission in submissions(site)] == ["Whole", "Better"]
    assert skip_reasons(site) == [f"knowledge: {HOSTILE}"]


def skip_reasons(site: Stage) -> list[str]:
    with site.store.reading() as connection:
        return list(connection.execute(sa.select(schema.leases.c.reason).where(schema.leases.c.state == "skipped")).scalars())


def test_a_new_guide_is_read_before_the_next_task(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    lead = site.people["lead"]
    first = publish_guide(site.store, lead, name="Guide", mode="training", text="# One")
    queue = queue_of(site, "demonstration", guide_id=first.id)
    about_prompts(site, queue, 3)
    acknowledge_guide(site.store, site.people["labeler"], first.id)
    with opened(browser, may_fail=True) as page:
        log_in(page, url)
        work_at(page, url, queue)
        page.wait_for_timeout(300)  # the next task is fetched ahead
        second = publish_guide(site.store, lead, name="Guide", mode="training", text=f"# Two\n\n{HOSTILE}")
        change_queue(site.store, lead, queue.id, QueueSettings(guide_id=second.id))
        page.fill("#once-text", "Answer 1")
        press(page, "Control+Enter")
        submitted(page)
        page.fill("#once-text", "Answer 2")
        press(page, "Control+Enter")
        page.wait_for_selector(".acknowledge")
        assert page.text_content(".guide-page h2") == "Two"
        assert page.text_content(".guide-page p") == HOSTILE
        page.click("text=I have read it")
        page.wait_for_selector("#once-text")
        page.click("#guide-toggle")
        assert "Two" in (page.text_content("#guide") or "")
        page.fill("#once-text", "Answer 3")
        press(page, "Control+Enter")
        page.wait_for_selector("#none:not([hidden])")
    assert [submission.guide_id for submission in submissions(site)] == [first.id, first.id, second.id]
