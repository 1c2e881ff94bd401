"""The five models of the demo on test prompts: what they answer, what people and the judge say of it, what they still know of text.

Shapes: B prompts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from instructloop.algo.seeds import derive
from instructloop.evals.results import MODEL_NAMES, Difference, ModelResult, ModelResults, PairedResult
from instructloop.evals.statistics import Interval, bootstrap_difference
from instructloop.lab.judge import judge
from instructloop.lab.labelers import EVALUATION_LABELERS, Labeler, labelers
from instructloop.lab.prompts import development_prompts, evaluation_prompts
from instructloop.loop.answer_plan import NumAnswers
from instructloop.loop.hacks import Behaviour
from instructloop.loop.judging import Answered, Respondent, TextLoss, best_prefix, load_reward, set_scores, text_loss, win_rate
from instructloop.loop.reward_trial import RewardTrial, try_reward
from instructloop.loop.small_world import SmallWorld, held_out_documents
from instructloop.model.scalar import ScalarModel
from instructloop.records import Prompt
from instructloop.steps.scoring import kl_per_answer, reward_model_score

PREFIX_PROMPTS = 128
"""Development prompts on which the few-shot prefix is chosen, at most."""
COMPARED = NumAnswers(4, 4)
"""SFT's answers to a prompt on which the reward model is tried."""


@dataclass(frozen=True)
class Trained:
    """Where the models of one run are."""

    base: Path
    sft: Path
    reward: Path
    ppo: Path
    ppo_ptx: Path


@dataclass(frozen=True)
class Judged:
    """What was found on the test prompts."""

    prompts: list[Prompt]
    people: list[Labeler]
    answered: Mapping[str, Answered]
    """Model -> its answers."""
    behaviours: Mapping[str, Behaviour]
    models: ModelResults
    paired: PairedResult
    trial: RewardTrial
    base_parameters: int

    @property
    def use_cases(self) -> list[str]:
        """Of each test prompt."""
        return [prompt.use_case or "" for prompt in self.prompts]

    @property
    def texts(self) -> Mapping[str, list[str]]:
        """Model -> the texts of its answers."""
        return {name: answered.texts for name, answered in self.answered.items()}


def judge_models(world: SmallWorld, trained: Trained, pool: int) -> Judged:
    """One answer of each model to each test prompt of a pool, at temperature 1, judged by people who trained none of it."""
    drawn = evaluation_prompts(pool, max(world.sizes.test_prompts, world.sizes.compared))  # fewer are the first of more
    prompts, people = drawn[: world.sizes.test_prompts], labelers(EVALUATION_LABELERS, world.seed)
    loaded = {name: Respondent.load(getattr(trained, name), world.config) for name in MODEL_NAMES if name != "base_prompted"}
    reward = load_reward(trained.reward, loaded["sft"])
    print(f"answers of five models to {len(prompts)} test prompts")
    answered = _answers(world, loaded, reward, prompts)
    behaviours = {name: _behaviour(world, reward, prompts, given) for name, given in answered.items()}
    print(f"loss of the models on {world.sizes.held_out_documents} held-out documents")
    losses = {name: text_loss(model, held_out_documents(world.sizes.held_out_documents)) for name, model in loaded.items()}
    print(f"judgements by {len(people)} simulated people, none of whom ranked for training")
    texts = {name: given.texts for name, given in answered.items()}
    rates = {name: win_rate(prompts, said, texts["sft"], people, seed=world.seed) for name, said in texts.items() if name != "sft"}
    models = {
        name: _result(rates.get(name), behaviours[name], given, _kl(name, loaded, given), losses["base" if name == "base_prompted" else name])
        for name, given in answered.items()
    }
    print(f"the reward model on four answers to each of {world.sizes.compared} prompts")
    trial = _trial(world, trained.sft, drawn[: world.sizes.compared], loaded["sft"], reward)
    return Judged(
        prompts=prompts, people=people, answered=answered, behaviours=behaviours, models=ModelResults(**models), paired=paired_losses(losses),
        trial=trial, base_parameters=sum(weight.numel() for weight in loaded["base"].policy.parameters()),
    )  # fmt: skip


def paired_losses(losses: Mapping[str, TextLoss]) -> PairedResult:
    """PPO's loss on pretraining text less that of its start and that of PPO-ptx, token by token; documents are drawn again."""

    def less(other: str) -> Difference:
        return Difference.of(bootstrap_difference(losses["ppo"].nll, losses[other].nll, losses["ppo"].document))

    return PairedResult(loss_ppo_minus_init=less("sft"), loss_ppo_minus_ppo_ptx=less("ppo_ptx"))


def _answers(world: SmallWorld, loaded: Mapping[str, Respondent], reward: ScalarModel, prompts: list[Prompt]) -> dict[str, Answered]:
    """In the order of `MODEL_NAMES`, each model with noise of its own."""
    looked_at = development_prompts(world.seed, min(PREFIX_PROMPTS, world.sizes.development))
    prefix = best_prefix(loaded["base"], reward, looked_at, seed=derive(world.seed, "prefixes"))
    answered: dict[str, Answered] = {}
    for name in MODEL_NAMES:
        seed = derive(world.seed, "test answers", name)
        if name == "base_prompted":
            answered[name] = loaded["base"].answer_after(prefix, prompts, seed=seed)
        else:
            answered[name] = loaded[name].answer(prompts, seed=seed)
    return answered


def _behaviour(world: SmallWorld, reward: ScalarModel, prompts: list[Prompt], given: Answered) -> Behaviour:
    verdicts = [judge(prompt.text, text) for prompt, text in zip(prompts, given.texts, strict=True)]
    return Behaviour(
        score_B=reward_model_score(reward, world.config.run)(given.rollout).double().numpy(),
        gold_B=np.array([verdict.gold for verdict in verdicts]),
        reasons=[verdict.reasons for verdict in verdicts],
    )


def _kl(name: str, loaded: Mapping[str, Respondent], given: Answered) -> float | None:
    """Nats per answer to the start of PPO; None where the answers are not samples of a policy alone."""
    if name == "base_prompted":
        return None
    model, start = loaded[name], loaded["sft"]
    return float(kl_per_answer(model.policy, start.policy, given.rollout, model.config.run).mean())


def _result(rate: Interval | None, behaviour: Behaviour, given: Answered, kl: float | None, loss: TextLoss) -> ModelResult:
    return ModelResult(
        win_rate_vs_sft=rate, score=float(behaviour.score_B.mean()), gold=float(behaviour.gold_B.mean()), kl=kl,
        response_tokens=given.tokens, pretraining_loss=loss.mean,
    )  # fmt: skip


def _trial(world: SmallWorld, sft: Path, prompts: list[Prompt], reader: Respondent, reward: ScalarModel) -> RewardTrial:
    """The first evaluation labeler is the one held out, the second says how well people agree."""
    sets = world.answers("test_answers", sft, prompts, num_answers=COMPARED)
    first, second = labelers(EVALUATION_LABELERS[:2], world.seed)
    return try_reward(sets, set_scores(reader, reward, sets), (first.score, second.score), world.rankings())
