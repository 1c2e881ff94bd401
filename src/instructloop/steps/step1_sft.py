"""Step 1: supervised fine-tuning on labelers' demonstrations (InstructGPT §3.5, App. C.1).

Made twice, as in the paper: the SFT model that people compare against, for 16 epochs, and the start of PPO, for 2 epochs
with pretraining text as a tenth of the examples of every batch (App. C.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from transformers import PreTrainedModel

from instructloop.algo.seeds import derive
from instructloop.config import SFT, Config
from instructloop.data.demonstrations import TokenBatch, collate, load_demonstrations
from instructloop.data.order import rows_of_update, updates_per_epoch
from instructloop.data.pretraining import TokenStream, token_cache, token_stream
from instructloop.errors import ConfigError
from instructloop.model.checkpoint import copy_checkpoint_dir, save_checkpoint_dir
from instructloop.model.dropout import residual_branches, residual_dropout
from instructloop.model.policy import load_policy
from instructloop.records import Demonstration, Document
from instructloop.steps.device import on_this_machine, place
from instructloop.steps.guards import offender_kept
from instructloop.steps.language import accumulate_language_loss, count_targets, in_micro_batches, mean_nll, rows_batch, running_text, tokens_of
from instructloop.steps.laws import require_engine_parity
from instructloop.steps.optimization import make_optimizer, optimizer_step
from instructloop.steps.provenance import describe_run, model_card, require_same_rendering
from instructloop.steps.running import Run, open_run, timed
from instructloop.steps.samples import continuations, first_prompts
from instructloop.store.snapshots import open_snapshot, read_split
from instructloop.text.rendering import Rendered
from instructloop.text.tokenizer import load_tokenizer

Stage = Literal["sft", "sft_ptx_init"]


@dataclass(frozen=True, kw_only=True)
class SFTInputs:
    """What step 1 reads."""

    model: str
    """Directory or hub id of the base model."""
    demonstrations: Path
    """Snapshot of demonstrations, with the splits `train` and `valid`."""
    pretraining: Path | None = None
    """Snapshot of texts; needed where the recipe mixes pretraining text in."""


def train_sft(config: Config, inputs: SFTInputs, folder: Path, *, stage: Stage = "sft", allow_inexact: bool = False) -> Path:
    """Fine-tune a base model on demonstrations; a checkpoint per epoch, and the one with the lowest validation loss in `model/`."""
    config = on_this_machine(config)
    cfg: SFT = getattr(config, stage)
    _require_text_for_mixing(cfg, config, inputs, stage)
    demonstrations = open_snapshot(inputs.demonstrations)
    require_same_rendering(config.text, {"model": inputs.model})
    tokenizer = load_tokenizer(inputs.model)
    snapshots = {"demonstrations": demonstrations, "pretraining": open_snapshot(inputs.pretraining) if inputs.pretraining else None}
    manifest = describe_run(stage, config, run_id=folder.name, snapshots=snapshots, models={"base": inputs.model}, tokenizer=tokenizer)
    run = open_run(folder, manifest, save_every=config.run.save_every, tensorboard=config.run.tensorboard, allow_inexact=allow_inexact)

    splits = (read_split(inputs.demonstrations, split, Demonstration) for split in ("train", "valid"))
    (train, dropped), (valid, dropped_valid) = (load_demonstrations(records, tokenizer, config.text, loss_on=cfg.loss_on) for records in splits)
    print(f"train: {dropped}\nvalid: {dropped_valid}")
    dropped.require_some("demonstrations")
    dropped_valid.require_some("validation demonstrations")
    shown = first_prompts(read_split(inputs.demonstrations, "valid", Demonstration), tokenizer, config.text)
    text = (
        token_stream(read_split(inputs.pretraining, "train", Document), tokenizer, cache=token_cache())
        if cfg.pretraining_share and inputs.pretraining
        else None
    )
    if text is not None:
        text.require_length(cfg.pretraining_length)
    policy = place(load_policy(inputs.model, precision=config.run.precision, tokenizer=tokenizer, context=config.text.context))
    if cfg.residual_dropout:
        residual_branches(policy)  # refuses an architecture it does not know before anything is written
    engine = require_engine_parity(policy, tokenizer, config)

    plan = Plan(cfg=cfg, config=config, train=train, text=text, pad_id=tokenizer.pad_id)
    optimizer = make_optimizer(policy, cfg.optimizer)
    valid_batches = in_micro_batches(valid, config.run.micro_batch, plan.collate)
    for update in run.updates(plan.updates, {"policy": policy, "optimizer": optimizer}):
        with offender_kept(run):
            metrics = sft_update(policy, optimizer, plan, update)
        if (update + 1) % plan.updates_per_epoch == 0:
            epoch = (update + 1) // plan.updates_per_epoch
            with offender_kept(run):
                metrics["valid_loss"] = mean_nll(policy, valid_batches, config.run)
            run.sample(update, continuations(engine, policy, shown, tokenizer, at=update, max_new_tokens=config.text.max_response))
            card = model_card(f"{stage}, epoch {epoch}", manifest, {"valid_loss": metrics["valid_loss"]})
            save_checkpoint_dir(folder / "epochs" / f"epoch-{epoch:02d}", policy, tokenizer, manifest=manifest, card=card)
        run.log(update, metrics)

    best, losses = best_epoch(run)
    copy_checkpoint_dir(folder / "epochs" / f"epoch-{best:02d}", folder / "model")
    run.finish({"best_epoch": best, "valid_losses": losses, "valid_loss": losses[best - 1], "demonstrations": len(train)})
    return folder / "model"


@dataclass(frozen=True)
class Plan:
    """Which examples each update sees."""

    cfg: SFT
    config: Config
    train: list[Rendered]
    text: TokenStream | None
    pad_id: int

    @property
    def mixed_in(self) -> int:
        """Pretraining rows of a batch."""
        return round(self.cfg.batch * self.cfg.pretraining_share)

    @property
    def demonstrations(self) -> int:
        """Demonstrations of a batch."""
        return self.cfg.batch - self.mixed_in

    @property
    def updates_per_epoch(self) -> int:
        return updates_per_epoch(len(self.train), self.demonstrations)

    @property
    def updates(self) -> int:
        return self.cfg.epochs * self.updates_per_epoch

    def collate(self, rendered: Sequence[Rendered]) -> TokenBatch:
        """Right-padded rows, or packed ones where the recipe says so."""
        return collate(rendered, pad_id=self.pad_id, pack_to=self.config.text.context if self.cfg.pack else None)

    def batches(self, update: int) -> list[TokenBatch]:
        """The micro-batches of one update: demonstrations, and the share of pretraining rows; all together where they are packed."""
        seed, micro_batch = self.config.run.seed, self.config.run.micro_batch
        rows = rows_of_update(update, size=len(self.train), batch=self.demonstrations, seed=seed, name="demonstrations")
        examples, batches = [self.train[row] for row in rows], list[TokenBatch]()
        if self.text is not None and self.mixed_in:
            rows_BT = self.text.sample_rows(update, rows=self.mixed_in, length=self.cfg.pretraining_length, seed=seed, name="sft_pretraining")
            if self.cfg.pack:
                examples += [running_text(row) for row in rows_BT.tolist()]
            else:
                batches = [rows_batch(part) for part in rows_BT.split(micro_batch)]
        return in_micro_batches(examples, micro_batch, self.collate) + batches


def sft_update(policy: PreTrainedModel, optimizer: torch.optim.Optimizer, plan: Plan, update: int) -> dict[str, float]:
    """One optimizer step on the mean −log π over all target tokens of the global batch."""
    times: dict[str, float] = {}
    with timed(times, "update"):
        batches = plan.batches(update)
        torch.manual_seed(derive(plan.config.run.seed, "dropout", update))
        with residual_dropout(policy, plan.cfg.residual_dropout):
            loss = accumulate_language_loss(policy, batches, plan.config.run, count=count_targets(batches))
        figures = optimizer_step(optimizer, plan.cfg.optimizer, lr_step=update, total=plan.updates, batch=tokens_of(batches))
    tokens = sum(int((batch.tokens_BT != plan.pad_id).sum()) for batch in batches)
    return {"loss": loss, **figures, **times, "time/tokens_per_second": tokens / times["time/update"]}


def best_epoch(run: Run) -> tuple[int, list[float]]:
    """The epoch with the lowest validation loss, from 1, and the losses of all; `instructloop select` chooses by reward instead."""
    losses = [line["valid_loss"] for line in run.logged() if "valid_loss" in line]
    return 1 + losses.index(min(losses)), losses


def _require_text_for_mixing(cfg: SFT, config: Config, inputs: SFTInputs, stage: Stage) -> None:
    if inputs.pretraining is not None and not cfg.pretraining_share:
        raise ConfigError(
            f"pretraining text is given and the stage {stage} mixes none in",
            expected="text for a stage with a pretraining_share above 0",
            remedy="leave --pretraining out, or set pretraining_share",
        )
    if cfg.pretraining_share and inputs.pretraining is None:
        raise ConfigError(
            f"the recipe mixes {cfg.pretraining_share:.0%} pretraining text in and none is given",
            expected="a snapshot of texts",
            remedy="add --pretraining DIR, or set pretraining_share to 0",
        )
    if cfg.pretraining_share and cfg.pretraining_length > config.text.context:
        raise ConfigError(
            f"pretraining_length {cfg.pretraining_length} with a context of {config.text.context}",
            expected="pretraining examples that fit into the context",
            remedy="lower pretraining_length",
        )
