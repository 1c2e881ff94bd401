"""Step 3 from folder to folder: load the models, check the laws, iterate, look at validation prompts, save.

The algorithm itself is `step3_ppo.py`.
"""

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from instructloop.algo.seeds import derive
from instructloop.config import Config
from instructloop.data.order import rows_of_stream
from instructloop.data.pretraining import TokenStream, token_cache, token_stream
from instructloop.data.prompts import load_prompts
from instructloop.errors import ConfigError
from instructloop.model.checkpoint import save_checkpoint_dir
from instructloop.model.ema import Ema
from instructloop.model.finite import require_finite
from instructloop.model.policy import load_policy
from instructloop.model.pretrained import stop_ids
from instructloop.model.scalar import ScalarModel, load_scalar, scalar_from_policy
from instructloop.protocols import Sampling, Scorer
from instructloop.records import Document, Prompt
from instructloop.rollout.batch import Rollout, assemble
from instructloop.rollout.engine import LocalEngine
from instructloop.rollout.sampling import training_sampling
from instructloop.steps.device import on_this_machine, place
from instructloop.steps.guards import Alarms, offender_kept
from instructloop.steps.language import mean_nll, rows_batch
from instructloop.steps.laws import load_engine, require_engine_parity, require_small_gap, require_unit_ratio
from instructloop.steps.optimization import make_optimizer
from instructloop.steps.provenance import describe_run, model_card, require_same_rendering
from instructloop.steps.running import Run, open_run, timed
from instructloop.steps.scoring import kl_per_answer, reward_model_score, text_score, texts
from instructloop.steps.step3_ppo import Coefficients, Iteration, Metrics, Models, Optimizers, end_score, ppo_iteration
from instructloop.steps.use_cases import use_case_metrics
from instructloop.store.snapshots import open_snapshot, read_split
from instructloop.text.tokenizer import Tokenizer, load_tokenizer, require_same

HELD_OUT_ROWS = 64
"""Rows of held-out text in each look at the pretraining loss."""
LOOKED_AT = -1
"""Version of weights that answer validation prompts, and are not sampled from for training."""
SAMPLES_SHOWN = 8
"""Episodes written to samples.jsonl at a time."""


@dataclass(frozen=True, kw_only=True)
class PPOInputs:
    """What step 3 reads."""

    policy: str
    """Directory or hub id of the SFT model to start from: also the reference of the KL penalty."""
    reward: str | None = None
    """Directory or hub id of the reward model: also the start of the value network. May be left out where a scorer is passed in."""
    prompts: Path
    """Snapshot of prompts, with the splits `train` and `valid`."""
    pretraining: Path | None = None
    """Snapshot of texts, with the splits `train` and `valid`; needed for PPO-ptx."""
    heldout_reward: str | None = None
    """A second reward model that training never sees, to look at validation prompts with."""


@dataclass(frozen=True)
class World:
    """Everything the loop reads that does not change."""

    config: Config
    tokenizer: Tokenizer
    engine: LocalEngine
    models: Models
    train: Sequence[Sequence[int]]
    use_cases: Sequence[str | None]
    """Of the training prompts."""
    valid: Sequence[Sequence[int]]
    text: TokenStream | None
    held_out_text: Sequence[Tensor]
    heldout_score: Callable[[Rollout], Tensor] | None

    @property
    def sampling(self) -> Sampling:
        cfg = self.config
        ends = stop_ids(self.models.policy, self.tokenizer)
        return training_sampling(Sampling(max_new_tokens=cfg.text.max_response, temperature=cfg.ppo.temperature, stop_ids=ends))

    def rows(self, iteration: int) -> list[int]:
        """Which prompts one iteration answers: pass after pass over all of them, each in its own order."""
        cfg = self.config
        return list(rows_of_stream(iteration, size=len(self.train), batch=cfg.ppo.episodes, seed=cfg.run.seed, name="prompts"))

    def pretraining(self, iteration: int) -> Iterator[Tensor]:
        """The pretraining rows of each update of one iteration [rows, T]; empty ones for plain PPO."""
        cfg = self.config.ppo
        rows = cfg.ptx_ratio * cfg.episodes // cfg.minibatches
        for update in range(cfg.minibatches * cfg.inner_epochs):
            if self.text is None:
                yield torch.empty(0, cfg.ptx_length, dtype=torch.long)
            else:
                yield self.text.sample_rows(iteration, rows=rows, length=cfg.ptx_length, seed=self.config.run.seed, name=f"ptx {update}")


@dataclass(frozen=True)
class Scorers:
    """Rewards that are functions of texts, in place of reward models."""

    reward: Scorer | None = None
    """Trained on."""
    heldout: Scorer | None = None
    """Only looked at, on validation prompts."""


