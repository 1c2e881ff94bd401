"""The funnel: the stages in order, every prompt accounted for, the same result however it is computed."""

from collections import Counter
from functools import partial

import pytest

from curate.prompts import prompt
from instructloop.curate.funnel import Curated, Tools, run_funnel
from instructloop.curate.settings import STAGES, Curation
from instructloop.curate.workers import CHUNK, in_this_process, text_map
from instructloop.errors import ConfigError
from instructloop.records import Prompt
from instructloop.store.layouts import read_prompts
from instructloop.store.splits import assign_split
from shared_data import SHARED, needs_shared

SETTINGS = Curation(per_user=3, max_tokens=30, prefix_characters=20, valid=0.2, test=0.2)
SPLIT = partial(assign_split, fractions=SETTINGS.fractions, seed=0)


def _lengths(texts: object) -> list[int]:
    return [len(text.split()) for text in texts]  # type: ignore[attr-defined]


TOOLS = Tools(split_of=SPLIT, lengths=_lengths)


def _crowd(count: int = 60) -> list[Prompt]:
    """Prompts of which every stage removes some."""
    texts = [
        lambda n: f"What is number {n} in words?",
        lambda n: f"Write to person{n}@example.com about the meeting.",
        lambda n: "Name three fruits." if n % 2 else "NAME three fruits. ",
        lambda n: f"Tell a story in which somebody finds a {'dog' if n % 16 < 8 else 'cat'}.",
        lambda n: "Schreibe mir bitte einen langen Brief an meine liebe Großmutter.",
        lambda n: f"My card is 4111 1111 1111 1111, number {n}.",
        lambda n: f"Repeat word{n} " + "often " * 40,
        lambda n: f"Classify item {n}.\n\nQuery: a{n}\nResponse: x\n\nQuery: b{n}\nResponse: y",
    ]
    made = []
    for n in range(count):
        kind = "few_shot" if n % 8 == 7 else None
        made.append(prompt(texts[n % 8](n), id=f"p{n}", user=f"u{n % 5}", kind=kind, consent=None if n % 13 == 5 else "CC0-1.0"))
    return made


def _run(prompts: list[Prompt], **more: object) -> Curated:
    return run_funnel(prompts, SETTINGS, TOOLS, **more)  # type: ignore[arg-type]


def test_every_prompt_stays_or_has_a_reason_and_every_stage_acts() -> None:
    prompts = _crowd()
    curated = _run(prompts)
    stayed = {kept.id.split("/")[0] for members in curated.prompts.values() for kept in members}
    gone = [removal.id for removal in curated.removals]
    assert sorted([*stayed, *gone]) == sorted(prompt.id for prompt in prompts)
    assert [report.stage for report in curated.stages] == list(STAGES)
    assert all(report.removed for report in curated.stages if report.stage not in ("split", "few_shot"))
    for report, following in zip(curated.stages, curated.stages[1:], strict=False):
        assert report.kept == following.came
        assert report.stage == "few_shot" or report.came - report.removed == report.kept
    assert Counter(removal.stage for removal in curated.removals) == {r.stage: r.removed for r in curated.stages if r.removed}


def test_masked_prompts_stay_and_nothing_found_is_written_down() -> None:
    curated = _run(_crowd(), stages=["pii"])
    texts = [kept.text for kept in curated.prompts["all"]]
    assert "Write to [email] about the meeting." in texts
    assert not any("@" in text or "4111" in text for text in texts)
    written = " ".join(f"{removal.reason} {removal.detail}" for removal in curated.removals)
    assert "dropped: card" in written
    assert "4111" not in written


def test_a_released_prompt_is_let_be_and_a_held_one_waits() -> None:
    settings = Curation(pii_mask=(), pii_drop=(), pii_hold=("email",))
    asked = [prompt("Write to a@b.co", id="a"), prompt("Write to c@d.co", id="c")]
    curated = run_funnel(asked, settings, Tools(split_of=SPLIT, released=frozenset("c")), stages=["pii"])
    assert [(removal.id, removal.reason, removal.detail) for removal in curated.removals] == [
        ("a", "held for a person: email", "email at 9 to 15 (characters)")
    ]
    assert curated.prompts == {"all": [asked[1]]}


