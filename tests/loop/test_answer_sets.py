"""Answers for people to rank: different, from the models in their shares, and the same however often the making stopped."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instructloop.errors import CheckpointError, Interrupted, ResumeError, RunFinished
from instructloop.loop import answer_sets
from instructloop.loop.answer_plan import Answering, ModelShare, NumAnswers
from instructloop.loop.answer_sets import Asked, sample_answer_sets
from instructloop.model.checkpoint import checkpoint_hash
from instructloop.model.policy import load_policy
from instructloop.protocols import Generated, Sampling
from instructloop.records import AnswerSet, Prompt
from instructloop.rollout.beam import beam_search
from instructloop.rollout.engine import LocalEngine
from instructloop.store.jsonl import read_records, write_records
from instructloop.store.snapshots import open_snapshot
from instructloop.text.rendering import render_prompt
from instructloop.text.tokenizer import load_tokenizer
from toy_runs import TEXT, freeze_records, prompts, toy_tokenizer, write_policy

ROOM = 6


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    tokenizer = toy_tokenizer()
    paths = [str(write_policy(tmp_path / name, tokenizer, seed=seed)) for seed, name in enumerate(("sft", "ppo"))]
    return Asked(
        models=(ModelShare(paths[0], 0.75), ModelShare(paths[1], 0.25)),
        prompts=freeze_records(tmp_path / "prompts", {"train": prompts(40)}),
        split="train",
        num_answers=NumAnswers(2, 5),
        answering=Answering(max_new_tokens=ROOM, precision="fp32"),
        text=TEXT,
        out=tmp_path / "answers.jsonl",
    )


def read(path: Path) -> list[AnswerSet]:
    return list(read_records(path, AnswerSet))


def test_every_prompt_gets_different_answers_from_the_models_in_their_shares(asked: Asked) -> None:
    sets = read(sample_answer_sets(asked))
    assert [one.prompt for one in sets] == prompts(40)
    assert {len(one.completions) for one in sets} == {2, 3, 4, 5}
    assert {one.provenance.snapshot for one in sets} == {open_snapshot(asked.prompts).id}
    for one in sets:
        assert len({answer.text.strip() for answer in one.completions}) == len(one.completions)
        assert all(answer.prompt_id == one.prompt.id and 1 <= len(answer.token_ids or ()) <= ROOM for answer in one.completions)
    answers = [answer for one in sets for answer in one.completions]
    origins = Counter(answer.model_id for answer in answers)
    first, second = asked.models
    assert origins[first.path] / len(answers) == pytest.approx(0.75, abs=0.05)
    assert {(answer.model_id, answer.provenance.model) for answer in answers} == {
        (model.path, checkpoint_hash(model.path)) for model in (first, second)
    }
    places = [place for one in sets for place, answer in enumerate(one.completions) if answer.model_id == second.path]
    assert 0 in places, "the order says nothing about the model"


def test_a_record_holds_all_that_is_needed_to_draw_its_answer_again(asked: Asked) -> None:
    one = read(sample_answer_sets(asked))[3]
    for answer in one.completions:
        assert answer.model_id is not None
        assert answer.sampling is not None
        tokenizer = load_tokenizer(answer.model_id)
        policy = load_policy(answer.model_id, precision="fp32", tokenizer=tokenizer, context=TEXT.context)
        engine = LocalEngine(policy, pad_id=tokenizer.pad_id)
        sampling = Sampling(max_new_tokens=ROOM, temperature=float(answer.sampling["temperature"]), stop_ids=frozenset({tokenizer.end_id}))
        (again,) = engine.generate([render_prompt(tokenizer, one.prompt.text, TEXT)], sampling, [int(answer.sampling["seed"])])
        assert (again.ids, again.finish_reason) == (answer.token_ids, answer.finish_reason)
        assert tokenizer.decode(again.ids) == answer.text


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_interrupted_and_gone_on_with_gives_the_same_bytes(asked: Asked, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr(answer_sets, "CHUNK", 8)
    straight = sample_answer_sets(replace(asked, out=asked.out.with_name(f"straight{suffix}")), slots=8)
    stopped = replace(asked, out=asked.out.with_name(f"stopped{suffix}"))
    monkeypatch.setattr(answer_sets, "answer_chunk", interrupted_after(2))
    with pytest.raises(Interrupted, match="after 16 of 40 prompts"):
        sample_answer_sets(stopped, slots=8)
    assert not stopped.out.exists()
    with open(f"{stopped.out}.partial", "ab") as partial:
        partial.write(b'{"prompt": {"id": "half a li')
    monkeypatch.undo()
    monkeypatch.setattr(answer_sets, "CHUNK", 8)
    assert sample_answer_sets(stopped, slots=8).read_bytes() == straight.read_bytes()
    assert not Path(f"{stopped.out}.partial").exists()
    with pytest.raises(RunFinished):
        sample_answer_sets(stopped, slots=8)


def interrupted_after(chunks: int) -> Callable[..., Any]:
    calls = iter(range(100))
    answer_chunk = answer_sets.answer_chunk

    def answer(*arguments: Any) -> Any:
        if next(calls) == chunks:
            raise KeyboardInterrupt
        return answer_chunk(*arguments)

    return answer


def test_a_file_begun_with_other_settings_is_refused_by_name(asked: Asked) -> None:
    sample_answer_sets(asked)
    for changed in (
        replace(asked, answering=replace(asked.answering, seed=1)),
        replace(asked, models=asked.models[::-1]),
        replace(asked, num_answers=NumAnswers(2, 4)),
    ):
        with pytest.raises(ResumeError, match=r"begun with other settings \((seed|models|num_answers): "):
            sample_answer_sets(changed)
    Path(f"{asked.out}.settings.json").unlink()
    with pytest.raises(ResumeError, match="exists"):
        sample_answer_sets(asked)


def test_prompts_without_room_or_with_one_answer_only_are_left_out_and_counted(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    long = Prompt(id="long", text="grass " * 60, user_id="u")
    write_records(asked.out.with_name("prompts.jsonl"), [*prompts(3), long])
    one_thing = replace(asked.answering, temperature=1e-6)
    out = sample_answer_sets(
        replace(asked, prompts=asked.out.with_name("prompts.jsonl"), models=(replace(asked.models[0], share=1.0),), answering=one_thing)
    )
    assert read(out) == []
    assert json.loads(Path(f"{out}.settings.json").read_text())["counts"] == {"too long": 1, "without two different answers": 3}
    assert "left out: 1 too long, 3 without two different answers" in capsys.readouterr().out


def test_prompts_with_fewer_answers_than_asked_are_kept_and_counted(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the three likeliest first tokens, drawn from alone, come three different answers at most, of the five asked for."""
    few = replace(asked.answering, max_new_tokens=1, top_k=3)
    out = sample_answer_sets(replace(asked, models=(replace(asked.models[0], share=1.0),), answering=few, num_answers=NumAnswers(5, 5)))
    sets = read(out)
    assert sets
    assert {len(one.completions) for one in sets} <= {2, 3}
    assert json.loads(Path(f"{out}.settings.json").read_text())["counts"]["with fewer answers than asked"] == len(sets)
    assert f"{len(sets)} prompts answered, {len(sets)} with fewer answers than asked; left out: " in capsys.readouterr().out


