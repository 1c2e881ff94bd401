"""Step 0: a base model from text, for people who bring none (demos, tests, offline machines).

The paper starts from GPT-3; anyone with a checkpoint starts at step 1.
"""

from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from instructloop.config import Config
from instructloop.data.pretraining import TokenStream, token_cache, token_stream
from instructloop.model.checkpoint import save_checkpoint_dir
from instructloop.model.policy import new_policy
from instructloop.model.pretrained import master_dtype
from instructloop.records import Document
from instructloop.steps.device import on_this_machine, place
from instructloop.steps.guards import offender_kept
from instructloop.steps.language import accumulate_language_loss, count_targets, mean_nll, rows_batch, tokens_of
from instructloop.steps.laws import require_engine_parity
from instructloop.steps.optimization import make_optimizer, optimizer_step
from instructloop.steps.provenance import describe_run, model_card
from instructloop.steps.running import open_run, timed
from instructloop.steps.samples import SAMPLES_SHOWN, continuations
from instructloop.steps.throughput import measure_throughput, typical_seconds
from instructloop.store.snapshots import open_snapshot, read_split
from instructloop.text.tokenizer import Tokenizer, load_tokenizer, train_tokenizer

BEGINNING = 16
"""Tokens of held-out text that the model goes on from in samples.jsonl."""
CONTINUATION = 64
"""Tokens it adds to them, at most."""
VALID_ROWS = 64
"""Rows of held-out text in a validation loss."""


@dataclass(frozen=True, kw_only=True)
class PretrainInputs:
    """What step 0 reads."""

    documents: Path
    """Snapshot of texts, with the splits `train` and `valid`."""
    tokenizer: str | None = None
    """Directory or hub id of a tokenizer; without it a byte-level BPE is trained on the texts."""


def pretrain(config: Config, inputs: PretrainInputs, folder: Path, *, allow_inexact: bool = False) -> Path:
    """Train a base model on packed rows of text; returns its directory."""
    config = on_this_machine(config)
    cfg, snapshot = config.pretrain, open_snapshot(inputs.documents)
    tokenizer = _tokenizer(inputs, vocab=cfg.shape.vocab)
    manifest = describe_run("pretrain", config, run_id=folder.name, snapshots={"documents": snapshot}, models={}, tokenizer=tokenizer)
    run = open_run(folder, manifest, save_every=config.run.save_every, tensorboard=config.run.tensorboard, allow_inexact=allow_inexact)
    train, valid = (token_stream(read_split(inputs.documents, split, Document), tokenizer, cache=token_cache()) for split in ("train", "valid"))
    train.require_length(cfg.length)
    valid.require_length(cfg.length)

    policy = place(new_policy(cfg.shape, tokenizer, seed=config.run.seed, dtype=master_dtype(config.run.precision)))
    engine = require_engine_parity(policy, tokenizer, config)
    beginnings = valid.spaced(rows=SAMPLES_SHOWN, length=min(BEGINNING, cfg.length - 1)).tolist()
    optimizer = make_optimizer(policy, cfg.optimizer)
    for update in run.updates(cfg.updates, {"policy": policy, "optimizer": optimizer}):
        times: dict[str, float] = {}
        with offender_kept(run), timed(times, "update"):
            rows_BT = train.sample_rows(update, rows=cfg.batch, length=cfg.length, seed=config.run.seed, name="pretrain")
            batches = [rows_batch(part) for part in rows_BT.split(config.run.micro_batch)]
            loss = accumulate_language_loss(policy, batches, config.run, count=count_targets(batches))
            figures = optimizer_step(optimizer, cfg.optimizer, lr_step=update, total=cfg.updates, batch=tokens_of(batches))
        metrics = {"loss": loss, **figures, **times, "time/tokens_per_second": rows_BT.numel() / times["time/update"]}
        if (update + 1) % config.run.save_every == 0 or update + 1 == cfg.updates:
            with offender_kept(run):
                metrics["valid_loss"] = held_out_loss(policy, valid, config)
            room = min(CONTINUATION, cfg.length - len(beginnings[0]))
            run.sample(update, continuations(engine, policy, beginnings, tokenizer, at=update, max_new_tokens=room))
        run.log(update, metrics)

    logged = run.logged()
    last, seconds = logged[-1], typical_seconds(logged)
    throughput = measure_throughput(policy, tokens=cfg.batch * cfg.length, length=cfg.length, seconds=seconds, precision=config.run.precision)
    print(throughput)
    summary = {"loss": last["loss"], "valid_loss": last["valid_loss"], "tokens": cfg.updates * cfg.batch * cfg.length}
    save_checkpoint_dir(folder / "model", policy, tokenizer, manifest=manifest, card=model_card("base model", manifest, summary))
    run.finish({**summary, **throughput.figures()})
    return folder / "model"


def held_out_loss(policy: PreTrainedModel, valid: TokenStream, config: Config) -> float:
    """Mean −log π per token of held-out text, in nats, on the same rows every time."""
    rows_BT = valid.spaced(rows=VALID_ROWS, length=config.pretrain.length)
    return mean_nll(policy, [rows_batch(part) for part in rows_BT.split(config.run.micro_batch)], config.run)


def _tokenizer(inputs: PretrainInputs, *, vocab: int) -> Tokenizer:
    if inputs.tokenizer is not None:
        return load_tokenizer(inputs.tokenizer)
    texts = (document.text for document in read_split(inputs.documents, "train", Document))
    return train_tokenizer(texts, vocab=vocab)
