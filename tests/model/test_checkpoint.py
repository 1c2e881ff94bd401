"""Checkpoint folders: what is in them, that they are whole or absent, and the hash of the weights."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from instructloop.errors import CheckpointError
from instructloop.model import checkpoint
from instructloop.model.checkpoint import checkpoint_hash, load_manifest, save_checkpoint_dir, weights_hash
from instructloop.model.ema import Ema
from instructloop.model.pretrained import stop_ids
from instructloop.model.scalar import scalar_from_policy
from instructloop.records import RunManifest
from instructloop.text.tokenizer import Tokenizer, train_tokenizer
from tiny_models import ARCHITECTURES, tiny

MANIFEST = RunManifest(run_id="r1", step="sft", config={"lr": 0.1}, command="run it", code_version="1", seed=3, parents={"base": "abc"})
TOKENS_BT = torch.arange(2, 22).reshape(2, 10)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a little text"], vocab=258)


def policy(architecture: str = "llama", seed: int = 0):
    return tiny(architecture, vocab=258, dtype=torch.float32, seed=seed)


@torch.no_grad()
def test_a_normal_hugging_face_folder_with_its_manifest_and_card(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = policy()
    save_checkpoint_dir(tmp_path / "runs" / "model", model, tokenizer, manifest=MANIFEST, card="# A card")
    folder = tmp_path / "runs" / "model"
    assert torch.equal(AutoModelForCausalLM.from_pretrained(folder)(TOKENS_BT).logits, model(TOKENS_BT).logits)
    assert AutoTokenizer.from_pretrained(folder)("some text").input_ids == tokenizer.encode("some text")
    generation = GenerationConfig.from_pretrained(folder)
    assert (generation.eos_token_id, generation.pad_token_id) == (tokenizer.end_id, tokenizer.pad_id)
    assert load_manifest(folder) == MANIFEST
    assert (folder / "README.md").read_text() == "# A card\n"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_replacing_leaves_the_new_one_only(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_checkpoint_dir(tmp_path / "model", policy(seed=0), tokenizer, manifest=MANIFEST, card="old")
    (tmp_path / "model" / "stray").touch()
    save_checkpoint_dir(tmp_path / "model", policy(seed=1), tokenizer, manifest=MANIFEST, card="new")
    assert weights_hash(tmp_path / "model") == weights_hash(policy(seed=1))
    assert not (tmp_path / "model" / "stray").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_save_that_breaks_off_leaves_the_old_one_whole(tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint_dir(tmp_path / "model", policy(seed=0), tokenizer, manifest=MANIFEST, card="old")

    def full_disk(folder: Path) -> None:
        raise OSError("no space left")

    flush = checkpoint._flush
    monkeypatch.setattr(checkpoint, "_flush", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint_dir(tmp_path / "model", policy(seed=1), tokenizer, manifest=MANIFEST, card="new")
    assert weights_hash(tmp_path / "model") == weights_hash(policy(seed=0))
    monkeypatch.setattr(checkpoint, "_flush", flush)
    save_checkpoint_dir(tmp_path / "model", policy(seed=1), tokenizer, manifest=MANIFEST, card="new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_killed_between_the_two_renames_the_old_one_comes_back(tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint_dir(tmp_path / "model", policy(seed=0), tokenizer, manifest=MANIFEST, card="old")
    (tmp_path / "model").rename(tmp_path / ".model.replaced")

    def full_disk(folder: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint, "_flush", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint_dir(tmp_path / "model", policy(seed=1), tokenizer, manifest=MANIFEST, card="new")
    assert weights_hash(tmp_path / "model") == weights_hash(policy(seed=0))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_model_and_its_saved_folder_have_one_hash(architecture: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = policy(architecture)
    reward = scalar_from_policy(model, tokenizer, seed=0)
    save_checkpoint_dir(tmp_path / "policy", model, tokenizer, manifest=MANIFEST, card="")
    save_checkpoint_dir(tmp_path / "reward", reward, tokenizer, manifest=MANIFEST, card="")
    hashes = [weights_hash(model), weights_hash(reward)]
    assert [weights_hash(tmp_path / "policy"), weights_hash(str(tmp_path / "reward"))] == hashes
    assert hashes[0] != hashes[1]
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1e-6
    assert weights_hash(model) != hashes[0]


def test_the_hash_by_hand(tmp_path: Path) -> None:
    """Names in order, whatever the order in the file: name, dtype, shape, then little-endian bytes."""
    save_file({"b": torch.tensor([1.0]), "a": torch.tensor([[2, 3]], dtype=torch.int16)}, tmp_path / "model.safetensors")
    expected = hashlib.sha256(b"a\0torch.int16\0(1, 2)\0\x02\x00\x03\x00" + b"b\0torch.float32\0(1,)\0\x00\x00\x80\x3f").hexdigest()
    assert weights_hash(tmp_path) == expected


@pytest.mark.parametrize("length", [0, 5, 60, -1])
def test_weights_that_are_cut_off_have_no_hash(length: int, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(4, 4)}, file)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read"):
        weights_hash(tmp_path)


def test_folders_without_weights_or_manifest(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no weights"):
        weights_hash(tmp_path)
    with pytest.raises(CheckpointError, match=r"manifest\.json cannot be read"):
        load_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"run_id": "r"}))
    with pytest.raises(CheckpointError, match="lacks the key"):
        load_manifest(tmp_path)


def test_the_identity_of_a_checkpoint_knows_the_bias_of_its_score(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Rewards that differ by a constant have equal weights, and are other rewards all the same."""
    reward = scalar_from_policy(policy(), tokenizer, seed=0)
    for name, shift in (("first", 0.0), ("same", 0.0), ("shifted", 5.0)):
        reward.shift(shift)
        save_checkpoint_dir(tmp_path / name, reward, tokenizer, manifest=MANIFEST, card=name)
    assert weights_hash(tmp_path / "first") == weights_hash(tmp_path / "shifted")
    assert checkpoint_hash(tmp_path / "first") == checkpoint_hash(tmp_path / "same") != checkpoint_hash(tmp_path / "shifted")


