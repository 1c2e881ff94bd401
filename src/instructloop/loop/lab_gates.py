"""The gates of the lab, to be passed in order: what must be so before the next thing is worth trying.

copying    the base copies names that it was given
spread     the SFT model answers one prompt well and badly: reinforcement chooses among what a model already does
reward     the reward model tells such answers apart
trivial    PPO learns a reward that reads one word
judge      PPO learns from the noise-free judge, and people notice
policy     PPO learns from the reward model, and people notice

All of it is on development prompts. Levels were set before the first run; another needs a reason in docs/decisions.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from instructloop.lab.judge import gold
from instructloop.lab.labelers import EVALUATION_LABELERS, Labeler, labelers
from instructloop.lab.probes import copying_probes
from instructloop.lab.prompts import development_prompts
from instructloop.loop.answer_plan import NumAnswers
from instructloop.loop.judging import Respondent, gold_scores, load_reward, set_scores, win_rate
from instructloop.loop.small_world import SmallWorld
from instructloop.protocols import Sampling, Scorer
from instructloop.records import AnswerSet, Prompt
from instructloop.rollout.engine import LocalEngine

PROBES = 400
TOKEN = "you"
"""The word that the trivial reward asks for; one demonstration in eight has it."""
SCALE = 4.0
"""Points between the worst and the best answer in the rewards that are not a model: about the spread of a reward model's scores."""
APART = 0.3
"""Difference in gold by which two answers are clearly of different quality."""


Compared = tuple[list[Prompt], list[str], list[str]]
"""Prompts, the answers of one model, and those of another."""


@dataclass(frozen=True)
class Gate:
    """What was measured, and the level it had to reach."""

    name: str
    figure: float
    level: float
    what: str

    @property
    def passed(self) -> bool:
        """True at the level or above it."""
        return self.figure >= self.level

    def __str__(self) -> str:
        return f"gate {self.name}: {self.figure:.3f} ({'passed' if self.passed else 'NOT PASSED'}, level {self.level:.3f}); {self.what}"


def copying(world: SmallWorld) -> Gate:
    """Share of names that the base copies right, greedily."""
    probes = copying_probes(world.seed, PROBES)
    base = Respondent.load(world.base, world.config)
    encode = base.tokenizer.encode
    # Ids of beginning and end together, since a text is read as one: what is predicted are the tokens that `after` adds.
    whole = [encode(probe.before + probe.after) for probe in probes]
    begun = [_shared(encode(probe.before), ids) for probe, ids in zip(probes, whole, strict=True)]
    engine = LocalEngine(base.policy, pad_id=base.tokenizer.pad_id, slots=64, precision=world.config.run.precision)
    longest = max(len(ids) - start for ids, start in zip(whole, begun, strict=True))
    prompts = [(base.tokenizer.end_id, *ids[:start]) for ids, start in zip(whole, begun, strict=True)]
    said = engine.generate(prompts, Sampling(max_new_tokens=longest, temperature=0.0), [0] * len(prompts))
    right = [answer.ids[: len(ids) - start] == tuple(ids[start:]) for answer, ids, start in zip(said, whole, begun, strict=True)]
    return Gate("copying", float(np.mean(right)), 0.95, f"share of {PROBES} names that the base copies")


def spread(world: SmallWorld) -> Gate:
    """Share of prompts on which two of eight answers of the SFT model are clearly of different quality."""
    sft, prompts = Respondent.load(world.sft(), world.config), development_prompts(world.seed, world.sizes.development)
    golds_KB = np.array([gold_scores(prompts, sft.answer(prompts, seed=place).texts) for place in range(8)])
    ranges_B = golds_KB.max(axis=0) - golds_KB.min(axis=0)
    what = f"share of {len(prompts)} prompts on which 8 answers differ by {APART} in gold; mean gold {golds_KB.mean():.3f}"
    return Gate("spread", float((ranges_B >= APART).mean()), 0.5, what)


