"""The loop by people at browsers: a lead, three labelers and a user, from invitations to an answer of the model that came of it.

Verbs freeze and train, as they do for everybody; all that people do is done on pages, and is read back from the store.
"""

import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from browser import chromium
from e2e.browser_people import AtWork, Hand, Lead, Mouse, Touch, join
from e2e.folder import ROOT, TRAIN, Folder
from instructloop.lab.chance import stream
from instructloop.lab.demonstrators import DEMONSTRATORS, answer_as
from instructloop.lab.labelers import TRAINING_LABELERS, labelers
from instructloop.lab.prompts import training_prompts as small_world_prompts
from instructloop.store.database import schema
from instructloop.store.database.audit import read_audit
from instructloop.store.database.jobs import list_jobs
from instructloop.store.database.labels import training_demonstrations, training_prompts, training_rankings
from instructloop.store.database.models import list_models
from instructloop.store.database.opening import Store, open_store
from instructloop.store.database.prompts import history
from instructloop.store.database.roles import Account, account_of
from instructloop.store.splits import assign_split
from web.benches import opened

LABELERS: Mapping[str, tuple[Hand, dict[str, Any]]] = {
    "Anna": (Hand(), {}), "Ben": (Mouse(), {}), "Cleo": (Touch(), {"width": 390, "height": 844, "has_touch": True}),
}  # fmt: skip
EACH = 2
"""Prompts that each labeler writes; the two others answer them, and rank answers to them."""
WRITTEN = EACH * len(LABELERS)
GUIDE = "Writing and ranking"
WATCH = """() => {
  window.seen = [];
  const text = document.querySelector('#answer-0 [data-text]');
  new MutationObserver((changes) => window.seen.push(...changes.map((change) => change.target.textContent)))
    .observe(text, { childList: true, characterData: true, subtree: true });
}"""
"""Notes each change of the answer's text."""


@pytest.mark.slow
def test_from_invitations_to_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop = Folder(tmp_path)
    with chromium() as browser, loop.served() as (address, first_link), ExitStack() as open_pages:
        lead = lead_of(browser, address, first_link, open_pages)
        people = [labeler_of(browser, lead, number, open_pages) for number in range(len(LABELERS))]
        with stored(loop) as (store, accounts):
            assert [accounts[name].role for name in LABELERS] == ["labeler"] * 3
            loop.seed = seed_that_holds_one_out([accounts[name].id for name in LABELERS])

        write(lead, people)
        with stored(loop) as (store, accounts):
            prompts = {one.record.text: one.record.user_id for one in training_prompts(store, None)}
        assert Counter(prompts.values()) == {accounts[name].id: EACH for name in LABELERS}
        said = demonstrate(lead, people)
        with stored(loop) as (store, accounts):
            written = [one.record for one in training_demonstrations(store, None)]
        assert {(one.prompt.text, one.labeler_id, one.text) for one in written} == {(text, accounts[who].id, words) for text, who, words in said}
        assert all(one.labeler_id != one.prompt.user_id for one in written)
        assert len(written) == 2 * WRITTEN

        first_model(loop)
        queue = lead.make_queue("Rank answers", "ranking", overlap=2, guide=GUIDE)
        lead.sample(queue, "sft", num_answers=4, max_new_tokens=12)
        work_off(loop)
        ranked = rank(people, queue)
        with stored(loop) as (store, accounts):
            (job,) = list_jobs(store, accounts["Lena"])
            rankings = [one.record for one in training_rankings(store, None)]
        assert (job.state, job.result) == ("done", {"tasks": WRITTEN, "answers": 4 * WRITTEN})
        assert sorted(as_said(one) for one in rankings) == sorted((text, accounts[who].id, groups) for text, who, groups in ranked)
        assert all(one.labeler_id != one.prompt.user_id for one in rankings)

        last_model(loop)
        lead.choose_model("ppo")
        with stored(loop) as (store, accounts):
            assert [(model.name, model.chosen, model.visible) for model in list_models(store) if model.visible] == [
                ("ppo", True, True), ("sft", False, True),
            ]  # fmt: skip
            assert "choose model" in {row.action for row in read_audit(store, accounts["Root"]) if row.account_id == accounts["Lena"].id}
        talk(loop, browser, address, lead.invite("playground"))
        assert lead.people_inside("ppo") == [*LABELERS]
    capsys.readouterr()
    loop.verb("lineage", tmp_path / "round" / "ppo" / "model", "--store", loop.store, "--look", tmp_path)
    everybody = ", ".join(sorted(accounts[name].id for name in LABELERS))
    assert capsys.readouterr().out.splitlines()[-1] == f"3 users in all: {everybody}"


@contextmanager
def stored(loop: Folder) -> Iterator[tuple[Store, dict[str, Account]]]:
    """The store as another process sees it, and its people by name."""
    store = open_store(loop.store)
    try:
        with store.reading() as connection:
            people = [account_of(row) for row in connection.execute(sa.select(schema.accounts)).mappings()]
        yield store, {account.name: account for account in people}
    finally:
        store.close()


def seed_that_holds_one_out(users: list[str]) -> int:
    """People's ids are drawn at random; with this seed two of them train, and the third is held out."""
    fractions = {"train": TRAIN, "valid": 1 - TRAIN}
    splits = ((seed, [assign_split(user, fractions=fractions, seed=seed) for user in users]) for seed in itertools.count())
    return next(seed for seed, found in splits if sorted(found) == ["train", "train", "valid"])