def test_the_identity_does_not_know_who_wrote_the_config(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_checkpoint_dir(tmp_path / "model", policy(), tokenizer, manifest=MANIFEST, card="")
    before, path = checkpoint_hash(tmp_path / "model"), tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "transformers_version": "9.9", "_name_or_path": "elsewhere"}))
    assert checkpoint_hash(tmp_path / "model") == before
    path.write_text(json.dumps({**config, "rms_norm_eps": 0.5}))
    assert checkpoint_hash(tmp_path / "model") != before


def test_averaged_weights_have_a_manifest_and_a_card_of_their_own(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = policy()
    save_checkpoint_dir(tmp_path / "model", model, tokenizer, manifest=MANIFEST, card="# A card", ema=Ema(model, 0.5))
    assert load_manifest(tmp_path / "model" / "ema") == MANIFEST
    assert "averages over the updates" in (tmp_path / "model" / "ema" / "README.md").read_text()
    assert "averages" not in (tmp_path / "model" / "README.md").read_text()


def test_every_stop_id_of_a_checkpoint_is_kept(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Chat models end a turn and a text with different tokens; saving must not forget one (law B3)."""
    model = policy()
    model.generation_config.eos_token_id = [42, 7]
    assert stop_ids(model, tokenizer) == {tokenizer.end_id, 42, 7}
    save_checkpoint_dir(tmp_path / "model", model, tokenizer, manifest=MANIFEST, card="")
    assert GenerationConfig.from_pretrained(tmp_path / "model").eos_token_id == [tokenizer.end_id, 7, 42]
    assert stop_ids(AutoModelForCausalLM.from_pretrained(tmp_path / "model"), tokenizer) == {tokenizer.end_id, 42, 7}
