"""Step 2: a reward model from rankings of K answers (InstructGPT §3.5, App. C.2).

All answers of a prompt and all of their pairs are one batch element: each answer is read once instead of once for each of its
pairs, and the prompt once for as many answers as a row holds. No answer is trained on more often than the pass over the data
says. Afterwards a bias makes the labelers' own demonstrations score 0 on average.

Shapes: N answers in a batch, P pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from instructloop.algo.ranking import pair_losses, pair_weights
from instructloop.config import Config, Reward
from instructloop.data.comparisons import ComparisonBatch, RankedPrompt, collate_rankings, load_rankings
from instructloop.data.demonstrations import load_demonstrations
from instructloop.data.order import rows_of_update, updates_per_epoch
from instructloop.errors import DataError, LawBroken
from instructloop.model.checkpoint import save_checkpoint_dir
from instructloop.model.finite import require_finite
from instructloop.model.policy import autocast, load_policy
from instructloop.model.scalar import ScalarModel, scalar_from_policy
from instructloop.records import Demonstration, Ranking
from instructloop.steps.device import device, on_this_machine, place
from instructloop.steps.guards import offender_kept
from instructloop.steps.laws import require_engine_parity
from instructloop.steps.optimization import make_optimizer, optimizer_step
from instructloop.steps.provenance import describe_run, model_card, require_same_rendering
from instructloop.steps.running import open_run, timed, write_json
from instructloop.store.snapshots import open_snapshot, read_split
from instructloop.text.tokenizer import load_tokenizer

DEMONSTRATION_SCORES = "demonstration_scores.json"
"""File of a run folder: the scores of the demonstrations it was centred on."""
BIAS_TOLERANCE = 1e-4
"""Largest |mean score of the demonstrations| once the bias is in (law C7)."""


@dataclass(frozen=True, kw_only=True)
class RewardInputs:
    """What step 2 reads."""

    model: str
    """Directory or hub id the trunk comes from: the SFT model, by default of the paper; another size than the policy is fine."""
    rankings: Path
    """Snapshot of rankings, with the splits `train` and `valid`."""
    demonstrations: Path
    """Snapshot of demonstrations; those of its split `train` score 0 on average in the end."""


@dataclass(frozen=True)
class Selection:
    """Which of the rankings a training reads."""

    name: str
    """What sets this selection apart from others: stands in the manifest, and must be the same to resume."""
    admits: Callable[[Ranking], bool]


ALL_RANKINGS = Selection("all", lambda _: True)


def train_reward(config: Config, inputs: RewardInputs, folder: Path, *, selection: Selection = ALL_RANKINGS, allow_inexact: bool = False) -> Path:
    """Train a reward model on the rankings of the split `train` that `selection` admits; returns its directory."""
    config = on_this_machine(config)
    require_same_rendering(config.text, {"model": inputs.model})
    cfg, tokenizer = config.reward, load_tokenizer(inputs.model)
    snapshots = {"rankings": open_snapshot(inputs.rankings), "demonstrations": open_snapshot(inputs.demonstrations)}
    manifest = describe_run("reward", config, run_id=folder.name, snapshots=snapshots, models={"trunk": inputs.model}, tokenizer=tokenizer)
    manifest = replace(manifest, config={**manifest.config, "selection": selection.name})
    run = open_run(folder, manifest, save_every=config.run.save_every, tensorboard=config.run.tensorboard, allow_inexact=allow_inexact)

    train, dropped = load_rankings(filter(selection.admits, read_split(inputs.rankings, "train", Ranking)), tokenizer, config.text)
    valid, dropped_valid = load_rankings(read_split(inputs.rankings, "valid", Ranking), tokenizer, config.text)
    demonstrations, dropped_demonstrations = load_demonstrations(read_split(inputs.demonstrations, "train", Demonstration), tokenizer, config.text)
    print(f"train: {dropped}\nvalid: {dropped_valid}\ndemonstrations: {dropped_demonstrations}")
    dropped_demonstrations.require_some("demonstrations")
    plan = Plan(cfg=cfg, config=config, items=batch_elements(train, cfg), prompts=len(train), pad_id=tokenizer.pad_id)
    policy = place(load_policy(inputs.model, precision=config.run.precision, tokenizer=tokenizer, context=config.text.context))
    require_engine_parity(policy, tokenizer, config)
    reward = scalar_from_policy(policy, tokenizer, seed=config.run.seed)
    del policy  # its trunk was copied

    optimizer = make_optimizer(reward, cfg.optimizer)
    for update in run.updates(plan.updates, {"reward": reward, "optimizer": optimizer}):
        with offender_kept(run):
            metrics = reward_update(reward, optimizer, plan, update)
        run.log(update, metrics)

    with offender_kept(run):
        centred = center_on(reward, [rendered.ids for rendered in demonstrations], config, pad_id=tokenizer.pad_id)
        figures = agreement(score_rankings(reward, valid, config, pad_id=tokenizer.pad_id), valid)
    write_json(folder / DEMONSTRATION_SCORES, {"scores": centred})
    card = model_card("reward model", manifest, figures, note="`score_bias` in config.json is to be added to transformers' score.")
    save_checkpoint_dir(folder / "model", reward, tokenizer, manifest=manifest, card=card)
    run.finish({**figures, "rankings": len(train), "updates": plan.updates})
    return folder / "model"


@dataclass(frozen=True)
class Plan:
    """Which rankings each update sees."""

    cfg: Reward
    config: Config
    items: list[RankedPrompt]
    prompts: int
    """How many prompts the items come from."""
    pad_id: int

    @property
    def batch(self) -> int:
        """Elements of a batch; single pairs come as many at a time as grouped prompts bring on average."""
        return max(1, round(self.cfg.batch * len(self.items) / self.prompts))

    @property
    def updates(self) -> int:
        return self.cfg.epochs * updates_per_epoch(len(self.items), self.batch)

    def row_length(self, item: RankedPrompt) -> int:
        """Tokens of the longest row that the element takes, were the context endless."""
        return item.tokens if self.cfg.share_prompts else max(map(len, item.answers))

    def rows(self, update: int) -> list[RankedPrompt]:
        """The batch elements of one update."""
        rows = rows_of_update(update, size=len(self.items), batch=self.batch, seed=self.config.run.seed, name="rankings")
        return [self.items[row] for row in rows]


def batch_elements(ranked: Sequence[RankedPrompt], cfg: Reward) -> list[RankedPrompt]:
    """A prompt with all of its answers; or, to show why the paper does not, every pair on its own."""
    if not ranked:
        raise DataError("no ranking has an untied pair", expected="at least one answer better than another", remedy="see what was dropped, above")
    return [pair for item in ranked for pair in item.single_pairs()] if cfg.shuffle_pairs else list(ranked)


def reward_update(reward: ScalarModel, optimizer: torch.optim.Optimizer, plan: Plan, update: int) -> dict[str, float]:
    """One optimizer step on −log σ(r_w − r_l), averaged over the global batch as law C6 says."""
    times: dict[str, float] = {}
    loss = correct = 0.0
    with timed(times, "update"):
        items = sorted(plan.rows(update), key=plan.row_length)  # like lengths pass together: less padding
        pairs = sum(len(item.pairs) for item in items)
        for part in micro_batches(items, plan.config.run.micro_batch):
            batch, score_N = scored(reward, part, plan.config, pad_id=plan.pad_id)
            loss_P = pair_losses(score_N, batch.winner_P, batch.loser_P)
            weight_P = pair_weights(batch.prompt_P, weight=plan.cfg.weight, prompts=len(items), pairs=pairs).to(loss_P)
            part_loss = (weight_P * loss_P).sum()
            part_loss.backward()
            loss += float(part_loss.detach())
            correct += float((score_N[batch.winner_P] > score_N[batch.loser_P]).sum())
        figures = optimizer_step(
            optimizer, plan.cfg.optimizer, lr_step=update, total=plan.updates, batch={"answers": [item.answers for item in items]}
        )
    tokens = sum(len(answer) for item in items for answer in item.answers)
    return {"loss": loss, "accuracy": correct / pairs, **figures, **times, "time/tokens_per_second": tokens / times["time/update"]}


def micro_batches(items: Sequence[RankedPrompt], size: int) -> list[list[RankedPrompt]]:
    """Cut a batch where `size` answers are reached; a prompt is never cut."""
    parts: list[list[RankedPrompt]] = []
    room = 0
    for item in items:
        if not parts or len(item.answers) > room:
            parts.append([])
            room = size
        parts[-1].append(item)
        room -= len(item.answers)
    return parts


def scored(reward: ScalarModel, items: Sequence[RankedPrompt], config: Config, *, pad_id: int) -> tuple[ComparisonBatch, Tensor]:
    """The items as a batch, and the score of each answer, read at its last token, float32 [N]; raises `NotFinite` for no number (law E1)."""
    batch = collate_rankings(items, pad_id=pad_id, row_length=config.text.context if config.reward.share_prompts else 0)
    score_N = scores(reward, batch, config)
    require_finite(vars(batch), score_N=score_N)
    return batch, score_N


def scores(reward: ScalarModel, batch: ComparisonBatch, config: Config) -> Tensor:
    """The score of each answer of a batch [N]."""
    mask_4d = batch.mask_4d
    apart = {} if mask_4d is None else {"mask_4d": mask_4d.to(device()), "position_BT": batch.position_BT.to(device())}
    with autocast(config.run.precision, device()):
        return reward.scores_in_rows(batch.tokens_BT.to(device()), batch.row_N.to(device()), batch.end_N.to(device()), **apart).cpu()


@torch.no_grad()
def score_rankings(reward: ScalarModel, items: Sequence[RankedPrompt], config: Config, *, pad_id: int) -> list[list[float]]:
    """The scores of every answer of every prompt, in order; raises `NotFinite` for one that is not a number (law E1)."""
    flat: list[float] = []
    for part in micro_batches(items, config.run.micro_batch):
        flat += scored(reward, part, config, pad_id=pad_id)[1].tolist()
    bounds = [0]
    for item in items:
        bounds.append(bounds[-1] + len(item.answers))
    return [flat[start:end] for start, end in pairwise(bounds)]


def agreement(scored: Sequence[Sequence[float]], items: Sequence[RankedPrompt]) -> dict[str, float]:
    """Share of pairs ordered as the labeler did (equal scores count half) and mean −log σ of the difference, over all pairs."""
    gaps_P = torch.tensor([score[winner] - score[loser] for score, item in zip(scored, items, strict=True) for winner, loser in item.pairs])
    if not len(gaps_P):
        return {}
    return {
        "valid_accuracy": float(((gaps_P > 0).double() + (gaps_P == 0).double() / 2).mean()),
        "valid_log_loss": float(torch.nn.functional.softplus(-gaps_P.double()).mean()),
        "valid_pairs": float(len(gaps_P)),
    }


@torch.no_grad()
def center_on(reward: ScalarModel, demonstrations: Sequence[Sequence[int]], config: Config, *, pad_id: int) -> list[float]:
    """Set the bias so that demonstrations score 0 on average, and return their scores; computed, applied and checked in float32 (law C7).

    `demonstrations` are ids of prompt and answer. The trunk passes over them once: head and bias read the same hidden states again.
    """
    states_ND = _end_states(reward, demonstrations, config, pad_id=pad_id)
    reward.shift(-float(reward.read(states_ND).double().mean()))
    score_N = reward.read(states_ND)
    require_finite({"demonstrations": demonstrations}, score_N=score_N)
    if abs(left := float(score_N.double().mean())) > BIAS_TOLERANCE:
        raise LawBroken(
            "C7", expected=f"a mean within {BIAS_TOLERANCE}", came=f"{left}", usual_cause="scores so large that float32 cannot hold the difference"
        )
    return score_N.tolist()


def _end_states(reward: ScalarModel, sequences: Sequence[Sequence[int]], config: Config, *, pad_id: int) -> Tensor:
    """The hidden state at the end of each sequence, without autocast [N, D]; like lengths pass together."""
    order = sorted(range(len(sequences)), key=lambda place: len(sequences[place]))
    parts: list[Tensor] = []
    for start in range(0, len(order), config.run.micro_batch):
        rows = [torch.tensor(sequences[place]) for place in order[start : start + config.run.micro_batch]]
        tokens_NT = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id)
        parts.append(reward.end_states(tokens_NT.to(device()), torch.tensor([len(row) for row in rows], device=device())))
    return torch.cat(parts)[torch.tensor(order).argsort()]
