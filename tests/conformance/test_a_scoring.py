"""Law A3, whole passes: log-probabilities, values and scores do not depend on padding, packing or batch companions.

The reference is transformers' own pass over one sequence at a time, without padding.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import PreTrainedModel

from instructloop.model.policy import check_fit, hidden_states, project, response_logprobs
from instructloop.model.scalar import ScalarModel, scalar_from_policy
from instructloop.text.tokenizer import Tokenizer, train_tokenizer
from tiny_models import ARCHITECTURES, PAD_ID, tiny

VOCAB = 96
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}

dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a little text"], vocab=258)


def sequences(lengths: list[int], seed: int = 0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randint(2, VOCAB, (length,), generator=random) for length in lengths]


def own_logprobs(model: PreTrainedModel, ids_T: Tensor) -> Tensor:
    """log π of tokens 1 … T−1 of one sequence, by transformers' own forward pass."""
    logits_TV = model(input_ids=ids_T[None], use_cache=False).logits[0, :-1]
    return logits_TV.log_softmax(-1).gather(-1, ids_T[1:, None])[:, 0]


def own_scalars(model: ScalarModel, ids_T: Tensor) -> Tensor:
    """The scalar at every position of one sequence: transformers' score at the end of each of its prefixes."""
    return torch.stack([model.classifier(input_ids=ids_T[None, : t + 1], use_cache=False).logits[0, 0] for t in range(len(ids_T))])


def pad_right(rows: list[Tensor], extra: int = 0) -> Tensor:
    width = max(map(len, rows)) + extra
    return torch.stack([torch.cat([row, row.new_full((width - len(row),), PAD_ID)]) for row in rows])


def pad_left(rows: list[Tensor], extra: int = 0) -> tuple[Tensor, Tensor]:
    width = max(map(len, rows)) + extra
    tokens_BT = torch.stack([torch.cat([row.new_full((width - len(row),), PAD_ID), row]) for row in rows])
    attention_BT = torch.stack([torch.arange(width) >= width - len(row) for row in rows])
    return tokens_BT, attention_BT


def pack(rows: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """One row of all sequences, the positions that start anew with each, and the mask that keeps them apart."""
    segment_T = torch.cat([torch.full((len(row),), i) for i, row in enumerate(rows)])
    mask_TT = (segment_T[:, None] == segment_T[None]) & torch.ones(len(segment_T), len(segment_T), dtype=torch.bool).tril()
    return torch.cat(rows)[None], torch.cat([torch.arange(len(row)) for row in rows])[None], mask_TT[None, None]


def logprobs_of_row(model: PreTrainedModel, hidden_TD: Tensor, ids_T: Tensor) -> Tensor:
    return project(model)(hidden_TD[:-1]).log_softmax(-1).gather(-1, ids_T[1:, None])[:, 0]


@architectures
@dtypes
@torch.no_grad()
def test_right_padding_needs_no_mask(architecture: str, dtype: torch.dtype) -> None:
    model, rows = tiny(architecture, vocab=VOCAB, dtype=dtype), sequences([9, 4, 17])
    hidden_BTD = hidden_states(model, pad_right(rows, extra=3))
    for row, hidden_TD in zip(rows, hidden_BTD, strict=True):
        torch.testing.assert_close(logprobs_of_row(model, hidden_TD[: len(row)], row), own_logprobs(model, row), atol=TOLERANCE[dtype], rtol=0)


@architectures
@dtypes
@torch.no_grad()
def test_left_padding_with_its_mask(architecture: str, dtype: torch.dtype) -> None:
    model, rows = tiny(architecture, vocab=VOCAB, dtype=dtype), sequences([9, 4, 17])
    tokens_BT, attention_BT = pad_left(rows, extra=5)
    hidden_BTD = hidden_states(model, tokens_BT, attention_BT=attention_BT)
    assert hidden_BTD.isfinite().all()
    for row, hidden_TD in zip(rows, hidden_BTD, strict=True):
        torch.testing.assert_close(logprobs_of_row(model, hidden_TD[-len(row) :], row), own_logprobs(model, row), atol=TOLERANCE[dtype], rtol=0)


@architectures
@dtypes
@torch.no_grad()
def test_packing_with_its_mask_and_positions(architecture: str, dtype: torch.dtype) -> None:
    model, rows = tiny(architecture, vocab=VOCAB, dtype=dtype), sequences([9, 4, 17])
    tokens_BT, position_BT, mask_4d = pack(rows)
    hidden_TD = hidden_states(model, tokens_BT, position_BT=position_BT, mask_4d=mask_4d)[0]
    for row, part_TD in zip(rows, hidden_TD.split([len(row) for row in rows]), strict=True):
        torch.testing.assert_close(logprobs_of_row(model, part_TD, row), own_logprobs(model, row), atol=TOLERANCE[dtype], rtol=0)


@architectures
@torch.no_grad()
def test_the_tests_would_notice(architecture: str) -> None:
    """Without the mask, left padding and packing move log-probabilities by more than a tenth of a nat."""
    model, rows = tiny(architecture, vocab=VOCAB), sequences([9, 9])
    left_BT, _ = pad_left(rows, extra=5)
    unmasked_TD = hidden_states(model, left_BT)[0, -9:]
    packed_TD = hidden_states(model, torch.cat(rows)[None])[0, 9:]
    assert (logprobs_of_row(model, unmasked_TD, rows[0]) - own_logprobs(model, rows[0])).abs().max() > 0.1
    assert (logprobs_of_row(model, packed_TD, rows[1]) - own_logprobs(model, rows[1])).abs().max() > 0.1


@architectures
@settings(max_examples=8, deadline=None)
@given(lengths=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8)), min_size=1, max_size=5), seed=st.integers(0, 99), chunk=st.integers(1, 9))
@torch.no_grad()
def test_response_logprobs_whatever_the_companions(architecture: str, lengths: list[tuple[int, int]], seed: int, chunk: int) -> None:
    """Every response token has the log-probability of its own sequence alone; everything off the mask is zero."""
    model, rows = tiny(architecture, vocab=VOCAB), sequences([prompt + answer for prompt, answer in lengths], seed)
    prompt_length_B, answer_B = torch.tensor(lengths).T
    mask_BR = torch.arange(int(answer_B.max()) + 1)[None] < answer_B[:, None]
    logp_BR, entropy_BR = response_logprobs(model, pad_right(rows, extra=1), prompt_length_B, mask_BR, chunk=chunk)
    assert logp_BR[~mask_BR].eq(0).all()
    assert entropy_BR[~mask_BR].eq(0).all()
    for row, (prompt, answer), logp_R, entropy_R in zip(rows, lengths, logp_BR, entropy_BR, strict=True):
        own_TV = model(input_ids=row[None], use_cache=False).logits[0].log_softmax(-1)[prompt - 1 :][:answer]
        torch.testing.assert_close(logp_R[:answer], own_TV.gather(-1, row[prompt:, None])[:, 0], atol=1e-9, rtol=0)
        torch.testing.assert_close(entropy_R[:answer], -(own_TV.exp() * own_TV).sum(-1), atol=1e-9, rtol=0)


