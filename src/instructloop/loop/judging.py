"""One answer of each model to each test prompt, and what simulated people and the noise-free judge say of it.

Shapes: B prompts, R response tokens.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from instructloop.algo.seeds import derive
from instructloop.config import Config
from instructloop.data.demonstrations import collate
from instructloop.evals.statistics import Floats, Interval, bootstrap_mean
from instructloop.lab.chance import stream
from instructloop.lab.few_shot import PREFIXES, cut, few_shot
from instructloop.lab.judge import judge
from instructloop.lab.labelers import Labeler
from instructloop.model.policy import load_policy
from instructloop.model.pretrained import stop_ids
from instructloop.model.scalar import ScalarModel, load_scalar
from instructloop.protocols import Generated, Sampling
from instructloop.records import AnswerSet, Document, Prompt
from instructloop.rollout.batch import Rollout, assemble
from instructloop.rollout.engine import LocalEngine
from instructloop.steps.device import place
from instructloop.steps.language import running_text, target_nll
from instructloop.steps.scoring import reward_model_score
from instructloop.text.rendering import render_answer, render_prompt
from instructloop.text.tokenizer import Tokenizer, load_tokenizer

SLOTS = 256
POINTS = {"win": 1.0, "tie": 0.5, "loss": 0.0}


@dataclass(frozen=True)
class Answered:
    """A model's answers to the prompts, in their order."""

    texts: list[str]
    rollout: Rollout
    """Prompts as SFT and reward model read them, and the answers' ids."""

    @property
    def tokens(self) -> float:
        """Mean number of tokens, the end token included."""
        return float(self.rollout.mask_BR.sum(1).double().mean())


