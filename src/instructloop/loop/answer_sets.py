"""K answers per prompt for people to rank (paper §3.5): from one model or several in given shares, in no order that tells.

Everything about a prompt's answers is a function of the seed and the prompt's id: how many there are, who gives them, what
they say, how they stand. So the file is the same however often its making was interrupted.
"""

import hashlib
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from instructloop.algo.seeds import derive, generator, permutation
from instructloop.config import Run, Text
from instructloop.errors import ConfigError, Interrupted
from instructloop.loop.answer_plan import EVERY_SPLIT, Answering, ModelShare, NumAnswers, answers_of_each
from instructloop.loop.growing_file import open_growing
from instructloop.loop.recorded import trained_text
from instructloop.model.policy import load_policy
from instructloop.model.pretrained import Weights, stop_ids, weights_source
from instructloop.protocols import Generated
from instructloop.records import MIN_ANSWERS, AnswerSet, Completion, Prompt, Provenance
from instructloop.rollout.beam import beam_search
from instructloop.rollout.engine import LocalEngine
from instructloop.steps.device import native_precision, place
from instructloop.steps.laws import probed_engine
from instructloop.steps.progress import Progress
from instructloop.steps.provenance import model_identity
from instructloop.store.layouts import read_prompts
from instructloop.store.snapshots import open_snapshot, read_split
from instructloop.text.rendering import render_prompt
from instructloop.text.tokenizer import Tokenizer, load_tokenizer

CHUNK = 64
"""Prompts answered between two writes, at least: what a kill can cost. As many as there are slots where those are more, since answers
that were there already are drawn anew by few rows at a time."""
ATTEMPTS = 8
"""Rounds of drawing, each in place of answers that were there already."""
FEWER = "with fewer answers than asked"