@architectures
@torch.no_grad()
def test_temperature_divides_the_logits(architecture: str) -> None:
    """Law A4 in whole passes."""
    model, (row,) = tiny(architecture, vocab=VOCAB), sequences([12])
    logp_BR, _ = response_logprobs(model, row[None], torch.tensor([5]), torch.ones(1, 7, dtype=torch.bool), temperature=0.6, chunk=100)
    expected_TV = (model(input_ids=row[None], use_cache=False).logits[0] / 0.6).log_softmax(-1)
    torch.testing.assert_close(logp_BR[0], expected_TV[4:-1].gather(-1, row[5:, None])[:, 0], atol=1e-9, rtol=0)


@architectures
@dtypes
@torch.no_grad()
def test_scores_and_values_of_padded_rows(architecture: str, dtype: torch.dtype, tokenizer: Tokenizer) -> None:
    """V before token t is the scalar at t − 1; the score is the scalar at the last token; padding and packing change neither."""
    model = scalar_from_policy(tiny(architecture, vocab=VOCAB, dtype=dtype), tokenizer, seed=1)
    rows, prompts = sequences([9, 4, 17]), [3, 2, 11]
    expected = [own_scalars(model, row) for row in rows]
    tokens_BT, prompt_length_B, length_B = pad_right(rows, extra=2), torch.tensor(prompts), torch.tensor([9, 4, 17])
    mask_BR = torch.arange(8)[None] < (length_B - prompt_length_B)[:, None]

    scores_B, values_BR = model.scores_at_end(tokens_BT, length_B), model.values(tokens_BT, prompt_length_B, mask_BR)
    left_BT, attention_BT = pad_left(rows, extra=5)
    scalars_BT = model.scalars(left_BT, attention_BT=attention_BT)
    packed_BT, position_BT, mask_4d = pack(rows)
    packed = model.scalars(packed_BT, position_BT=position_BT, mask_4d=mask_4d)[0].split([9, 4, 17])
    assert values_BR[~mask_BR].eq(0).all()
    for i, (row, prompt, scalars_T) in enumerate(zip(rows, prompts, expected, strict=True)):
        close = {"atol": TOLERANCE[dtype], "rtol": 0}
        torch.testing.assert_close(scores_B[i], scalars_T[-1], **close)
        torch.testing.assert_close(values_BR[i][mask_BR[i]], scalars_T[prompt - 1 : -1], **close)
        torch.testing.assert_close(scalars_BT[i, -len(row) :], scalars_T, **close)
        torch.testing.assert_close(packed[i], scalars_T, **close)


@architectures
def test_gradients_of_padded_rows(architecture: str) -> None:
    """Rows that attend to nothing (the padding before a left-padded text) send no NaN and no gradient into the weights."""
    rows = sequences([9, 4, 17])
    tokens_BT, attention_BT = pad_left(rows, extra=5)
    padded, alone = tiny(architecture, vocab=VOCAB), tiny(architecture, vocab=VOCAB)
    hidden_BTD = hidden_states(padded, tokens_BT, attention_BT=attention_BT)
    sum(logprobs_of_row(padded, hidden_TD[-len(row) :], row).sum() for row, hidden_TD in zip(rows, hidden_BTD, strict=True)).backward()
    sum(own_logprobs(alone, row).sum() for row in rows).backward()
    for (name, ours), theirs in zip(padded.named_parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-9, rtol=1e-9, msg=name)


@architectures
def test_a_pass_without_mask_takes_the_causal_path(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No [T, T] mask is made where none is needed: attention is told that it is causal and may use its fast kernel."""
    seen: list[tuple[object, object]] = []
    attention = torch.nn.functional.scaled_dot_product_attention

    def watched(*args: Tensor, attn_mask: object = None, is_causal: object = False, **kwargs: object) -> Tensor:
        seen.append((attn_mask, is_causal))
        return attention(*args, attn_mask=attn_mask, is_causal=is_causal, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    hidden_states(tiny(architecture, vocab=VOCAB), pad_right(sequences([9, 4])))
    assert seen == [(None, True), (None, True)]


@architectures
def test_every_architecture_fits(architecture: str) -> None:
    check_fit(tiny(architecture, vocab=VOCAB, dtype=torch.float32))