def test_no_user_is_in_two_splits_and_examples_stay_with_their_prompt() -> None:
    curated = _run(_crowd(300))
    users = [{kept.user_id for kept in members} for members in curated.prompts.values()]
    assert sum(map(len, users)) == len(set().union(*users))
    for split, examples in curated.demonstrations.items():
        ids = {kept.id for kept in curated.prompts[split]}
        assert {example.prompt.id for example in examples} <= ids
        assert all(example.prompt.user_id in {kept.user_id for kept in curated.prompts[split]} for example in examples)
    assert sum(map(len, curated.demonstrations.values())) == 2 * curated.stages[-1].changes["expanded"]


def test_a_further_user_changes_nobody_elses_split() -> None:
    split_of = {kept.id: split for split, members in _run(_crowd(), stages=["split"]).prompts.items() for kept in members}
    grown = [*_crowd(), *(prompt(id=f"new{n}", user=f"newcomer{n}") for n in range(30))]
    for split, members in _run(grown, stages=["split"]).prompts.items():
        assert all(split_of.get(kept.id, split) == split for kept in members)


@pytest.mark.parametrize("stage", ["consent", "language", "pii", "cap", "length", "split", "few_shot"])
def test_the_order_of_the_prompts_does_not_matter_but_for_duplicates(stage: str) -> None:
    prompts = _crowd()
    results = [_run(order, stages=[stage]) for order in (prompts, prompts[::-1])]
    sides = [{(split, kept) for split, members in result.prompts.items() for kept in members} for result in results]
    assert sides[0] == sides[1]


def test_several_processes_give_what_one_gives() -> None:
    prompts = [prompt(f"{kept.text} {n}", id=f"{kept.id}-{n}", user=kept.user_id) for n in range(40) for kept in _crowd()]
    assert len(prompts) > 2 * CHUNK
    alone = _run(prompts, stages=["language", "pii"])
    with text_map(2) as apply:
        together = run_funnel(prompts, SETTINGS, Tools(split_of=SPLIT, apply=apply), stages=["language", "pii"])
    assert alone.prompts == together.prompts
    assert alone.removals == together.removals
    assert alone.removals


def test_the_text_map_keeps_the_order() -> None:
    texts = [str(number) for number in range(2_345)]
    assert list(in_this_process(lambda chunk: [text + "!" for text in chunk], texts)) == [text + "!" for text in texts]


def test_length_without_a_tokenizer_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="--tokenizer"):
        run_funnel(_crowd(), SETTINGS, Tools(split_of=SPLIT))


def test_a_blank_consent_is_none() -> None:
    asked = [prompt(id=str(n), consent=consent) for n, consent in enumerate((None, "", "  ", "notice 3"))]
    assert [kept.id for kept in _run(asked, stages=["consent"]).prompts["all"]] == ["3"]


@needs_shared
def test_the_cap_alone_and_after_repeats_on_real_prompts() -> None:
    """25,715 prompts of 3,234 users, ../shared/data/prompts_by_user.jsonl.gz: skipped where they are absent."""
    prompts = list(read_prompts(SHARED / "prompts_by_user.jsonl.gz"))
    (cap,) = run_funnel(prompts, Curation(), TOOLS, stages=["cap"]).stages
    assert (cap.came, cap.removed, cap.users, cap.kept) == (25_715, 2_322, 14, 23_393)
    repeats, cap = run_funnel(prompts, Curation(), TOOLS, stages=["cap", "exact"]).stages
    assert (repeats.stage, repeats.removed) == ("exact", 2_967)
    assert (cap.removed, cap.users) == (1_532, 11)
    for per_user, removed, users in ((100, 4_605, 34), (50, 7_509, 94), (10, 15_110, 416)):
        (cap,) = run_funnel(prompts, Curation(per_user=per_user), TOOLS, stages=["cap"]).stages
        assert (cap.removed, cap.users) == (removed, users)