Settings = dict[str, int | float | str]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What to answer, with what, and where to put it."""

    models: tuple[ModelShare, ...]
    prompts: Path
    """Snapshot of prompts, or a file of them in any known layout."""
    split: str
    """Split of the snapshot; a file is one split."""
    num_answers: NumAnswers
    answering: Answering
    text: Text
    """How prompts are rendered for models whose folder does not say it; our own checkpoints do."""
    out: Path
    weights: Weights = "raw"
    """Which weights of the models answer."""


@dataclass(frozen=True)
class Known:
    """What is known of a model before it is loaded."""

    model: ModelShare
    identity: str
    """Hash of its weights, or hub id."""
    text: Text


@dataclass(frozen=True)
class Respondent:
    """A loaded model that gives a share of the answers."""

    known: Known
    tokenizer: Tokenizer
    engine: LocalEngine
    stop_ids: frozenset[int]

    def render(self, prompt: Prompt) -> tuple[int, ...]:
        return render_prompt(self.tokenizer, prompt.text, self.known.text)


@dataclass
class OpenSet:
    """The answers of one prompt while they are collected."""

    prompt: Prompt
    shares: list[int]
    """Answers wanted of each respondent."""
    found: dict[str, Completion]
    """Text as people see it -> answer: no two are the same."""

    def take(self, respondent: Respondent, answer: Generated, settings: Settings) -> bool:
        """Add an answer unless its text is there already; True if it was added. NUL, which no database keeps, is replaced in the text."""
        text, known = respondent.tokenizer.decode(answer.ids).replace("\0", "\N{REPLACEMENT CHARACTER}"), respondent.known
        if text.strip() in self.found:
            return False
        self.found[text.strip()] = Completion(
            id=_answer_id(self.prompt, known.identity, answer),
            prompt_id=self.prompt.id,
            text=text,
            model_id=known.model.path,
            token_ids=answer.ids,
            sampling=settings,
            finish_reason=answer.finish_reason,
            provenance=Provenance(model=known.identity),
        )
        return True

    def close(self, seed: int, provenance: Provenance) -> AnswerSet:
        """The answers in an order that says nothing about where they come from."""
        answers = list(self.found.values())
        order = permutation(len(answers), seed, "order", self.prompt.id).tolist()
        return AnswerSet(prompt=self.prompt, completions=tuple(answers[place] for place in order), provenance=provenance)


def sample_answer_sets(asked: Asked, *, slots: int = 64) -> Path:
    """Write one `AnswerSet` per prompt to `asked.out`, going on where an earlier call stopped; returns the file.

    Prompts too long for a model, and those with fewer than two different answers, are left out and counted; those with
    two different answers but fewer than asked are kept and counted. Raises `CheckpointError` where averaged weights are
    asked for and absent.
    """
    asked.answering.require_room(asked.num_answers)
    provenance, prompts = _read_prompts(asked)
    models = [replace(model, path=weights_source(model.path, asked.weights)) for model in asked.models]
    known = [Known(model, model_identity(model.path), _text_of(model, asked)) for model in models]
    file, step = open_growing(asked.out, _settings(asked, provenance, known)), max(CHUNK, slots)
    respondents = [_load(model, asked.answering, slots=slots) for model in known]
    counts = Counter(file.counts)
    with Progress("sample", total=len(prompts), done=file.done) as progress:
        for start in range(file.done, len(prompts), step):
            chunk = prompts[start : start + step]
            with _saying_how_to_go_on(done=start, total=len(prompts)):
                sets, counted = answer_chunk(chunk, respondents, asked, provenance)
            counts.update(counted)
            file.append(sets, done=start + len(chunk), counts=counts)
            progress.advance(start + len(chunk))
    rows = file.finish()
    fewer = counts.pop(FEWER, 0)
    print(f"{rows} prompts answered, {fewer} {FEWER}; left out: {', '.join(f'{count} {reason}' for reason, count in counts.items()) or 'none'}")
    return asked.out


def answer_chunk(
    prompts: Sequence[Prompt], respondents: Sequence[Respondent], asked: Asked, provenance: Provenance
) -> tuple[list[AnswerSet], Counter[str]]:
    """The answer sets of some prompts, in order, and how many prompts were left out for which reason, or got `FEWER`."""
    fitting = [prompt for prompt in prompts if all(len(who.render(prompt)) <= who.known.text.max_prompt for who in respondents)]
    open_sets = [OpenSet(prompt, _shares_of(prompt, asked), {}) for prompt in fitting]
    collect = _collect_beams if asked.answering.method == "beam" else _collect_samples
    for number, respondent in enumerate(respondents):
        collect(open_sets, respondent, number, asked.answering)
    whole = [open_set for open_set in open_sets if len(open_set.found) >= MIN_ANSWERS]
    counts = Counter({"too long": len(prompts) - len(fitting), "without two different answers": len(fitting) - len(whole)})
    counts[FEWER] = sum(len(open_set.found) < sum(open_set.shares) for open_set in whole)
    return [open_set.close(asked.answering.seed, provenance) for open_set in whole], +counts


def _shares_of(prompt: Prompt, asked: Asked) -> list[int]:
    """How many answers to this prompt each model gives."""
    number, rounding = torch.rand(2, generator=generator(asked.answering.seed, "shares", prompt.id), dtype=torch.float64).tolist()
    return answers_of_each(asked.num_answers.draw(number), [model.share for model in asked.models], rounding)


def _collect_samples(open_sets: Sequence[OpenSet], respondent: Respondent, number: int, answering: Answering) -> None:
    """Draw answers for all prompts at once, and again in place of those that are there already."""
    sampling = answering.sampling(respondent.stop_ids)
    lacking = [open_set.shares[number] for open_set in open_sets]
    for attempt in range(ATTEMPTS):
        tries = [(row, slot) for row, count in enumerate(lacking) for slot in range(count)]
        if not tries:
            return
        seeds = [derive(answering.seed, "answer", open_sets[row].prompt.id, number, attempt, slot) for row, slot in tries]
        answers = respondent.engine.generate([respondent.render(open_sets[row].prompt) for row, _ in tries], sampling, seeds)
        for (row, _), seed, answer in zip(tries, seeds, answers, strict=True):
            lacking[row] -= open_sets[row].take(respondent, answer, {**answering.described, "seed": seed})


def _collect_beams(open_sets: Sequence[OpenSet], respondent: Respondent, number: int, answering: Answering) -> None:
    """The likeliest answers that are not there yet, prompt by prompt."""
    for open_set in open_sets:
        lacking = open_set.shares[number]
        if not lacking:
            continue
        answers = beam_search(
            respondent.engine, respondent.render(open_set.prompt), width=answering.beam_width, num_answers=answering.beam_width,
            length_penalty=answering.length_penalty, max_new_tokens=answering.max_new_tokens, stop_ids=respondent.stop_ids,
        )  # fmt: skip
        for answer in answers:
            lacking -= lacking > 0 and open_set.take(respondent, answer, answering.described)


def _answer_id(prompt: Prompt, identity: str, answer: Generated) -> str:
    """The same answer of the same model to the same prompt has the same id, and the id does not tell which model it was."""
    return hashlib.sha256(f"{prompt.id}\0{identity}\0{answer.ids}".encode()).hexdigest()[:16]


def _read_prompts(asked: Asked) -> tuple[Provenance, list[Prompt]]:
    """Where the prompts come from, and the prompts."""
    if asked.prompts.is_dir():
        snapshot = open_snapshot(asked.prompts)
        splits = snapshot.counts if asked.split == EVERY_SPLIT else (asked.split,)
        return Provenance(snapshot=snapshot.id), [prompt for split in splits for prompt in read_split(asked.prompts, split, Prompt)]
    prompts = list(read_prompts(asked.prompts))
    return Provenance(origin=f"{asked.prompts.name}, {hashlib.sha256(repr(prompts).encode()).hexdigest()[:16]}"), prompts


def _text_of(model: ModelShare, asked: Asked) -> Text:
    """How the model reads prompts: as it was trained to, where its folder or the one above says so."""
    own, room = trained_text(model.path), asked.answering.max_new_tokens
    text = own or asked.text
    if (asked.text.template, asked.text.separator) not in ((text.template, text.separator), (Text.template, Text.separator)):
        raise ConfigError(
            f"template {asked.text.template!r} and separator {asked.text.separator!r} for {model.path}",
            expected=f"{text.template!r} and {text.separator!r}, with which it was trained",
            remedy="leave --template and --separator out: our checkpoints say theirs",
        )
    if room >= text.context:
        raise ConfigError(
            f"{room} new tokens with {model.path}, which reads {text.context} tokens in all",
            expected="room for a prompt as well",
            remedy=f"lower --max-new-tokens; the model was trained to answer in {text.max_response}" if own else "lower --max-new-tokens",
        )
    return replace(text, max_prompt=text.context - room, max_response=room)


def _settings(asked: Asked, provenance: Provenance, known: Sequence[Known]) -> dict[str, Any]:
    """What must be the same to go on with a file."""
    models = [{"path": one.model.path, "weights": one.identity, "share": one.model.share, "text": asdict(one.text)} for one in known]
    prompts = {"snapshot": provenance.snapshot, "split": asked.split, "origin": provenance.origin}
    return {"models": models, "prompts": prompts, "num_answers": asdict(asked.num_answers), **asdict(asked.answering)}


def _load(known: Known, answering: Answering, *, slots: int) -> Respondent:
    tokenizer, precision = load_tokenizer(known.model.path), native_precision(answering.precision)
    policy = place(load_policy(known.model.path, precision=precision, tokenizer=tokenizer, context=known.text.context))
    # At temperature 1: near 0, where rounding is divided by next to nothing, no two passes agree.
    run = Run(precision=precision, seed=answering.seed, parity_mean=answering.parity_mean, parity_p999=answering.parity_p999)
    return Respondent(known, tokenizer, probed_engine(policy, tokenizer, run, slots=slots), stop_ids(policy, tokenizer))


@contextmanager
def _saying_how_to_go_on(*, done: int, total: int) -> Generator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"stopped after {done} of {total} prompts; their answers are saved. To go on, give the same command again") from error
