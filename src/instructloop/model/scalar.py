"""Reward and value models: a trunk whose unembedding is replaced by a projection to one scalar (InstructGPT §3.5).

Each is one of transformers' sequence classifiers with one label, so that a saved reward model loads with
`AutoModelForSequenceClassification`. Those have no bias in the head; ours stands in `config.score_bias` (law C7).

Shapes: B batch rows, T tokens of a row, R response tokens, N answers of a ranking batch, D width.
"""

import copy
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from instructloop.algo.seeds import generator
from instructloop.config import Precision
from instructloop.errors import CheckpointError
from instructloop.model.attention import use_fused_attention
from instructloop.model.dropout import dropout_off
from instructloop.model.policy import hidden_states
from instructloop.model.pretrained import Weights, fit_vocabulary, load_weights, master_dtype, open_config, require_classifier, weights_source
from instructloop.text.tokenizer import Tokenizer


class ScalarModel(nn.Module):
    """One number per position: a score where an answer ends, a value before each of its tokens.

    The trunk runs in whatever precision `autocast` sets; head and bias run in the parameters' own (float32, or float64).
    """

    score_bias: Tensor

    def __init__(self, classifier: PreTrainedModel) -> None:
        super().__init__()
        self.classifier = classifier
        bias = float(getattr(classifier.config, "score_bias", 0.0))
        self.register_buffer("score_bias", torch.tensor(bias, dtype=self.head.weight.dtype, device=self.head.weight.device))

    @property
    def head(self) -> nn.Linear:
        """The projection from a hidden state to the scalar."""
        return cast(nn.Linear, self.classifier.score)

    def scalars(
        self, tokens_BT: Tensor, *, attention_BT: Tensor | None = None, position_BT: Tensor | None = None, mask_4d: Tensor | None = None
    ) -> Tensor:
        """The scalar at every position [B, T]; padding and packing as in `policy.hidden_states`."""
        return self.read(hidden_states(self.classifier, tokens_BT, attention_BT=attention_BT, position_BT=position_BT, mask_4d=mask_4d))

    def scores_at_end(self, tokens_NT: Tensor, length_N: Tensor) -> Tensor:
        """The score of each answer [N], read at its last token; rows are padded on the right and `length_N` long."""
        return self.read(self.end_states(tokens_NT, length_N))

    def scores_in_rows(
        self, tokens_BT: Tensor, row_N: Tensor, end_N: Tensor, *, position_BT: Tensor | None = None, mask_4d: Tensor | None = None
    ) -> Tensor:
        """The score of each answer [N], read at the token `end_N` of the row that holds it; packing as in `policy.hidden_states`."""
        return self.read(hidden_states(self.classifier, tokens_BT, position_BT=position_BT, mask_4d=mask_4d)[row_N, end_N])

    def end_states(self, tokens_NT: Tensor, length_N: Tensor) -> Tensor:
        """The hidden state at the last token of each row [N, D]: what a score is read from."""
        hidden_NTD = hidden_states(self.classifier, tokens_NT)
        return hidden_NTD[torch.arange(len(length_N), device=hidden_NTD.device), length_N - 1]

    def values(self, tokens_BT: Tensor, prompt_length_B: Tensor, mask_BR: Tensor) -> Tensor:
        """V of the state *before* each sampled token [B, R], zeros off the mask (law C9); rows as in `policy.response_logprobs`."""
        row_N, slot_N = mask_BR.nonzero(as_tuple=True)
        hidden_BTD = hidden_states(self.classifier, tokens_BT)
        value_N = self.read(hidden_BTD[row_N, prompt_length_B[row_N] - 1 + slot_N])
        return value_N.new_zeros(mask_BR.shape).index_put((row_N, slot_N), value_N)

    def read(self, hidden: Tensor) -> Tensor:
        """Head and bias on hidden states [..., D], in the parameters' own precision."""
        weight = self.head.weight
        with torch.autocast(device_type=hidden.device.type, enabled=False):
            return linear(hidden.to(weight.dtype), weight).squeeze(-1) + self.score_bias

    def shift(self, amount: float) -> None:
        """Add a constant to every scalar: after reward training, minus the mean score of the demonstrations (law C7)."""
        self.score_bias += amount


def scalar_from_policy(policy: PreTrainedModel, tokenizer: Tokenizer, seed: int) -> ScalarModel:
    """A scalar model with the policy's trunk, copied, and a fresh head of std 1/√(D+1) [Stiennon; law C7b], without a bias.

    Raises `CheckpointError` for an architecture whose classifier transformers does not have, or has with another head.
    """
    require_classifier(policy.config, type(policy).__name__)
    config = copy.deepcopy(policy.config)
    config.num_labels, config.pad_token_id = 1, tokenizer.pad_id
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are all replaced: no other stream may notice
        classifier = AutoModelForSequenceClassification.from_config(config, dtype=policy.dtype, attn_implementation="sdpa")
    _require_plain_head(classifier, f"the reward model of a {type(policy).__name__}", remedy="choose GPT-2, GPT-NeoX, Llama, Qwen or their like")
    classifier.base_model.load_state_dict(policy.base_model.state_dict())
    width = classifier.score.weight.shape[1]
    head_1D = torch.randn((1, width), generator=generator(seed, "score_head")) * (width + 1) ** -0.5
    with torch.no_grad():
        classifier.score.weight.copy_(head_1D)
    dropout_off(classifier)
    use_fused_attention(classifier)
    return ScalarModel(classifier.to(policy.device).eval()).eval()


def load_scalar(source: str | Path, *, precision: Precision, tokenizer: Tokenizer, context: int, weights: Weights = "raw") -> ScalarModel:
    """The reward or value model of a folder or hub id, in eval mode, every dropout 0, `config.score_bias` applied.

    Raises `CheckpointError` for a source that is absent, unreachable, short of vocabulary or context, or no scalar model.
    """
    place = weights_source(source, weights)
    classifier = load_weights(AutoModelForSequenceClassification, place, open_config(place, context=context), master_dtype(precision))
    _require_plain_head(classifier, str(source), remedy="make a reward model with `instructloop reward`")
    dropout_off(classifier)
    fit_vocabulary(classifier, tokenizer, place)
    _require_padding(classifier, tokenizer, str(source))
    return ScalarModel(classifier).eval()


def _require_plain_head(classifier: PreTrainedModel, source: str, *, remedy: str) -> None:
    head = getattr(classifier, "score", None)
    if not isinstance(head, nn.Linear) or head.out_features != 1 or head.bias is not None:
        raise CheckpointError(
            f"{source} is a {type(classifier).__name__} with the head {head}",
            expected="a sequence classifier whose `score` is a projection to one scalar, without bias",
            remedy=remedy,
        )


def _require_padding(classifier: PreTrainedModel, tokenizer: Tokenizer, source: str) -> None:
    known = classifier.config.pad_token_id
    if known not in (None, tokenizer.pad_id):
        raise CheckpointError(
            f"{source} pads with token {known}, the tokenizer with {tokenizer.pad_id}",
            expected="one padding token: transformers finds an answer's last token by it",
            remedy="use the tokenizer that was saved with the model",
        )
    classifier.config.pad_token_id = tokenizer.pad_id
