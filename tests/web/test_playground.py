"""The playground and one's own data, read back from the store: what is kept is what was allowed, and nothing else."""

import json
import time
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.models import NewModel, choose_model, register_model, show_model
from instructloop.store.database.prompts import StoredPrompt, history
from web.people import Browser, browsing
from web.scripted import Script, Stage, stage

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "</textarea><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
)
MARKUP = ("<", '"', "'")


def ask(browser: Browser, **changes: Any) -> list[dict[str, Any]]:
    """The events of one prompt."""
    body = {
        "prompt": "x",
        "models": ["first"],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 3,
        "stop": [],
        "store": False,
        "train": False,
        "notice": "1",
    }
    answer = browser.send("/playground/answers", {**body, **changes})
    assert answer.status_code == 200, answer.text
    return [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n") if event]


def kept(site: Stage, name: str = "ada") -> list[StoredPrompt]:
    return history(site.store, site.people[name], site.people[name].id)


def reactions(site: Stage) -> list[tuple[str, dict[str, Any]]]:
    with site.store.reading() as connection:
        rows = connection.execute(sa.select(schema.reactions.c.kind, schema.reactions.c.body).order_by(schema.reactions.c.at)).all()
    return [(row.kind, row.body) for row in rows]


def test_without_consent_nothing_is_stored(site: Stage) -> None:
    with browsing(site, "ada") as browser:
        events = ask(browser)
    assert [event["type"] for event in events] == ["start", "piece", "piece", "piece", "end", "done"]
    assert events[0]["prompt"] is None
    assert events[-1]["answers"] == [None]
    assert kept(site) == []
    asked = site.models["first"].asked[-1]
    assert (asked.sampling.temperature, asked.sampling.top_p, asked.sampling.max_new_tokens, asked.fit_context) == (0.5, 0.9, 3, True)


def test_each_prompt_carries_its_own_consent(site: Stage) -> None:
    with browsing(site, "ada") as browser:
        events = ask(browser, prompt="stored", store=True)
        ask(browser, prompt="trained on", store=True, train=True)
    trained, stored = kept(site)
    assert (stored.id, stored.text, stored.may_store, stored.may_train, stored.consent) == (events[0]["prompt"], "stored", True, False, "1")
    assert (trained.text, trained.may_store, trained.may_train) == ("trained on", True, True)
    text = "".join(event["text"] for event in events if event["type"] == "piece")
    (answer,) = stored.generations
    assert (answer.id, answer.text, answer.model, answer.finish_reason) == (events[-1]["answers"][0], text, "first", "length")
    assert answer.sampling == {"temperature": 0.5, "top_p": 0.9, "max_new_tokens": 3}


def test_what_cannot_be_agreed_to_is_refused(site: Stage) -> None:
    body = {"prompt": "x", "models": ["first"], "temperature": 1, "top_p": 1, "max_tokens": 1, "store": True, "train": True, "notice": "1"}
    wrong = (
        ({"store": False}, 400, "tick both boxes"), ({"notice": "0"}, 409, "another one"), ({"models": ["third"]}, 404, "does not exist"),
        ({"models": []}, 400, "models"),
        ({"prompt": "  "}, 400, "empty"), ({"prompt": "\0"}, 400, "NUL"), ({"max_tokens": 9999}, 400, "at most 2048"),
        ({"stop": ["a"] * 5}, 400, "stop"), ({"extra": 1}, 400, "extra"), ({"store": "yes"}, 400, "store"), ({"prompt": "busy!"}, 429, "taken"),
        ({"prompt": "away!"}, 503, "cannot answer"), ({"prompt": "long!"}, 400, "5,000 tokens"), ({"prompt": "bug!"}, 500, "went wrong"),
    )  # fmt: skip
    with browsing(site, "ada") as browser:
        for change, status, said in wrong:
            answer = browser.send("/playground/answers", {**body, **change})
            assert (answer.status_code, said in answer.json()["error"]["message"]) == (status, True), answer.text
    assert kept(site) == []


def test_two_models_side_by_side_and_what_is_thought_of_them(site: Stage) -> None:
    with browsing(site, "ada") as browser:
        events = ask(browser, models=["first", "second"], store=True)
        prompt, (a, b) = events[0]["prompt"], events[-1]["answers"]
        assert {event["side"] for event in events if event["type"] == "piece"} == {0, 1}
        assert [kept.model for kept in sorted(kept(site)[0].generations, key=lambda one: (a, b).index(one.id))] == ["first", "second"]
        assert browser.send("/playground/thumbs", {"prompt": prompt, "answer": a, "up": True}).status_code == 200
        assert browser.send("/playground/comparisons", {"prompt": prompt, "answers": [a, b], "better": b}).status_code == 200
        assert browser.send("/playground/comparisons", {"prompt": prompt, "answers": [a, b], "better": "other"}).status_code == 400
        assert browser.send("/playground/thumbs", {"prompt": prompt, "answer": "other", "up": True}).status_code == 400
    assert reactions(site) == [("thumb", {"answer": a, "up": True}), ("comparison", {"better": b, "answers": [a, b]})]


def test_an_answer_that_breaks_off_is_stored_as_far_as_it_came(site: Stage) -> None:
    with browsing(site, "ada") as browser:
        events = ask(browser, prompt="break!", store=True, max_tokens=9)
    assert events[-1]["type"] == "error"
    (answer,) = kept(site)[0].generations
    assert answer.text == "".join(event["text"] for event in events if event["type"] == "piece")
    assert answer.finish_reason is None


def test_the_model_that_is_chosen_stands_first_and_hidden_ones_are_not_offered(site: Stage) -> None:
    for name in ("first", "second"):
        register_model(site.store, None, NewModel(name=name, place="somewhere"))
    choose_model(site.store, None, "second")
    with browsing(site, "ada") as browser:
        page = browser.http.get("/playground").text
        assert page.index("<option selected>second</option>") < page.index("<option>first</option>")
        show_model(site.store, None, "first", visible=False)
        assert "first</option>" not in browser.http.get("/playground").text


def test_without_a_model_the_page_says_what_to_do(tmp_path: Any) -> None:
    site = stage(tmp_path, models={})
    with browsing(site, "ada") as browser:
        page = browser.http.get("/playground").text
    assert "No model is being served" in page
    assert 'id="run" disabled' in page


def test_what_people_and_models_write_is_text_everywhere(site: Stage) -> None:
    with browsing(site, "ada") as browser:
        for hostile in HOSTILE:
            prompt = ask(browser, prompt=hostile, store=True)[0]["prompt"]
            browser.submit("/account/keys", name=hostile)
            for path in (f"/playground?prompt={prompt}", "/data", "/account", "/playground"):
                page = browser.http.get(path).text
                assert hostile not in page or not hostile.startswith(MARKUP), path
                assert f">{7 * 7}<" not in page
        assert browser.submit("/login", name=HOSTILE[0], password="x").text.count("<script>") == 0
        for path in (f"/{HOSTILE[0]}", f"/playground?prompt={HOSTILE[1]}", f"/data?before={HOSTILE[0]}"):
            page = browser.http.get(path).text
            assert not any(hostile in page for hostile in HOSTILE)


def test_my_data_shows_withdraws_and_erases(site: Stage) -> None:
    with browsing(site, "ada") as browser:
        for word in ("first words", "second words", "third words"):
            ask(browser, prompt=word, store=True, train=True)
        third, second, first = kept(site)
        assert browser.http.get("/data").text.count("may train models") == 3

        browser.submit(f"/data/{first.id}/withdraw")
        browser.submit(f"/data/{second.id}/delete")
        third, second, first = kept(site)
        assert (first.may_train, first.text) == (False, "first words")
        assert (second.text, second.generations[0].text, second.erased_at is not None) == (None, None, True)
        assert third.may_train
        page = browser.http.get("/data").text
        assert "second words" not in page
        assert "Erased" in page

        lines = [json.loads(line) for line in browser.http.get("/data/download").text.splitlines()]
        assert [line["text"] for line in lines] == ["third words", None, "first words"]
        assert lines[0]["answers"][0]["text"]
        assert browser.http.get(f"/playground?prompt={second.id}").status_code == 404

        browser.submit("/data/delete")
        assert [prompt.text for prompt in kept(site)] == [None, None, None]
        assert "Prompts erased: 2." in browser.http.get("/data").text


def test_what_was_said_of_answers_is_among_ones_data(site: Stage) -> None:
    with browsing(site, "ada") as browser:
        events = ask(browser, store=True, models=["first", "second"])
        prompt, (one, other) = events[0]["prompt"], events[-1]["answers"]
        for up in (True, False):
            browser.send("/playground/thumbs", {"prompt": prompt, "answer": one, "up": up})
        assert "You: bad" in browser.http.get("/data").text
        browser.send("/playground/comparisons", {"prompt": prompt, "better": other, "answers": [one, other]})
        page = browser.http.get("/data").text
        assert page.index("You: the worse one") < page.index("You: the better one")
        (line,) = (json.loads(line) for line in browser.http.get("/data/download").text.splitlines())
        assert [(said["kind"], said.get("up"), said.get("better")) for said in line["reactions"]] == [
            ("thumb", True, None),
            ("thumb", False, None),
            ("comparison", None, other),
        ]
        assert all(datetime.fromisoformat(said["at"]) for said in line["reactions"])
    with browsing(site, "bob") as browser:
        assert browser.http.get("/data/download").text == ""
        assert browser.http.get(f"/data?before={prompt}").status_code == 404


def test_pages_of_data(site: Stage) -> None:
    with browsing(site, "ada") as browser:
        site.models["first"].words = 1
        for number in range(23):
            ask(browser, prompt=f"number {number:02d}.", store=True)
        first = browser.http.get("/data").text
        assert "number 03." in first
        assert "number 02." not in first
        older = first.split('href="/data?before=')[1].split('"')[0].replace("&amp;", "&")
        second = browser.http.get(f"/data?before={older}").text
        assert [f"number {number:02d}." in second for number in range(5)] == [True, True, True, False, False]
        assert browser.http.get("/data?before=yesterday").status_code == 404
        assert len(browser.http.get("/data/download").text.splitlines()) == 23


def test_the_api_stores_what_the_owner_of_the_key_allows(site: Stage) -> None:
    with browsing(site) as program:

        def create(key: str, **changes: Any) -> None:
            body = {"model": "first", "prompt": "asked", "max_tokens": 2, **changes}
            assert program.http.post("/v1/completions", json=body, headers={"Authorization": f"Bearer {key}"}).status_code == 200

        create(site.key("ada"))
        assert kept(site) == []
        create(site.key("ada", store=True), prompt=["one", "two"], n=2, user="u-17")
        two, one = sorted(kept(site), key=lambda prompt: prompt.text or "", reverse=True)
        assert (one.text, one.may_train, one.consent, one.user_id) == ("one", False, "1", f"{site.people['ada'].id}/u-17")
        assert [len(prompt.generations) for prompt in (one, two)] == [2, 2]
        create(site.key("bob", store=True, train=True), safety_identifier="s", user="u", stream=True)
        (streamed,) = kept(site, "bob")
        assert (streamed.may_train, streamed.user_id.rpartition("/")[2]) == (True, "s")
        assert len(streamed.generations) == 1


def test_a_client_that_hangs_up_has_still_asked(tmp_path: Any) -> None:
    import httpx

    from web.scripted import served

    site = stage(tmp_path, models={"slow": Script(pace=0.02)})
    headers, body = {"Authorization": f"Bearer {site.key('ada', store=True)}"}, {"model": "slow", "prompt": "x", "max_tokens": 500, "stream": True}
    with served(site.app) as address:
        with httpx.stream("POST", f"{address}/v1/completions", json=body, headers=headers) as response:
            next(response.iter_lines())
        for _ in range(100):
            if kept(site) and kept(site)[0].generations:
                break
            time.sleep(0.02)
    (answer,) = kept(site)[0].generations
    assert answer.finish_reason is None
    assert answer.text is not None
    assert answer.text.startswith("Seed")