def reward(world: SmallWorld) -> Gate:
    """How far the reward model gets from a coin towards the noise-free judge, on the SFT model's answers to development prompts."""
    sets = world.answers("development_answers", world.sft(), development_prompts(world.seed, world.sizes.development), num_answers=NumAnswers(4, 4))
    people = labelers(EVALUATION_LABELERS, world.seed)
    reader = Respondent.load(world.sft(), world.config)
    model = _accuracy(set_scores(reader, load_reward(world.reward(), reader), sets), sets, people)
    ceiling = _accuracy([gold([one.prompt.text] * len(one.completions), [c.text for c in one.completions]) for one in sets], sets, people)
    return Gate("reward", model, (0.5 + ceiling) / 2, f"accuracy on evaluation labelers' strict preferences; the noise-free judge has {ceiling:.3f}")


def trivial(world: SmallWorld) -> Gate:
    """Share of PPO's answers that hold the one word it was paid for."""
    _, texts, _ = _reinforced(world, "ppo_trivial", holds_the_token)
    return Gate("trivial", float(np.mean([_holds(text) for text in texts])), 0.95, f"share of answers that hold {TOKEN!r}")


def noise_free(world: SmallWorld) -> Gate:
    """Low end of the win rate of PPO on the judge's utility, against SFT."""
    return _against_sft(world, "judge", _reinforced(world, "ppo_judge", paid_by_the_judge), above=0.55)


def policy(world: SmallWorld) -> Gate:
    """Low end of the win rate of PPO on the reward model, against SFT."""
    return _against_sft(world, "policy", _reinforced(world, "ppo", None), above=0.5)


GATES: Mapping[str, Callable[[SmallWorld], Gate]] = {
    "copying": copying,
    "spread": spread,
    "reward": reward,
    "trivial": trivial,
    "judge": noise_free,
    "policy": policy,
}
"""In order."""


def holds_the_token(prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
    """The trivial reward."""
    return [SCALE * _holds(answer) for _, answer in zip(prompts, answers, strict=True)]


def paid_by_the_judge(prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
    """The noise-free utility, stretched."""
    return [SCALE * value for value in gold(prompts, answers)]


def _accuracy(scores: Sequence[Sequence[float]], sets: Sequence[AnswerSet], people: Sequence[Labeler]) -> float:
    """Share of the strict preferences of one labeler per set that the scores share; equal scores count one half."""
    hits: list[float] = []
    for number, (one, given) in enumerate(zip(sets, scores, strict=True)):
        labeler = people[number % len(people)]
        liked = [labeler.score(one.prompt.text, completion.text) for completion in one.completions]
        hits += [float(np.sign(given[i] - given[j]) / 2 + 0.5) for i in range(len(liked)) for j in range(len(liked)) if liked[i] > liked[j]]
    return float(np.mean(hits))


def _holds(answer: str) -> bool:
    return TOKEN in re.findall(r"\w+", answer.lower())


def _reinforced(world: SmallWorld, name: str, scorer: Scorer | None) -> Compared:
    """Development prompts, the answers of a policy trained by plain PPO, and those of SFT."""
    prompts = development_prompts(world.seed, world.sizes.development)
    folder = world.ppo(name, config=world.with_ppo(ptx_coef=0.0), scorer=scorer, heldout_scorer=gold)
    ours, theirs = (Respondent.load(model, world.config).answer(prompts, seed=world.seed).texts for model in (folder, world.sft()))
    return prompts, ours, theirs


def _against_sft(world: SmallWorld, name: str, answered: Compared, *, above: float) -> Gate:
    prompts, ours, theirs = answered
    rate = win_rate(prompts, ours, theirs, labelers(EVALUATION_LABELERS, world.seed))
    before, after = (float(np.mean(gold_scores(prompts, texts))) for texts in (theirs, ours))
    return Gate(name, rate.low, above, f"low end of the win rate {rate} of PPO against SFT; mean gold {before:.3f} before, {after:.3f} after")


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two sequences begin with in common."""
    return next((place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second)))


def run_gate(name: str, world: SmallWorld, out: Path) -> Gate:
    """Measure one gate, print it, and keep a line of it in `out`."""
    gate = GATES[name](world)
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out, "a", encoding="utf-8") as file:
        file.write(f"{gate}\n")
    return gate