def train_ppo(
    config: Config,
    inputs: PPOInputs,
    folder: Path,
    *,
    scorer: Scorer | None = None,
    heldout_scorer: Scorer | None = None,
    allow_inexact: bool = False,
) -> Path:
    """Improve a policy with PPO against a reward model (or `scorer`); returns the directory of the policy, EMA beside it.

    `heldout_scorer` judges validation answers in place of a held-out reward model, and is never trained on.
    """
    config = on_this_machine(config)
    _require_inputs(config, inputs, scorer)
    require_same_rendering(config.text, {"policy": inputs.policy, "reward model": inputs.reward, "held-out reward model": inputs.heldout_reward})
    tokenizer = load_tokenizer(inputs.policy)
    for role, model in (("reward model", inputs.reward), ("held-out reward model", inputs.heldout_reward)):
        if model is not None:
            require_same(tokenizer, load_tokenizer(model), ("policy", role))
    snapshots = {"prompts": open_snapshot(inputs.prompts), "pretraining": open_snapshot(inputs.pretraining) if inputs.pretraining else None}
    models = {"policy": inputs.policy, "reward": inputs.reward, "heldout_reward": inputs.heldout_reward}
    manifest = describe_run("ppo", config, run_id=folder.name, snapshots=snapshots, models=models, tokenizer=tokenizer)
    manifest = replace(
        manifest, config={**manifest.config, "scorer": _name_of(scorer), "heldout_scorer": heldout_scorer and _name_of(heldout_scorer)}
    )
    run = open_run(folder, manifest, save_every=config.run.save_every, tensorboard=config.run.tensorboard, allow_inexact=allow_inexact)

    world, cfg = _build(config, inputs, tokenizer, Scorers(scorer, heldout_scorer)), config.ppo
    optimizers = Optimizers(policy=make_optimizer(world.models.policy, cfg.optimizer), value=make_optimizer(world.models.value, cfg.value_optimizer))
    coefs = Coefficients(reward_kl=cfg.kl.coef, trust_region=cfg.trust_region.coef)
    alarms = Alarms(max_response=config.text.max_response)
    state: dict[str, Any] = {
        "policy": world.models.policy, "value": world.models.value, "policy_optimizer": optimizers.policy,
        "value_optimizer": optimizers.value, "coefficients": coefs, "alarms": alarms,
    }  # fmt: skip
    if world.models.ema is not None:
        state["ema"] = world.models.ema
    for iteration in run.updates(cfg.iterations, state):
        at = Iteration(number=iteration, cfg=cfg, run=config.run, coefs=coefs, sampling=world.sampling, pad_id=tokenizer.pad_id)
        metrics = _iterate(run, world, optimizers, at)
        for alarm in alarms.check(metrics):
            print(f"alarm at iteration {iteration}: {alarm}", file=sys.stderr)
        ringing = {f"alarm/{kind}": 1.0 for kind in alarms.raised}
        run.log(iteration, metrics | {"alarms": float(len(alarms.raised)), **ringing})

    with offender_kept(run):
        closing = look_at_validation(world)
    card = model_card("PPO-ptx policy" if cfg.ptx_coef else "PPO policy", manifest, closing)
    save_checkpoint_dir(folder / "model", world.models.policy, tokenizer, manifest=manifest, card=card, ema=world.models.ema)
    run.finish(closing)
    return folder / "model"


def _iterate(run: Run, world: World, optimizers: Optimizers, at: Iteration) -> Metrics:
    times: dict[str, float] = {}
    seen: Metrics = {}
    if at.number % at.cfg.valid_every == 0:
        with offender_kept(run), timed(times, "validation"):
            seen = look_at_validation(world)  # before the updates: the first look is at the untouched policy
    with offender_kept(run), timed(times, "iteration"):
        load_engine(world.engine, world.models.policy, version=at.number)
        rows = world.rows(at.number)
        prompts = [world.train[row] for row in rows]
        rollout, metrics = ppo_iteration(world.models, world.engine, prompts, world.pretraining(at.number), optimizers, at)
        metrics |= use_case_metrics(rollout, [world.use_cases[row] for row in rows])
        require_unit_ratio(metrics["ratio_first_error"], world.config)
        require_small_gap(metrics, world.config)
    tokens = int(rollout.mask_BR.sum())
    if at.number % at.cfg.samples_every == 0:
        run.sample(at.number, _samples(rollout, world.tokenizer))
    return metrics | seen | times | {"time/tokens_per_second": tokens / times["time/iteration"]}


