"""Law C10: the exponential moving average of the policy, its arithmetic, its saving, its use for evaluation."""

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from instructloop.errors import CheckpointError, ResumeError
from instructloop.model.checkpoint import save_checkpoint_dir
from instructloop.model.ema import Ema
from instructloop.model.policy import load_policy
from instructloop.records import RunManifest
from instructloop.text.tokenizer import Tokenizer, train_tokenizer
from tiny_models import tiny

MANIFEST = RunManifest(run_id="r", step="ppo", config={}, command="", code_version="", seed=0)
TOKENS_BT = torch.arange(2, 22).reshape(2, 10)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a little text"], vocab=258)


def one_weight(value: float) -> nn.Module:
    model = nn.Linear(1, 1, bias=False)
    set_to(model, value)
    return model


def set_to(model: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


def average_of(ema: Ema, model: nn.Module) -> float:
    with ema.applied(model):
        return float(next(iter(model.parameters())).detach())


def test_arithmetic_by_hand() -> None:
    """Start 1; weights 2, then 4, decay 0.9: 0.9·1 + 0.1·2 = 1.1; 0.9·1.1 + 0.1·4 = 1.39."""
    model = one_weight(1.0)
    ema = Ema(model, 0.9)
    assert average_of(ema, model) == 1.0
    for value, expected in ((2.0, 1.1), (4.0, 1.39)):
        set_to(model, value)
        ema.update(model)
        assert average_of(ema, model) == pytest.approx(expected, abs=1e-6)


def test_the_papers_decay_remembers_125_updates() -> None:
    """From 0 towards a constant 1 the average after n updates is 1 − 0.992ⁿ: 0.6336 after 125, near 1 − 1/e."""
    model = one_weight(0.0)
    ema = Ema(model, 0.992)
    set_to(model, 1.0)
    for _ in range(125):
        ema.update(model)
    assert average_of(ema, model) == pytest.approx(0.63362, abs=1e-4)


def test_applied_gives_the_weights_back_to_the_bit_even_after_an_error() -> None:
    model = tiny("llama", dtype=torch.float32)
    ema, own = Ema(model, 0.5), {name: tensor.clone() for name, tensor in model.state_dict().items()}
    set_to(model, 0.25)
    ema.update(model)
    model.load_state_dict(own)

    def evaluate() -> None:
        with ema.applied(model):
            assert not torch.equal(model.lm_head.weight, own["lm_head.weight"])
            raise RuntimeError("broken off")

    with pytest.raises(RuntimeError, match="broken off"):
        evaluate()
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())


def test_state_comes_back_to_the_bit_and_strangers_are_refused() -> None:
    model = tiny("gpt2", dtype=torch.float32)
    ema, resumed = Ema(model, 0.9), Ema(tiny("gpt2", dtype=torch.float32, seed=4), 0.9)
    set_to(model, 0.1)
    ema.update(model)
    resumed.load_state_dict(ema.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ema.state_dict()["average"].values(), resumed.state_dict()["average"].values(), strict=True))
    with pytest.raises(ResumeError, match=r"with decay 0\.9"):
        Ema(model, 0.8).load_state_dict(ema.state_dict())
    with pytest.raises(ResumeError, match="tensors"):
        Ema(one_weight(0.0), 0.9).load_state_dict(ema.state_dict())


@torch.no_grad()
def test_saved_beside_the_raw_weights_and_loaded_on_request(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = tiny("gpt_neox", vocab=len(tokenizer), dtype=torch.float32)
    ema, raw = Ema(model, 0.5), model(TOKENS_BT).logits
    other = tiny("gpt_neox", vocab=len(tokenizer), dtype=torch.float32, seed=1)
    ema.update(other)
    with ema.applied(model):
        averaged = model(TOKENS_BT).logits
    save_checkpoint_dir(tmp_path / "ppo", model, tokenizer, manifest=MANIFEST, card="", ema=ema)
    assert torch.equal(AutoModelForCausalLM.from_pretrained(tmp_path / "ppo")(TOKENS_BT).logits, raw)
    assert torch.equal(AutoModelForCausalLM.from_pretrained(tmp_path / "ppo" / "ema")(TOKENS_BT).logits, averaged)
    ours = load_policy(tmp_path / "ppo", precision="fp32", tokenizer=tokenizer, context=64, weights="ema")
    assert torch.equal(ours(TOKENS_BT).logits, averaged)


def test_asking_for_an_average_that_was_not_kept(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_checkpoint_dir(tmp_path / "sft", tiny("llama", vocab=len(tokenizer), dtype=torch.float32), tokenizer, manifest=MANIFEST, card="")
    with pytest.raises(CheckpointError, match="holds no averaged weights"):
        load_policy(tmp_path / "sft", precision="fp32", tokenizer=tokenizer, context=64, weights="ema")