@dataclass(frozen=True)
class Respondent:
    """A loaded policy, and how it is asked."""

    policy: PreTrainedModel
    tokenizer: Tokenizer
    config: Config

    @classmethod
    def load(cls, folder: Path, config: Config) -> "Respondent":
        """The policy of a checkpoint folder."""
        tokenizer = load_tokenizer(folder)
        context = config.pretrain.shape.context
        return cls(place(load_policy(folder, precision=config.run.precision, tokenizer=tokenizer, context=context)), tokenizer, config)

    def answer(self, prompts: Sequence[Prompt], *, seed: int) -> Answered:
        """One answer to each prompt at temperature 1."""
        rendered = [render_prompt(self.tokenizer, prompt.text, self.config.text) for prompt in prompts]
        rollout = assemble(rendered, self._generate(rendered, seed), pad_id=self.tokenizer.pad_id)
        return Answered([self.tokenizer.decode(ids).strip() for ids in _answers(rollout)], rollout)

    def answer_after(self, prefix: str, prompts: Sequence[Prompt], *, seed: int) -> Answered:
        """The same behind worked examples; what follows the answer is cut off, and the rollout holds the answer as if it had ended."""
        shown = [tuple(self.tokenizer.encode(few_shot(prompt.text, prefix))) for prompt in prompts]
        texts = [cut(self.tokenizer.decode(answer.ids)) for answer in self._generate(shown, seed)]
        return self.told(prompts, texts)

    def told(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Answered:
        """Given texts as answers, each of them ended."""
        rendered = [render_prompt(self.tokenizer, prompt.text, self.config.text) for prompt in prompts]
        ids = [render_answer(self.tokenizer, text)[-self.config.text.max_response :] for text in texts]
        generated = [Generated(answer, (0.0,) * len(answer), "stop") for answer in ids]
        return Answered(list(texts), assemble(rendered, generated, pad_id=self.tokenizer.pad_id))

    def sampled(self, sets: Sequence[AnswerSet]) -> Rollout:
        """Answers that a model with this tokenizer gave, one after another, by the very ids that it gave."""
        rows = [(one.prompt, completion) for one in sets for completion in one.completions]
        rendered = [render_prompt(self.tokenizer, prompt.text, self.config.text) for prompt, _ in rows]
        generated = [Generated(c.token_ids, (0.0,) * len(c.token_ids), c.finish_reason or "stop") for _, c in rows if c.token_ids]
        return assemble(rendered, generated, pad_id=self.tokenizer.pad_id)

    def _generate(self, prompts: Sequence[Sequence[int]], seed: int) -> list[Generated]:
        engine = LocalEngine(self.policy, pad_id=self.tokenizer.pad_id, slots=SLOTS, precision=self.config.run.precision)
        sampling = Sampling(max_new_tokens=self.config.text.max_response, stop_ids=stop_ids(self.policy, self.tokenizer))
        return engine.generate(prompts, sampling, [derive(seed, "judging", row) for row in range(len(prompts))])


def best_prefix(base: Respondent, reward: ScalarModel, prompts: Sequence[Prompt], *, seed: int) -> str:
    """The worked examples whose answers to development prompts score highest: so the paper chose its prefix [§3.5]."""
    score = reward_model_score(reward, base.config.run)
    return max(PREFIXES, key=lambda prefix: float(score(base.answer_after(prefix, prompts, seed=seed).rollout).mean()))


def load_reward(folder: Path, reader: Respondent) -> ScalarModel:
    """The reward model of a checkpoint folder, for what `reader` reads."""
    config = reader.config
    return place(load_scalar(folder, precision=config.run.precision, tokenizer=reader.tokenizer, context=config.text.context))


def set_scores(reader: Respondent, reward: ScalarModel, sets: Sequence[AnswerSet]) -> list[list[float]]:
    """The reward model's score of every answer of every set."""
    scores = iter(reward_model_score(reward, reader.config.run)(reader.sampled(sets)).tolist())
    return [[next(scores) for _ in one.completions] for one in sets]


def gold_scores(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
    """The noise-free utility of each answer."""
    return [judge(prompt.text, text).gold for prompt, text in zip(prompts, texts, strict=True)]


def win_rate(prompts: Sequence[Prompt], texts: Sequence[str], against: Sequence[str], people: Sequence[Labeler], *, seed: int = 0) -> Interval:
    """Share of comparisons won by `texts`, a tie counting one half: every labeler on every prompt; the bootstrap is by prompt.

    Which answer a labeler is shown first is drawn.
    """
    points = [
        _points(labeler, prompt, (ours, theirs), seed) for prompt, ours, theirs in zip(prompts, texts, against, strict=True) for labeler in people
    ]
    return bootstrap_mean(points, [prompt.id for prompt in prompts for _ in people], seed=seed)


def _points(labeler: Labeler, prompt: Prompt, answers: tuple[str, str], seed: int) -> float:
    """What the first of two answers gets from one labeler."""
    ours, theirs = answers
    if stream(seed, "shown first", labeler.id, prompt.id).random() < 0.5:
        return POINTS[labeler.judge_pair(prompt.text, ours, theirs)]
    return 1.0 - POINTS[labeler.judge_pair(prompt.text, theirs, ours)]


def win_rates_by_use_case(prompts: Sequence[Prompt], texts: Sequence[str], against: Sequence[str], people: Sequence[Labeler]) -> dict[str, Interval]:
    """The win rate on the prompts of each use-case."""
    rates: dict[str, Interval] = {}
    for use_case in sorted({prompt.use_case or "" for prompt in prompts}):
        rows = [row for row, prompt in enumerate(prompts) if prompt.use_case == use_case]
        rates[use_case] = win_rate([prompts[r] for r in rows], [texts[r] for r in rows], [against[r] for r in rows], people)
    return rates


@dataclass(frozen=True)
class TextLoss:
    """−log π of every token of some documents, and which document each belongs to."""

    nll: Floats
    document: list[int]

    @property
    def mean(self) -> float:
        """Nats per token."""
        return float(self.nll.mean())


@torch.no_grad()
def text_loss(respondent: Respondent, documents: Iterable[Document]) -> TextLoss:
    """The loss of a policy on whole documents, the end token of the one before each standing first."""
    tokenizer, cfg = respondent.tokenizer, respondent.config
    rows = [(tokenizer.end_id, *tokenizer.encode(document.text), tokenizer.end_id)[: cfg.pretrain.shape.context] for document in documents]
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))  # like lengths pass together: less padding
    rendered = [running_text(rows[number]) for number in order]
    parts = [
        target_nll(respondent.policy, collate(rendered[start : start + cfg.run.micro_batch], pad_id=tokenizer.pad_id), cfg.run).double().cpu()
        for start in range(0, len(rendered), cfg.run.micro_batch)
    ]
    return TextLoss(torch.cat(parts).numpy(), [number for number in order for _ in rows[number][1:]])


def _answers(rollout: Rollout) -> list[list[int]]:
    starts, lengths = rollout.prompt_length_B.tolist(), rollout.mask_BR.sum(1).tolist()
    return [row[start : start + length] for row, start, length in zip(rollout.tokens_BT.tolist(), starts, lengths, strict=True)]


Texts = Mapping[str, Answered]
"""Model -> its answers."""
