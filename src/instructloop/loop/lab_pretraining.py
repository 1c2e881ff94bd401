"""The base of the demo: made from the lab's pretraining text by `make base`, shipped with the package in half precision.

lab/base/
  config.json  model.safetensors  tokenizer.json …   an ordinary Hugging Face checkpoint, weights in bfloat16
  manifest.json  README.md                            how it was made
  record.jsonl                                        its losses as it learned, every RECORD_EVERY updates
"""

import json
import shutil
from itertools import islice
from pathlib import Path

import instructloop
from instructloop.config import Config
from instructloop.errors import CheckpointError, RunFinished
from instructloop.lab.documents import documents
from instructloop.loop.small_world import TEXT_SEED, held_out_documents
from instructloop.model.checkpoint import CARD, MANIFEST, load_manifest, save_checkpoint_dir
from instructloop.model.policy import load_policy
from instructloop.steps.step0_pretrain import PretrainInputs, pretrain
from instructloop.store.snapshots import freeze
from instructloop.text.tokenizer import load_tokenizer

SHIPPED = Path(instructloop.__file__).parent / "lab" / "base"
DOCUMENTS = 600_000
"""About 35 million tokens: the base reads each of them once on average."""
HELD_OUT = 600
RECORD_EVERY = 100


def make_base(config: Config, out: Path, shipped: Path = SHIPPED) -> Path:
    """Write the text, train on it, and put the result where the package finds it; goes on where it stopped."""
    data = out / "documents"
    if not data.exists():
        splits = {"train": islice(documents(TEXT_SEED), DOCUMENTS), "valid": held_out_documents(HELD_OUT)}
        freeze(data, splits, query=f"the lab's documents 0 to {DOCUMENTS - 1} of seed {TEXT_SEED}", source_of=lambda _: "lab")
    try:
        pretrain(config, PretrainInputs(documents=data), out / "run")
    except RunFinished as finished:
        print(finished)
    return ship(out / "run", shipped, config)


def ship(run: Path, shipped: Path, config: Config) -> Path:
    """Copy the model of a run, in bfloat16, with its record."""
    tokenizer = load_tokenizer(run / "model")
    policy = load_policy(run / "model", precision="fp32", tokenizer=tokenizer, context=config.pretrain.shape.context).bfloat16()
    card = (run / "model" / CARD).read_text(encoding="utf-8")
    save_checkpoint_dir(shipped, policy, tokenizer, manifest=load_manifest(run / "model"), card=card)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    kept = [row for row in rows if row["update"] % RECORD_EVERY == 0 or "valid_loss" in row]
    (shipped / "record.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    shutil.copy(run / "finished.json", shipped / "finished.json")
    return shipped


def shipped_base(folder: Path = SHIPPED) -> Path:
    """The folder of the base; raises `CheckpointError` where this copy of the package has none."""
    if not (folder / MANIFEST).exists():
        raise CheckpointError(f"there is no base in {folder}", expected="the base that ships with the package", remedy="make it: `make base`")
    return folder
