"""What goes wrong while people work: races, tabs, sessions that end, networks and servers that die. No word is lost, nothing is there twice."""

import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from instructloop.store.database.leases import free, held_leases, list_leases
from instructloop.store.database.opening import open_store
from instructloop.store.database.queues import Queue
from instructloop.store.database.sessions import list_sessions, revoke_session
from web.benches import AXE, BARRIERS, by_letters, draft_of, log_in, opened, press, saved, submissions, submitted, until, work_at
from web.labeling_stage import HOSTILE, about_prompts, judged, queue_of, work_of
from web.scripted import PASSWORD, Stage, stage
from web.site_process import free_port, serving

FINISHED = "#none:not([hidden])"


def writing(site: Stage, count: int = 1, **settings: Any) -> Queue:
    queue = queue_of(site, "demonstration", **settings)
    about_prompts(site, queue, count)
    return queue


def test_two_browsers_race_for_one_task(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = writing(site, 1)
    with opened(browser) as one, opened(browser) as other:
        log_in(one, url)
        log_in(other, url, "researcher")
        for page in (one, other):
            page.evaluate("path => { location.href = path }", f"/labeling/queues/{queue.id}")
        found = []
        for page in (one, other):
            page.wait_for_selector("body[data-ready]")
            found.append(page.is_visible("#task"))
        assert sorted(found) == [False, True]
        assert other.is_visible("#none") or one.is_visible("#none")
    assert len(list_leases(site.store, site.people["lead"], queue.id)) == 1


def test_a_draft_is_saved_and_there_for_another_browser(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = queue_of(site, "ranking")
    judged(site, queue, 1)
    with opened(browser) as page:
        log_in(page, url)
        work_at(page, url, queue)
        press(page, "6 q Control+Enter 3")
        saved(page)
        assert draft_of(site).body["answer"]["ratings"]["A"] == {"likert": 6, "flags": ["fails_task"]}
        press(page, "n")
        page.keyboard.type("Half a th")
        page.goto(f"{url}/account")  # gone before half a second is over
        for _ in range(50):
            if draft_of(site).body["answer"]["ratings"]["B"].get("note") == "Half a th":
                break
            page.wait_for_timeout(40)
    with opened(browser) as page:
        log_in(page, url)
        work_at(page, url, queue)
        assert page.get_attribute(".step:nth-child(2)", "aria-current") == "step"
        assert page.input_value("#of-B-note") == "Half a th"
        assert page.is_checked(".scale [value='3']")


def test_a_session_that_ends_is_begun_again_in_place(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue, me = writing(site, 2), site.people["labeler"]
    with opened(browser, may_fail=True) as page:
        log_in(page, url)
        work_at(page, url, queue)
        page.fill("#once-text", "Before.")
        saved(page)
        for session in list_sessions(site.store, me, me.id):
            revoke_session(site.store, me, session.id)
        page.fill("#once-text", "Before. After.")
        page.wait_for_selector("#relogin[open]")
        page.fill("#relogin-password", "not the password")
        page.keyboard.press("Enter")
        page.wait_for_selector("#relogin-problem:text('That is not the password')")
        page.fill("#relogin-password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector("#relogin", state="hidden")
        saved(page)
        assert draft_of(site).body["answer"] == {"text": "Before. After."}
        page.click("#forward")
        submitted(page)
        page.fill("#once-text", "Sent without a session.")
        saved(page)
        for session in list_sessions(site.store, me, me.id):
            revoke_session(site.store, me, session.id)
        page.evaluate("document.getElementById('forward').click()")
        page.wait_for_selector("#relogin[open]")
        page.fill("#relogin-password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector(FINISHED)
    assert [submission.body["text"] for submission in submissions(site)] == ["Before. After.", "Sent without a session."]


@pytest.mark.parametrize("choice", ["mine", "theirs"])
def test_two_tabs_do_not_overwrite_each_other(place: tuple[Stage, str], browser: Any, choice: str) -> None:
    site, url = place
    queue = writing(site)
    with opened(browser, may_fail=True) as first:
        log_in(first, url)
        work_at(first, url, queue)
        second = first.context.new_page()
        work_at(second, url, queue)
        first.fill("#once-text", "Written in the first tab.")
        saved(first)
        second.fill("#once-text", "Written in the second tab.")
        second.wait_for_selector("#conflict[open]")
        assert draft_of(site).body["answer"]["text"] == "Written in the first tab."
        assert second.locator("#versions pre").all_text_contents() == ["Written in the second tab.", "Written in the first tab."]
        second.click(f"#conflict [value={choice}]")
        saved(second)
        kept = "Written in the second tab." if choice == "mine" else "Written in the first tab."
        assert second.input_value("#once-text") == kept
        assert draft_of(site).body["answer"]["text"] == kept
        second.click("#forward")
        second.wait_for_selector(FINISHED)
        first.click("#forward")  # submitted already, in the other tab
        first.wait_for_selector(FINISHED)
    assert [submission.body["text"] for submission in submissions(site)] == [kept]


def test_without_a_network_everything_goes_on(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = writing(site, 2)
    with opened(browser, may_fail=True) as page:
        log_in(page, url)
        work_at(page, url, queue)
        page.wait_for_timeout(300)  # the next task is fetched ahead
        page.context.set_offline(True)
        page.fill("#once-text", "Written in a tunnel.")
        page.wait_for_selector("#banner:text('No connection')")
        assert page.text_content("#saved") == "Kept in this browser"
        page.click("#forward")
        page.wait_for_selector("#saved:text('Waiting for the connection')")
        assert submissions(site) == []
        page.context.set_offline(False)
        submitted(page)
        page.wait_for_selector("#banner", state="hidden")
    assert [submission.body["text"] for submission in submissions(site)] == ["Written in a tunnel."]


def test_a_task_taken_back_is_said_and_the_next_one_given(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = writing(site, 2)
    with opened(browser, may_fail=True) as page:
        log_in(page, url)
        work_at(page, url, queue)
        page.wait_for_timeout(300)
        lease = held_leases(site.store, site.people["labeler"], queue.id)[0]
        free(site.store, site.people["lead"], lease.id)
        page.fill("#once-text", "Too late.")
        page.wait_for_selector("#lost[open]")
        page.click("#lost button")
        page.wait_for_selector("#lost", state="hidden")
        until(page, "document.querySelector('#once-text').value === ''")  # the next task may still be on its way


def test_a_clock_that_is_wrong_by_years_changes_nothing(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = writing(site)
    with opened(browser) as page:
        page.clock.install(time=datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC))
        log_in(page, url)
        page.goto(f"{url}/labeling/queues/{queue.id}")
        page.wait_for_selector("#task:not([hidden])")
        page.fill("#once-text", "From the last century.")
        page.clock.run_for(700)
        saved(page)
        press(page, "Control+Enter")
        page.wait_for_selector(FINISHED)
    (submission,) = submissions(site)
    assert submission.at.year >= 2026
    assert 0 < submission.work["seconds"] < 60


def test_hostile_texts_stay_texts_and_pasting_is_measured(place: tuple[Stage, str], browser: Any) -> None:
    site, url = place
    queue = queue_of(site, "ranking", HOSTILE)
    judged(site, queue, 1, texts=(HOSTILE,), prompt=HOSTILE)
    with opened(browser) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        log_in(page, url)
        assert HOSTILE in page.locator(".queue h3").all_text_contents()
        work_at(page, url, queue)
        assert page.text_content("#asked-text") == HOSTILE
        press(page, "n")
        page.evaluate("text => navigator.clipboard.writeText(text)", HOSTILE)
        press(page, "Control+v Escape")
        for _ in range(4):
            assert page.text_content(".alone .card-text") == HOSTILE
            press(page, "1 Control+Enter")
        press(page, "1 j 1 j 2 j 2 Control+Enter")
        page.wait_for_selector(FINISHED)
        page.goto(f"{url}/labeling")
        assert page.title() == "Labeling · instructloop"
    (submission,) = submissions(site)
    body = by_letters(site, submission)
    assert body["ratings"]["A"]["note"] == HOSTILE
    assert body["groups"] == [["A", "B"], ["C", "D"]]
    assert submission.work["pasted"] == pytest.approx(len(HOSTILE) / (len(HOSTILE) + 0), abs=0.35)


@pytest.mark.parametrize(
    ("theme", "width"),
    [("light", 390), ("dark", 1280), pytest.param("light", 1280, marks=pytest.mark.slow), pytest.param("dark", 390, marks=pytest.mark.slow)],
)
def test_every_page_is_without_barriers(place: tuple[Stage, str], browser: Any, theme: str, width: int) -> None:
    site, url = place
    long = "A long answer with many words. " * 200
    ranking, evaluating = queue_of(site, "ranking", "Rank"), queue_of(site, "evaluation", "Judge")
    judged(site, ranking, 1, num_answers=9, texts=(long, "Short."), prompt=long)
    judged(site, evaluating, 1, num_answers=2, texts=(long,))
    describing, empty, closed = queue_of(site, "prompt_metadata"), writing(site, 0), queue_of(site, "ranking")
    about_prompts(site, describing, 1)
    work_of(site, "labeler")
    with opened(browser, width=width, color_scheme=theme, reduced_motion="reduce", may_fail=True) as page:
        log_in(page, url)

        def look(name: str) -> None:
            page.evaluate(AXE.read_text(encoding="utf-8"))
            assert page.evaluate(BARRIERS) == [], name
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name

        look("home")
        for queue, name in ((empty, "nothing left"), (describing, "describing"), (evaluating, "rating")):
            work_at(page, url, queue)
            look(name)
        press(page, "4 Control+Enter 4 Control+Enter")
        look("deciding")
        work_at(page, url, ranking)
        for _ in range(9):
            press(page, "4 Control+Enter")
        press(page, "1 j 1 j 3 Control+Enter")
        look("ranking")
        press(page, "c k c")
        look("comparing")
        press(page, "Escape s")
        look("skipping")
        press(page, "Escape ?")
        look("keys")
        page.goto(f"{url}/labeling/own")
        look("own work")
        assert closed.settings.open


@pytest.mark.parametrize("delays", [(0.01,), pytest.param((0.0, 0.003, 0.006, 0.02, 0.04), marks=pytest.mark.slow)])
def test_the_server_is_killed_between_draft_and_submission_and_during_it(tmp_path: Path, browser: Any, delays: tuple[float, ...]) -> None:
    site = stage(tmp_path, models={})
    queue = writing(site, len(delays))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with opened(browser, may_fail=True) as page:
        with serving(str(tmp_path / "feedback.db"), port):
            log_in(page, url)
            work_at(page, url, queue)
            page.fill("#once-text", "Answer 0, drafted")
            saved(page)
        assert draft_of(site).body["answer"]["text"] == "Answer 0, drafted"
        page.fill("#once-text", "Answer 0, and more.")
        page.wait_for_selector("#saved:text('Kept in this browser')")
        for number, delay in enumerate(delays):
            with serving(str(tmp_path / "feedback.db"), port) as process:
                page.fill("#once-text", f"Answer {number}, and more.")
                saved(page)
                page.evaluate("setTimeout(() => document.getElementById('forward').click(), 0)")
                time.sleep(delay)
                process.send_signal(signal.SIGKILL)
            with serving(str(tmp_path / "feedback.db"), port):
                if number == len(delays) - 1:
                    page.wait_for_selector(FINISHED, timeout=20_000)
                else:
                    page.wait_for_selector("#said:text-matches('^Submitted')", state="attached", timeout=20_000)
                    page.evaluate("document.getElementById('said').textContent = ''")
    site.store.close()
    site.store = open_store(tmp_path / "feedback.db")
    assert [submission.body["text"] for submission in submissions(site)] == [f"Answer {number}, and more." for number in range(len(delays))]
    site.store.close()