@torch.no_grad()
def look_at_validation(world: World) -> Metrics:
    """Score of the policy as it is on validation prompts, by both reward models, and its loss on held-out text."""
    cfg = world.config
    policy = world.models.policy
    load_engine(world.engine, policy, version=LOOKED_AT)
    seeds = [derive(cfg.run.seed, "validation", row) for row in range(len(world.valid))]
    rollout = assemble(world.valid, world.engine.generate(world.valid, world.sampling, seeds), pad_id=world.tokenizer.pad_id)
    scores = {"valid_score": world.models.score(rollout)}
    if world.heldout_score is not None:
        scores["valid_heldout_score"] = world.heldout_score(rollout)
    require_finite(vars(rollout), **scores)
    figures = {name: float(score_B.double().mean()) for name, score_B in scores.items()}
    figures["valid_end_score"] = float(end_score(rollout, scores["valid_score"], cfg.ppo).double().mean())
    figures["valid_kl"] = float(kl_per_answer(policy, world.models.reference, rollout, cfg.run, temperature=cfg.ppo.temperature).mean())
    if world.held_out_text:
        figures["pretraining_loss"] = mean_nll(policy, [rows_batch(rows) for rows in world.held_out_text], cfg.run)
    return figures


def _build(config: Config, inputs: PPOInputs, tokenizer: Tokenizer, scorers: Scorers) -> World:
    train, valid = (load_prompts(read_split(inputs.prompts, split, Prompt), tokenizer, config.text) for split in ("train", "valid"))
    print(f"train: {train.dropped}\nvalid: {valid.dropped}")
    train.dropped.require_some("prompts")
    valid.dropped.require_some("validation prompts")
    text, held_out = _pretraining_text(config, inputs, tokenizer)
    read = {"precision": config.run.precision, "tokenizer": tokenizer, "context": config.text.context}
    policy = place(load_policy(inputs.policy, **read))
    reward = place(load_scalar(inputs.reward, **read)) if inputs.reward else None
    value: ScalarModel = copy.deepcopy(reward) if reward is not None else place(scalar_from_policy(policy, tokenizer, seed=config.run.seed))
    models = Models(
        policy=policy,
        reference=copy.deepcopy(policy),
        value=value,
        score=text_score(scorers.reward, tokenizer, config.text) if scorers.reward else reward_model_score(_present(reward), config.run),
        ema=Ema(policy, config.ppo.ema) if config.ppo.ema else None,
    )
    heldout = text_score(scorers.heldout, tokenizer, config.text) if scorers.heldout else None
    if inputs.heldout_reward:
        heldout = reward_model_score(place(load_scalar(inputs.heldout_reward, **read)), config.run)
    return World(
        config=config, tokenizer=tokenizer, engine=require_engine_parity(policy, tokenizer, config), models=models,
        train=train.ids, use_cases=[record.use_case for record in train.records], valid=valid.ids[: config.ppo.valid_prompts],
        text=text if config.ppo.ptx_coef else None, held_out_text=held_out,
        heldout_score=heldout,
    )  # fmt: skip


def _pretraining_text(config: Config, inputs: PPOInputs, tokenizer: Tokenizer) -> tuple[TokenStream | None, Sequence[Tensor]]:
    if inputs.pretraining is None:
        return None, ()
    train, valid = (token_stream(read_split(inputs.pretraining, split, Document), tokenizer, cache=token_cache()) for split in ("train", "valid"))
    train.require_length(config.ppo.ptx_length)
    return train, valid.spaced(rows=HELD_OUT_ROWS, length=config.ppo.ptx_length).split(config.run.micro_batch)


def _require_inputs(config: Config, inputs: PPOInputs, scorer: Scorer | None) -> None:
    if inputs.reward is None and scorer is None:
        raise ConfigError("there is no reward", expected="a reward model or a scorer", remedy="add --reward DIR")
    if config.ppo.ptx_coef and inputs.pretraining is None:
        raise ConfigError(
            f"ptx_coef is {config.ppo.ptx_coef} and no pretraining text is given",
            expected="a snapshot of texts for PPO-ptx",
            remedy="add --pretraining DIR, or set ppo.ptx_coef to 0 for plain PPO",
        )
    if inputs.pretraining is not None and config.ppo.ptx_length > config.text.context:
        raise ConfigError(
            f"ptx_length {config.ppo.ptx_length} with a context of {config.text.context}",
            expected="pretraining examples that fit into the context",
            remedy="lower ppo.ptx_length",
        )


def _name_of(scorer: Scorer | None) -> str:
    """What the manifest says the reward is, so that a run is not gone on with under another one."""
    if scorer is None:
        return "reward model"
    kind = scorer if hasattr(scorer, "__qualname__") else type(scorer)
    return f"{kind.__module__}.{kind.__qualname__}"  # pyright: ignore[reportAttributeAccessIssue] (functions and classes have both)


def _present(reward: ScalarModel | None) -> ScalarModel:
    assert reward is not None, "without a scorer there is a reward model"
    return reward


def _samples(rollout: Rollout, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    shown = rollout[torch.arange(min(SAMPLES_SHOWN, len(rollout)))]
    prompts, answers = texts(shown, tokenizer)
    rows = zip(prompts, answers, shown.score_B.tolist(), shown.ended_B.tolist(), strict=True)
    return [{"prompt": prompt, "answer": answer, "score": score, "ended": ended} for prompt, answer, score, ended in rows]
