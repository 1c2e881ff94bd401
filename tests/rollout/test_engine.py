"""What the engine refuses, and how its cache is driven."""

import pytest
import torch
from transformers import FalconMambaConfig, FalconMambaForCausalLM, GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM

from instructloop.errors import CheckpointError, ConfigError, ContextExceeded, DataError, LawBroken
from instructloop.protocols import Sampling
from instructloop.rollout.attention import engine_attention
from instructloop.rollout.decoder import RowDecoder
from instructloop.rollout.engine import LocalEngine
from instructloop.rollout.probe import probe_parity
from tiny_models import PAD_ID, tiny

POLICY = tiny("llama", vocab=96)
ENGINE = LocalEngine(POLICY, pad_id=PAD_ID, slots=2)


@torch.no_grad()
def next_logits(rows: list[list[int]]) -> torch.Tensor:
    return torch.stack([POLICY(input_ids=torch.tensor([row]), use_cache=False).logits[0, -1] for row in rows])


def test_rows_can_be_dropped_reordered_and_repeated_between_steps() -> None:
    rows = [[5, 6], [7, 8, 9, 10], [11]]
    decoder = ENGINE.start(rows, room=3)
    torch.testing.assert_close(decoder.logits_BV, next_logits(rows))
    for kept, ids in (([2, 0, 1, 2], [1, 2, 3, 4]), ([3, 1], [5, 6]), ([1, 1, 0], [7, 8, 9])):
        decoder.keep(torch.tensor(kept))
        torch.testing.assert_close(decoder.logits_BV, next_logits([rows[i] for i in kept]))
        decoder.step(torch.tensor(ids))
        rows = [[*rows[i], id_] for i, id_ in zip(kept, ids, strict=True)]
        torch.testing.assert_close(decoder.logits_BV, next_logits(rows))


def test_a_prompt_that_comes_again_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[5, 6, 7], [8, 9], [5, 6, 7], [5, 6, 7], [8, 9]]
    read: list[torch.Size] = []
    forward = RowDecoder._forward
    monkeypatch.setattr(RowDecoder, "_forward", lambda self, tokens, *given: [read.append(tokens.shape), forward(self, tokens, *given)][1])
    decoder = ENGINE.start(rows, room=2)
    assert read == [(2, 3)]
    torch.testing.assert_close(decoder.logits_BV, next_logits(rows))
    ids = [11, 12, 13, 14, 15]
    decoder.step(torch.tensor(ids))
    torch.testing.assert_close(decoder.logits_BV, next_logits([[*row, id_] for row, id_ in zip(rows, ids, strict=True)]))


def test_what_does_not_fit_the_context_is_refused_with_what_would() -> None:
    with pytest.raises(ConfigError, match="ask for 28 new tokens at most"):
        ENGINE.generate([[3], [3] * 100], Sampling(max_new_tokens=29), [0, 1])
    assert len(ENGINE.generate([[3] * 100], Sampling(max_new_tokens=28), [0])[0].ids) == 28


@pytest.mark.parametrize("length", [128, 500])
def test_a_prompt_that_leaves_no_room_is_to_be_shortened(length: int) -> None:
    with pytest.raises(ContextExceeded, match=rf"prompt 0 has {length} tokens\n.*at most 127.*\n.*remedy: +shorten the prompt$"):
        ENGINE.generate([[3] * length], Sampling(max_new_tokens=1), [0])


def test_empty_prompts_and_uneven_arguments_are_refused() -> None:
    with pytest.raises(DataError, match="prompt 1 is empty"):
        ENGINE.generate([[3], []], Sampling(max_new_tokens=2), [0, 1])
    with pytest.raises(ConfigError, match="1 seeds for 2 prompts"):
        ENGINE.generate([[3], [4]], Sampling(max_new_tokens=2), [0])
    with pytest.raises(ConfigError, match="1 answers for 2 prompts"):
        ENGINE.logprobs([[3], [4]], [[5]])
    with pytest.raises(ConfigError, match="temperature is 0"):
        ENGINE.logprobs([[3]], [[5]], temperature=0.0)
    with pytest.raises(ConfigError, match="slots is 0"):
        LocalEngine(POLICY, pad_id=PAD_ID, slots=0)


def test_nothing_asked_is_nothing_answered() -> None:
    assert ENGINE.generate([], Sampling(max_new_tokens=2), []) == []
    assert ENGINE.logprobs([], []) == []


def test_a_policy_with_a_nan_is_refused() -> None:
    broken = tiny("llama", vocab=96)
    with torch.no_grad():
        broken.get_output_embeddings().weight[4, 0] = torch.nan
    with pytest.raises(LawBroken, match="E1"):
        LocalEngine(broken, pad_id=PAD_ID).generate([[3], [4, 5]], Sampling(max_new_tokens=2), [0, 1])


def test_a_model_that_scales_its_scores_by_layer_agrees() -> None:
    shape = {"vocab_size": 32, "n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 64, "initializer_range": 0.3}
    policy = GPT2LMHeadModel(GPT2Config(scale_attn_by_inverse_layer_idx=True, **shape)).double().eval()
    parity = probe_parity(LocalEngine(policy, pad_id=PAD_ID), policy, [[3, 4], [5]], precision="fp64")
    assert parity.largest <= 1e-9


def test_a_model_without_attention_is_refused() -> None:
    shape = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 1, "state_size": 4}
    with pytest.raises(CheckpointError, match="attention"):
        LocalEngine(FalconMambaForCausalLM(FalconMambaConfig(**shape)), pad_id=PAD_ID)


def test_a_sliding_window_is_the_context() -> None:
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 16}
    policy = MistralForCausalLM(MistralConfig(vocab_size=32, sliding_window=8, max_position_embeddings=64, **shape)).double().eval()
    engine = LocalEngine(policy, pad_id=PAD_ID)
    assert len(engine.generate([[3, 4]], Sampling(max_new_tokens=6), [0])[0].ids) == 6
    with pytest.raises(ConfigError, match="context of 8"):
        engine.generate([[3, 4]], Sampling(max_new_tokens=7), [0])


@pytest.mark.parametrize("value_width", [8, 5])
@pytest.mark.parametrize("additive", [False, True])
def test_a_single_token_is_attended_to_as_torch_does(value_width: int, additive: bool) -> None:
    """Grouped heads, values narrower than keys, and masks that a model has made numbers of."""
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(shape, generator=draw).double() for shape in ((3, 4, 1, 8), (3, 2, 6, 8), (3, 2, 6, value_width)))
    mask = torch.arange(6) < torch.tensor([6, 2, 4])[:, None, None, None]
    given = torch.zeros(mask.shape).double().masked_fill(~mask, -torch.inf) if additive else mask
    module = torch.nn.Module()
    module.num_key_value_groups = 2
    ours, _ = engine_attention(module, query, key, value, given)
    theirs = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
    torch.testing.assert_close(ours, theirs.transpose(1, 2))
