"""Prompts: consent, history, withdrawal, and deletion down to the bytes on the disk."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from instructloop.errors import AccessDenied, ConfigError, DataError, NotFound
from instructloop.records import Prompt
from instructloop.store.database import schema
from instructloop.store.database.drafts import read_draft, save_draft
from instructloop.store.database.erasure import erase_prompt, erase_prompts_of, scrubbed
from instructloop.store.database.intake import take_prompt
from instructloop.store.database.labels import training_demonstrations, training_prompts, training_rankings
from instructloop.store.database.leases import lease_next, skip
from instructloop.store.database.prompts import Consent, NewPrompt, history, read_prompt, record_generation, submit_prompt, submit_prompts, withdraw
from instructloop.store.database.reactions import own_reactions, react
from instructloop.store.database.spot_checks import check_submission
from instructloop.store.database.submissions import submit
from instructloop.store.database.tasks import NewTask, add_tasks, set_known_answer
from store.database.filled import take
from store_world import CONSENT, START, World, ranking_body

SECRET = "XYZZYSECRET"


def test_a_prompt_comes_back_with_its_answers_consent_and_time(world: World) -> None:
    user = world.person("playground")
    prompt = submit_prompt(world.store, user, NewPrompt(text="Name a fruit.", consent=CONSENT, end_user="u7", use_case="brainstorming"))
    answer = record_generation(world.store, user, prompt.id, text="", model="m", sampling={"top_p": 0.9}, finish_reason=None)
    (kept,) = history(world.store, user, user.id)
    assert kept.generations == (answer,)
    assert (kept.text, kept.user_id, kept.consent, kept.created_at) == ("Name a fruit.", f"{user.id}/u7", "notice-1", START)
    (record,) = (one.record for one in training_prompts(world.store, None))
    expected = {"id": prompt.id, "text": "Name a fruit.", "user_id": f"{user.id}/u7", "source": "playground", "consent": "notice-1"}
    assert {name: getattr(record, name) for name in expected} == expected
    assert record.use_case == "brainstorming"


def test_a_history_is_read_in_pieces_even_where_prompts_came_at_one_moment(world: World) -> None:
    user = world.person("playground")
    submit_prompts(world.store, user, [NewPrompt(text=f"Prompt {number}", consent=CONSENT) for number in range(7)])
    found: list[str] = []
    while batch := history(world.store, user, user.id, before=found[-1] if found else None, limit=3):
        found += [prompt.id for prompt in batch]
    assert len(set(found)) == len(found) == 7
    with pytest.raises(NotFound):
        history(world.store, user, user.id, before=world.prompt(author=world.person("playground", "other")))


def test_no_consent_no_prompt_and_no_training_without_consent_to_it(world: World) -> None:
    with pytest.raises(ConfigError):
        Consent(store=False, train=True, version="1")
    for blank in (None, "", " \n"):
        with pytest.raises(ConfigError):
            Consent(store=True, train=True, version=blank)
    with pytest.raises(AccessDenied):
        world.prompt(consent=Consent(store=False, train=False, version="1"))
    only_stored = world.prompt(consent=Consent(store=True, train=False, version="1"))
    assert list(training_prompts(world.store, None)) == []
    with pytest.raises(DataError, match="no consent to training"):
        add_tasks(world.store, world.lead, world.queue("demonstration").id, [NewTask(prompt_id=only_stored)])
    add_tasks(world.store, world.lead, world.queue("demonstration", mode="evaluation").id, [NewTask(prompt_id=only_stored)])


@pytest.mark.parametrize("text", ["", "  \n", "a\0b", "half \ud800", "x" * 200_001])
def test_what_no_database_keeps_is_refused(world: World, text: str) -> None:
    with pytest.raises(DataError):
        world.prompt(text)


def test_nobody_reads_judges_or_erases_the_prompts_of_others(world: World) -> None:
    prompt, stranger = world.prompt(), world.person("playground", "stranger")
    with pytest.raises(NotFound):
        read_prompt(world.store, stranger, prompt)
    for act in (
        lambda: history(world.store, stranger, world.person("playground").id),
        lambda: withdraw(world.store, stranger, prompt),
        lambda: erase_prompt(world.store, stranger, prompt),
        lambda: erase_prompt(world.store, world.lead, prompt),
        lambda: erase_prompts_of(world.store, stranger, world.person("playground").id),
        lambda: react(world.store, stranger, prompt, "thumb", {"answer": "a", "up": True}),
        lambda: record_generation(world.store, stranger, prompt, text="x", model="m", sampling={}, finish_reason="stop"),
    ):
        with pytest.raises(AccessDenied):
            act()
    assert read_prompt(world.store, world.person("researcher"), prompt).erased_at is None


@pytest.mark.parametrize(
    ("kind", "body"),
    [("thumb", {"answer": "other", "up": True}), ("thumb", {"answer": 1}), ("comparison", {"better": None, "answers": []}), ("star", {})],
)
def test_reactions_are_about_answers_to_the_prompt(world: World, kind: str, body: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        react(world.store, world.person("playground"), world.prompt(), kind, body)


def test_a_withdrawn_prompt_trains_no_more_and_its_tasks_end(world: World) -> None:
    queue, user = world.queue("demonstration", overlap=2), world.person("playground")
    prompt = world.prompt()
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=prompt)])
    submit(world.store, world.labeler, take(world, world.labeler, queue).id, {"text": "An apple."}, key="k")
    assert len(list(training_demonstrations(world.store, None))) == 1
    assert not withdraw(world.store, user, prompt).may_train
    assert list(training_demonstrations(world.store, None)) == []
    assert lease_next(world.store, world.person("labeler", "other"), queue.id) is None
    assert history(world.store, user, user.id)[0].text == "Name a fruit."
    with world.store.reading() as connection:
        said = connection.execute(sa.select(schema.consents.c.may_train).where(schema.consents.c.prompt_id == prompt)).scalars().all()
    assert sorted(said) == [False, True], "what was said before stays"


def everything_said(world: World) -> str:
    """All rows of all tables as one text."""
    with world.store.reading() as connection:
        return "\n".join(repr(connection.execute(sa.select(table)).all()) for table in schema.METADATA.sorted_tables)


def test_a_deletion_takes_every_text_made_from_the_prompt(world: World) -> None:
    user, other = world.person("playground"), world.person("labeler", "other")
    prompt = world.prompt(f"{SECRET} asks", author=user)
    answers = [
        record_generation(world.store, user, prompt, text=f"{SECRET} answer {i}", model="m", sampling={}, finish_reason="stop").id for i in range(2)
    ]
    queue, demonstrating = world.queue(overlap=2), world.queue("demonstration", overlap=3)
    (task,) = add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=prompt, answers=tuple(answers))])
    add_tasks(world.store, world.lead, demonstrating.id, [NewTask(prompt_id=prompt)])
    body = ranking_body(answers, better=f"{SECRET} better")
    body["ratings"][answers[0]]["note"] = f"{SECRET} note"
    ranked = submit(world.store, world.labeler, take(world, world.labeler, queue).id, body, key="1")
    submit(world.store, world.labeler, take(world, world.labeler, demonstrating).id, {"text": f"{SECRET} demonstration"}, key="2")
    check_submission(world.store, world.lead, ranked.id, fine=False, note=f"{SECRET} remark")
    draft = take(world, other, demonstrating)
    save_draft(world.store, other, draft.id, {"text": f"{SECRET} draft"}, version=0)
    skip(world.store, other, take(world, other, queue).id, f"{SECRET} reason")
    react(world.store, user, prompt, "comparison", {"better": answers[1], "answers": answers})
    set_known_answer(world.store, world.lead, task, body)
    before = read_prompt(world.store, user, prompt)
    erase_prompt(world.store, user, prompt)
    assert SECRET not in everything_said(world)
    after = read_prompt(world.store, user, prompt)
    assert (after.text, after.id, after.created_at, after.text_hash) == (None, before.id, before.created_at, before.text_hash)
    assert after.erased_at is not None
    kept = read_draft(world.store, other, draft.id)
    assert kept is not None
    assert kept.body == {"text": None}
    ((said,),) = own_reactions(world.store, user, [prompt]).values()
    assert said.body["better"] == answers[1], "a judgement, which stays"
    assert list(training_rankings(world.store, None)) == list(training_demonstrations(world.store, None)) == []
    erase_prompt(world.store, user, prompt)
    if world.store.engine.dialect.name == "sqlite":
        files = [path.read_bytes() for path in Path(world.place).parent.glob(f"{Path(world.place).name}*")]
        assert not any(SECRET.encode() in content for content in files)


def test_a_labelers_own_prompt_goes_with_what_they_wrote_it_in(world: World) -> None:
    queue = world.queue("write_prompt")
    add_tasks(world.store, world.lead, queue.id, [NewTask()])
    submit(world.store, world.labeler, take(world, world.labeler, queue).id, {"prompt": f"{SECRET}"}, key="1")
    assert erase_prompts_of(world.store, world.labeler, world.labeler.id) == 1
    assert SECRET not in everything_said(world)


def test_what_curation_made_of_a_prompt_belongs_to_its_author_and_goes_with_it(world: World) -> None:
    user = world.person("playground")
    prompt = world.prompt("Mail ann@example.org.", author=user)
    masked = Prompt(id=prompt, text="Mail [EMAIL].", user_id=user.id, source="playground", consent="notice-1")
    part = Prompt(id=f"{prompt}/shot-1", text=f"{SECRET} part", user_id=user.id, source="playground", consent="notice-1")
    with world.store.writing() as connection:
        with pytest.raises(DataError, match="stands for another"):
            take_prompt(connection, START, masked, None)
        assert not take_prompt(connection, START, masked, None, curated=True)
        assert take_prompt(connection, START, part, None)
    assert [one.record.text for one in training_prompts(world.store, None) if one.record.id == prompt] == ["Mail [EMAIL]."]
    queue = world.queue("demonstration")
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=part.id)])
    erase_prompt(world.store, user, prompt)
    assert SECRET not in everything_said(world)
    assert "[EMAIL]" not in everything_said(world)
    with world.store.writing() as connection, pytest.raises(NotFound, match="erased"):
        take_prompt(connection, START, part, None)


def test_scrubbing_keeps_judgements() -> None:
    body = {"groups": [["a"], ["b"]], "better": "text", "ratings": {"a": {"likert": 3, "flags": ["fails_task"], "note": "text"}}}
    assert scrubbed(body) == {"groups": [["a"], ["b"]], "better": None, "ratings": {"a": {"likert": 3, "flags": ["fails_task"], "note": None}}}
