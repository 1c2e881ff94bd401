"""Checkpoint folders: normal Hugging Face directories, with where they came from beside the weights.

config.json  generation_config.json  model.safetensors  tokenizer.json …   what `from_pretrained` reads
manifest.json                                                              the run: config, data, parents
README.md                                                                  the model card
ema/                                                                       the same files with averaged weights, where kept
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import PreTrainedModel

from instructloop.errors import CheckpointError, DataError, first_line
from instructloop.model.ema import Ema
from instructloop.model.pretrained import AVERAGED, stop_ids
from instructloop.model.scalar import ScalarModel
from instructloop.model.silence import quietly
from instructloop.records import RunManifest
from instructloop.store.durable import sync
from instructloop.text.tokenizer import Tokenizer

MANIFEST = "manifest.json"
CARD = "README.md"
CONFIG_OF_THE_WRITER = ("transformers_version", "_name_or_path", "dtype", "torch_dtype", "architectures")
"""What config.json says of who wrote it and how, and not of what the model computes."""
AVERAGED_NOTE = "\n## Averaged weights\n\nThese are averages over the updates; the figures are those of the raw weights in the folder above.\n"


def save_checkpoint_dir(
    folder: str | Path, model: PreTrainedModel | ScalarModel, tokenizer: Tokenizer, *, manifest: RunManifest, card: str, ema: Ema | None = None
) -> None:
    """Write a checkpoint so that `folder` is at every moment absent, the old one, or the whole new one.

    Written beside, flushed to disk, renamed; an old folder of that name is moved aside first and deleted last. `card` is
    the text of the model card; for a scalar model the paragraph on its bias is appended.
    """
    with _whole(Path(folder)) as new:
        _write(new, model, tokenizer, ema)
        for place in (new, *([new / AVERAGED] if ema is not None else [])):
            (place / MANIFEST).write_text(json.dumps(manifest.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            note = _bias_note(model) if isinstance(model, ScalarModel) else ""
            averaged = AVERAGED_NOTE if place != new else ""
            (place / CARD).write_text(card.rstrip() + "\n" + note + averaged, encoding="utf-8")


def copy_checkpoint_dir(source: str | Path, folder: str | Path) -> None:
    """Copy a checkpoint, as whole at every moment as `save_checkpoint_dir` writes one."""
    with _whole(Path(folder)) as new:
        shutil.copytree(source, new)


def load_manifest(folder: str | Path) -> RunManifest:
    """The manifest of a checkpoint or a run; raises `CheckpointError` if the folder has none, or one that cannot be read."""
    path = Path(folder) / MANIFEST
    try:
        return RunManifest.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, DataError) as error:
        broken, absent = (
            "restore it from a copy, or make the run again",
            "give the checkpoint folder of a run; models made elsewhere have no manifest",
        )
        raise CheckpointError(
            f"{path} cannot be read: {first_line(error)}",
            expected="the manifest of a checkpoint written by instructloop",
            remedy=broken if path.exists() else absent,
        ) from error


def weights_hash(source: PreTrainedModel | ScalarModel | str | Path) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of all weights in order of name: equal for a model and its saved folder.

    A scalar model's bias is in its config and not in the hash. Raises `CheckpointError` for a folder without weights.
    """
    if not isinstance(source, str | Path):
        # Files may name and cut tensors differently from modules, so a model's hash is that of the files it would make.
        with TemporaryDirectory() as folder:
            _save_weights(_network(source), folder)
            return weights_hash(folder)
    digest, tensors = hashlib.sha256(), _folder_tensors(Path(source))
    for name in sorted(tensors):
        tensor = tensors[name]()
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def checkpoint_hash(folder: str | Path) -> str:
    """SHA-256 over the weights and what config.json says of them (the bias of the score, rotary angles …), less versions and paths."""
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error}", expected="the configuration of a Hugging Face checkpoint", remedy="copy or download it again"
        ) from error
    telling = {name: value for name, value in config.items() if name not in CONFIG_OF_THE_WRITER}
    return hashlib.sha256(f"{weights_hash(folder)}\0{json.dumps(telling, sort_keys=True)}".encode()).hexdigest()


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A path to make a folder at, which takes the place of `folder` once it is made."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = _beside(folder, "writing"), _beside(folder, "replaced")
    if old.exists() and not folder.exists():
        old.rename(folder)  # a save was killed between its two renames
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    yield new
    _flush(new)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _write(folder: Path, model: PreTrainedModel | ScalarModel, tokenizer: Tokenizer, ema: Ema | None) -> None:
    network = _network(model)
    if getattr(network, "generation_config", None) is not None:
        ends = sorted(stop_ids(network, tokenizer), key=lambda id_: (id_ != tokenizer.end_id, id_))
        network.generation_config.eos_token_id = ends if len(ends) > 1 else tokenizer.end_id
        network.generation_config.pad_token_id = tokenizer.pad_id
    network.config.pad_token_id = tokenizer.pad_id
    if isinstance(model, ScalarModel):
        network.config.score_bias = float(model.score_bias)
    _save_weights(network, folder)
    tokenizer.save(folder)
    if ema is not None:
        with ema.applied(model):
            _save_weights(network, folder / AVERAGED)
        tokenizer.save(folder / AVERAGED)


def _save_weights(network: PreTrainedModel, folder: str | Path) -> None:
    with quietly():
        network.save_pretrained(folder)


def _network(model: PreTrainedModel | ScalarModel) -> PreTrainedModel:
    return model.classifier if isinstance(model, ScalarModel) else model


def _bias_note(model: ScalarModel) -> str:
    return (
        "\n## Score\n\nThe score of an answer is the classifier's logit **plus `config.score_bias`** "
        f"(here {float(model.score_bias):.6g}): transformers' score heads have no bias. With it the mean score of the demonstrations is 0.\n\n"
        "```python\n"
        "model = AutoModelForSequenceClassification.from_pretrained(folder)\n"
        "score = model(**batch).logits[:, 0] + model.config.score_bias\n"
        "```\n\nThe last token is found by `pad_token_id`: pad with that token and no other.\n"
    )


def _folder_tensors(folder: Path) -> dict[str, Callable[[], Tensor]]:
    """Name -> how to read it, so that one tensor is in memory at a time."""
    readers: dict[str, Callable[[], Tensor]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        readers |= {name: partial(_read_tensor, file, name) for name in _tensor_names(file)}
    if not readers:
        raise CheckpointError(
            f"{folder} holds no weights",
            expected="a checkpoint folder with model.safetensors",
            remedy="correct the path, or convert the weights to safetensors",
        )
    return readers


def _tensor_names(file: Path) -> list[str]:
    try:
        with safe_open(file, framework="pt") as tensors:
            return list(tensors.keys())
    except SafetensorError as error:
        raise CheckpointError(
            f"{file} cannot be read: {error}",
            expected="whole safetensors files, of the length that their header tells",
            remedy="copy or download the checkpoint again",
        ) from error


def _read_tensor(file: Path, name: str) -> Tensor:
    with safe_open(file, framework="pt") as tensors:
        return tensors.get_tensor(name)


def _beside(folder: Path, state: str) -> Path:
    return folder.parent / f".{folder.name}.{state}"


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
