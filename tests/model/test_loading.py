"""Loading policies: what comes back, and one clear error for each thing that can be wrong."""

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    CodeGenConfig,
    CTRLConfig,
    FalconConfig,
    Gemma2Config,
    LlamaConfig,
    MistralConfig,
    ModernBertDecoderConfig,
    Qwen2MoeConfig,
    T5Config,
)

from instructloop.errors import CheckpointError
from instructloop.model.policy import check_fit, load_policy
from instructloop.model.pretrained import fit_vocabulary, open_config
from instructloop.model.scalar import load_scalar, scalar_from_policy
from instructloop.text.tokenizer import Tokenizer, train_tokenizer
from tiny_models import ARCHITECTURES, tiny

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 258}
TOKENS_BT = torch.arange(2, 22).reshape(2, 10)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a little text"], vocab=258)


def with_added_pad(tokenizer: Tokenizer, vocab: int) -> Tokenizer:
    """A tokenizer that got its PAD only here: one id more than the `vocab` ids of the model."""

    class Lengthened(Tokenizer):
        def __len__(self) -> int:
            return vocab + 1

    return Lengthened(hf=tokenizer.hf, begin_ids=(), end_id=0, pad_id=vocab, added_pad=True)


def saved(model, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_round_trip_in_every_precision(architecture: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = tiny(architecture, vocab=258, dtype=torch.float32)
    folder = saved(model, tmp_path / "policy")
    for precision, dtype in (("bf16", torch.float32), ("fp32", torch.float32), ("fp64", torch.float64)):
        loaded = load_policy(folder, precision=precision, tokenizer=tokenizer, context=128)
        assert {parameter.dtype for parameter in loaded.parameters()} == {dtype}
        assert not loaded.training
        expected = model(TOKENS_BT).logits if dtype == torch.float32 else model.double()(TOKENS_BT).logits
        assert torch.equal(loaded(TOKENS_BT).logits, expected)


def test_half_precision_files_become_float32_masters(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = saved(tiny("llama", vocab=258, dtype=torch.bfloat16), tmp_path / "policy")
    loaded = load_policy(folder, precision="bf16", tokenizer=tokenizer, context=128)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_all_dropout_is_off_whatever_the_checkpoint_asks_for(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = saved(tiny("gpt2", vocab=258, dtype=torch.float32), tmp_path / "policy")
    config = json.loads((folder / "config.json").read_text()) | {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1}
    (folder / "config.json").write_text(json.dumps(config))
    loaded = load_policy(folder, precision="fp32", tokenizer=tokenizer, context=128).train()
    assert torch.equal(loaded(TOKENS_BT).logits, loaded(TOKENS_BT).logits)


@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neox"], ids=["tied", "untied"])
@torch.no_grad()
def test_an_added_pad_gets_one_mean_row_once(architecture: str, tokenizer: Tokenizer) -> None:
    model = tiny(architecture, vocab=300, dtype=torch.float32)
    expected_BTV, longer = model(TOKENS_BT).logits, with_added_pad(tokenizer, 300)
    fit_vocabulary(model, longer, "here")
    fit_vocabulary(model, longer, "here")
    logits_BTV = model(TOKENS_BT).logits
    assert model.config.vocab_size == model.get_output_embeddings().weight.shape[0] == 301
    torch.testing.assert_close(logits_BTV[..., :300], expected_BTV)
    torch.testing.assert_close(logits_BTV[..., 300], expected_BTV.mean(-1), atol=1e-5, rtol=0)


def test_a_checkpoint_that_embeds_more_than_the_tokenizer_has_is_left_alone(tokenizer: Tokenizer) -> None:
    model = tiny("qwen2", vocab=320, dtype=torch.float32)
    fit_vocabulary(model, with_added_pad(tokenizer, 300), "here")
    assert model.config.vocab_size == 320


def test_vocabulary_smaller_than_the_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = saved(tiny("gpt_neox", vocab=200, dtype=torch.float32), tmp_path / "policy")
    with pytest.raises(CheckpointError, match=r"the tokenizer has 258 tokens and .* embeds 200"):
        load_policy(folder, precision="fp32", tokenizer=tokenizer, context=128)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_context_longer_than_the_model_allows_names_both(architecture: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = saved(tiny(architecture, vocab=258, dtype=torch.float32), tmp_path / "policy")
    with pytest.raises(CheckpointError, match=r"the context is 129 tokens and .* was made for 128"):
        load_policy(folder, precision="fp32", tokenizer=tokenizer, context=129)


def test_a_sliding_window_shorter_than_the_context(tmp_path: Path) -> None:
    MistralConfig(**SHAPE, sliding_window=64).save_pretrained(tmp_path)
    assert open_config(str(tmp_path), context=64).sliding_window == 64
    with pytest.raises(CheckpointError, match="attends to the last 64 only"):
        open_config(str(tmp_path), context=65)


def test_a_sliding_window_of_none_at_all(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Qwen2-MoE says 0 where others say null: every token sees its whole past."""
    experts = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16}
    config = Qwen2MoeConfig(**SHAPE, num_key_value_heads=2, **experts)
    assert config.sliding_window == 0
    saved(AutoModelForCausalLM.from_config(config), tmp_path)
    policy = load_policy(tmp_path, precision="fp32", tokenizer=tokenizer, context=16)
    assert scalar_from_policy(policy, tokenizer, seed=0).scalars(TOKENS_BT).shape == TOKENS_BT.shape


@pytest.mark.parametrize("config", [BertConfig(), T5Config()], ids=["encoder", "encoder-decoder"])
def test_what_is_not_decoder_only(config, tmp_path: Path) -> None:
    config.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=f"is of type '{config.model_type}', which is not decoder-only"):
        open_config(str(tmp_path), context=16)


def test_a_folder_without_config(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no config\.json"):
        open_config(str(tmp_path), context=16)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no folder"):
        open_config(str(tmp_path / "absent"), context=16)


def test_an_unreachable_hub_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect to the hub to load the files, and couldn't find them in the cached files.\nmore")

    monkeypatch.setattr(AutoConfig, "from_pretrained", unreachable)
    with pytest.raises(CheckpointError, match=r"(?s)'someone/model' could not be fetched: We couldn't connect.*local folder.*HF_HOME"):
        open_config("someone/model", context=16)


def test_a_folder_with_config_but_no_weights(tokenizer: Tokenizer, tmp_path: Path) -> None:
    LlamaConfig(**SHAPE).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_policy(tmp_path, precision="fp32", tokenizer=tokenizer, context=16)


def test_weights_cut_off_or_of_other_shapes_than_the_config_tells(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = saved(tiny("llama", vocab=258, dtype=torch.float32), tmp_path / "policy")
    config = json.loads((folder / "config.json").read_text())
    wider = config["intermediate_size"] + 8
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": wider}))
    with pytest.raises(CheckpointError, match=rf"mlp\.down_proj\.weight .* has the shape \(.*\), and its config\.json asks for \(.*, {wider}\)"):
        load_policy(folder, precision="fp32", tokenizer=tokenizer, context=128)
    (folder / "config.json").write_text(json.dumps(config))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_policy(folder, precision="fp32", tokenizer=tokenizer, context=128)


def test_policies_and_reward_models_are_not_mistaken_for_each_other(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """transformers would fill the head that is absent with random numbers and a remark in the log."""
    policy = tiny("gpt_neox", vocab=258, dtype=torch.float32)
    reward = scalar_from_policy(policy, tokenizer, seed=0)
    with pytest.raises(CheckpointError, match=r"lacks the weights score\.weight"):
        load_scalar(saved(policy, tmp_path / "policy"), precision="fp32", tokenizer=tokenizer, context=128)
    with pytest.raises(CheckpointError, match=r"lacks the weights lm_head\.weight"):
        load_policy(saved(reward.classifier, tmp_path / "reward"), precision="fp32", tokenizer=tokenizer, context=128)


SMALL_IDS = {"vocab_size": 258, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
CTRL = CTRLConfig(n_positions=64, n_embd=16, dff=32, n_layer=2, n_head=2, **SMALL_IDS)
MODERN_BERT = ModernBertDecoderConfig(**SHAPE | SMALL_IDS, max_position_embeddings=64, cls_token_id=0, sep_token_id=0)
CODE_GEN = CodeGenConfig(n_positions=64, n_embd=16, n_layer=2, n_head=4, rotary_dim=2, **SMALL_IDS)


@pytest.mark.parametrize("config", [CTRL, MODERN_BERT], ids=["named classifier", "behind a layer"])
def test_a_classifier_with_another_head_makes_no_reward_model(config, tokenizer: Tokenizer) -> None:
    policy = AutoModelForCausalLM.from_config(config)
    with pytest.raises(CheckpointError, match=r"(?s)reward model of a \w+ is a \w+ForSequenceClassification with the head None.*`score`.*GPT-2"):
        scalar_from_policy(policy, tokenizer, seed=0)


def test_an_architecture_without_a_classifier_is_refused_before_weights_are_read(tokenizer: Tokenizer, tmp_path: Path) -> None:
    CODE_GEN.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"no sequence-classification class for 'codegen' \("):
        load_policy(tmp_path, precision="fp32", tokenizer=tokenizer, context=16)
    with pytest.raises(CheckpointError, match=r"no sequence-classification class for 'codegen' \(CodeGenForCausalLM\)"):
        scalar_from_policy(AutoModelForCausalLM.from_config(CODE_GEN), tokenizer, seed=0)


def test_attention_of_another_kind_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Gemma 2 caps its attention logits, which torch's fused attention cannot do."""
    config = Gemma2Config(**SHAPE, num_key_value_heads=2, head_dim=8, sliding_window=64)
    saved(AutoModelForCausalLM.from_config(config, attn_implementation="eager"), tmp_path / "policy")
    with pytest.raises(CheckpointError, match="scaled_dot_product_attention"):
        load_policy(tmp_path / "policy", precision="fp32", tokenizer=tokenizer, context=16)


def test_capped_logits_are_refused() -> None:
    """Gemma 2 also squashes its logits after the projection."""
    config = Gemma2Config(**SHAPE, num_key_value_heads=2, head_dim=8, final_logit_softcapping=0.01)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with pytest.raises(CheckpointError, match="its logits are more than"):
        check_fit(model)


def test_attention_that_looks_ahead_is_refused() -> None:
    config = BertConfig(**SHAPE)
    model = BertLMHeadModel._from_config(config, attn_implementation="sdpa").eval()
    model.cls.predictions.transform = torch.nn.Identity()
    model.cls.predictions.decoder.bias.data.zero_()
    with pytest.raises(CheckpointError, match="a later token changes"):
        check_fit(model)


@pytest.mark.parametrize("overlooked", ["attention_mask", "position_ids"])
def test_a_model_that_overlooks_what_keeps_answers_apart_is_refused(overlooked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers with a state of their own do so with every mask; its packed examples and shared prompts would be silently wrong."""
    model = tiny("llama")
    forward = model.base_model.forward
    monkeypatch.setattr(model.base_model, "forward", lambda **given: forward(**{**given, overlooked: None}))
    with pytest.raises(CheckpointError, match="does not heed an explicit mask"):
        check_fit(model)


def test_a_model_that_knows_no_explicit_mask_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Falcon makes its position biases out of a mask of one number per token."""
    config = FalconConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, vocab_size=258, alibi=True, bos_token_id=0, eos_token_id=0)
    saved(AutoModelForCausalLM.from_config(config), tmp_path / "policy")
    with pytest.raises(CheckpointError, match="does not heed an explicit mask"):
        load_policy(tmp_path / "policy", precision="fp32", tokenizer=tokenizer, context=16)