def lead_of(browser: Any, address: str, first_link: str, open_pages: ExitStack) -> Lead:
    """The first administrator makes an account, and invites the lead."""
    with opened(browser) as page:
        join(page, first_link, "Root")
        link = Lead(page, address).invite("lead")
    page = open_pages.enter_context(opened(browser))
    join(page, link, "Lena")
    return Lead(page, address)


def labeler_of(browser: Any, lead: Lead, number: int, open_pages: ExitStack) -> AtWork:
    """A labeler whom the lead has invited, in a browser of their own."""
    name = [*LABELERS][number]
    hand, options = LABELERS[name]
    page = open_pages.enter_context(opened(browser, **options))
    join(page, lead.invite("labeler"), name)
    return AtWork(page, lead.address, name, labelers(TRAINING_LABELERS[number : number + 1], 0)[0], hand)


def write(lead: Lead, people: list[AtWork]) -> None:
    """Everybody writes prompts, in turn. There are more tasks than prompts, as pages have one in hand that is not yet shown."""
    lead.publish_guide(GUIDE, "training")
    queue = lead.make_queue("Write prompts", "write_prompt", overlap=1, guide=GUIDE)
    lead.add_tasks(queue, 2 * WRITTEN)
    texts = iter([prompt.text for prompt in small_world_prompts(0, WRITTEN)])
    for person in people:
        person.start(queue)
    for _ in range(EACH):
        for person in people:
            person.write(next(texts))


def demonstrate(lead: Lead, people: list[AtWork]) -> list[tuple[str, str, str]]:
    """Everybody answers what the others have written: (prompt, who, answer)."""
    queue = lead.make_queue("Write answers", "demonstration", overlap=2, guide=GUIDE)
    lead.add_tasks(queue, WRITTEN)
    said: list[tuple[str, str, str]] = []
    for person, style in zip(people, DEMONSTRATORS, strict=False):
        person.start(queue)
        while person.has_task:
            prompt = person.prompt
            said.append((prompt, person.name, answer_as(style, prompt, stream(0, "demonstration", style, prompt))))
            person.write(said[-1][2])
    return said


def rank(people: list[AtWork], queue: str) -> list[tuple[str, str, list[list[str]]]]:
    """Everybody ranks, in turn: (prompt, who, texts in groups from best to worst)."""
    said: list[tuple[str, str, list[list[str]]]] = []
    for person in people:
        person.start(queue)
    while any(person.has_task for person in people):
        for person in people:
            if person.has_task:
                prompt, groups = person.rank()
                said.append((prompt, person.name, groups))
    return said


def as_said(ranking: Any) -> tuple[str, str, list[list[str]]]:
    texts = {answer.id: answer.text for answer in ranking.completions}
    return ranking.prompt.text, ranking.labeler_id, [sorted(texts[id_] for id_ in group) for group in ranking.groups]


def first_model(loop: Folder) -> None:
    """SFT on what labelers wrote, and their prompts as a set of prompts."""
    loop.texts()
    loop.freeze("demonstrations", loop.out / "demonstrations")
    loop.sft(loop.out / "demonstrations", loop.out / "sft")
    loop.verb("models", "add", loop.out / "sft", "--store", loop.store)
    loop.curate()


def work_off(loop: Folder) -> None:
    """A worker, as people start it."""
    command = [sys.executable, "-m", "instructloop.cli.main", "worker", "--store", loop.store, "--once", "--folder", str(loop.out / "worker")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, timeout=120)


def last_model(loop: Folder) -> None:
    """Reward model and PPO-ptx from what labelers ranked."""
    loop.freeze("rankings", loop.out / "round" / "rankings")
    loop.reward_and_ppo(loop.out / "sft", loop.out / "demonstrations", loop.out / "round")
    for name in ("reward", "ppo"):
        loop.verb("models", "add", loop.out / "round" / name, "--store", loop.store)


def talk(loop: Folder, browser: Any, address: str, link: str) -> None:
    """A user asks the chosen model, and sees the answer grow; the store has what they saw."""
    with opened(browser) as page:
        join(page, link, "Uma")
        page.goto(f"{address}/playground")
        assert page.input_value("#model-0") == "ppo"
        page.evaluate(WATCH)
        for box in ("store", "train"):
            page.check(f"#{box}")
        page.fill("#length", "24")
        page.focus("#prompt")
        page.keyboard.type("Which kind of food is an apple?")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#answer-0[aria-busy=false]", timeout=60_000)
        page.wait_for_selector("#answer-0 [data-thumb=up]:not([hidden])")
        shown, seen = page.text_content("#answer-0 [data-text]"), page.evaluate("window.seen")
    with stored(loop) as (store, accounts):
        (asked,) = history(store, accounts["Uma"], accounts["Uma"].id)
    assert (asked.text, asked.may_train) == ("Which kind of food is an apple?", True)
    assert [(answer.model, answer.text) for answer in asked.generations] == [("ppo", shown)]
    assert shown.strip()
    assert len(seen) > 1, "the answer came in pieces"
    assert all(shown.startswith(piece) for piece in seen)