def test_no_answers_from_a_model_whose_engine_disagrees_with_it(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalEngine, "generate", misreporting(LocalEngine.generate))
    with pytest.raises(CheckpointError, match="law A2 is broken"):
        sample_answer_sets(asked)
    assert not asked.out.exists()


def misreporting(generate: Callable[..., list[Generated]]) -> Callable[..., list[Generated]]:
    """An engine whose log-probabilities are a hundredth of a nat off."""

    def wrong(*given: Any) -> list[Generated]:
        return [replace(answer, logprobs=tuple(logp - 0.01 for logp in answer.logprobs)) for answer in generate(*given)]

    return wrong


def test_beam_answers_are_the_likeliest(asked: Asked) -> None:
    model = replace(asked.models[0], share=1.0)
    beam = Answering(method="beam", beam_width=6, length_penalty=0.5, max_new_tokens=ROOM, precision="fp32")
    sets = read(sample_answer_sets(replace(asked, models=(model,), num_answers=NumAnswers(3, 3), answering=beam)))
    tokenizer = load_tokenizer(model.path)
    engine = LocalEngine(load_policy(model.path, precision="fp32", tokenizer=tokenizer, context=TEXT.context), pad_id=tokenizer.pad_id)
    for one in sets[:4]:
        best = beam_search(
            engine, render_prompt(tokenizer, one.prompt.text, TEXT), width=6, num_answers=6,
            length_penalty=0.5, max_new_tokens=ROOM, stop_ids=frozenset({tokenizer.end_id}),
        )  # fmt: skip
        different = list({tokenizer.decode(answer.ids).strip(): answer.ids for answer in reversed(best)}.values())[::-1]
        assert {answer.token_ids for answer in one.completions} == set(different[:3])
        assert all(
            answer.sampling == {"method": "beam", "beam_width": 6, "length_penalty": 0.5, "max_new_tokens": ROOM} for answer in one.completions
        )
