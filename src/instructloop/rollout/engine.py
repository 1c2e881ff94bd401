"""The engine inside the process: its own copy of the policy, a batch of slots, one cache row per sequence.

B rows of a batch, R response tokens, V vocabulary.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from instructloop.config import Precision
from instructloop.errors import CheckpointError, ConfigError, ContextExceeded, DataError
from instructloop.model.finite import require_finite
from instructloop.protocols import Generated, Sampling
from instructloop.rollout.attention import context_length, use_engine_attention
from instructloop.rollout.decoder import RowDecoder
from instructloop.rollout.sampling import choose, token_logprobs, uniforms

COMPACT_BELOW = 0.75
"""Finished rows are dropped once at most this share of a batch is unfinished; copying the cache costs a few steps."""

Chosen = tuple[Tensor, Tensor, Tensor]
"""Ids, log-probabilities, and whether this token is the row's last, each [B]."""


class LocalEngine:
    """Samples with, and scores by, a private copy of a policy; implements `protocols.Engine`.

    In float64 a row's result is the same to rounding whatever its companions, slot and order are (law A3).
    """

    def __init__(self, policy: PreTrainedModel, *, pad_id: int, slots: int = 64, precision: Precision = "fp32") -> None:
        """Copy `policy`; precision "bf16" casts the copy's trunk, the others keep the policy's own.

        Raises `CheckpointError` for an architecture without full causal attention, or with an attention of its own.
        """
        if slots < 1:
            raise ConfigError(f"slots is {slots}", expected="at least 1", remedy="use the number of sequences that fit into memory")
        self.version = 0
        self.pad_id, self.slots = pad_id, slots
        self.model = copy.deepcopy(policy).eval().requires_grad_(False)
        if precision == "bf16":
            _cast_trunk(self.model, torch.bfloat16)
        use_engine_attention(self.model)

    def load(self, state: Mapping[str, Any], version: int) -> None:
        """Copy the tensors of `state`, named as in the policy's `state_dict()`; raises `CheckpointError` unless all fit."""
        own = self.model.state_dict()
        misfits = sorted(name for name in own.keys() & state.keys() if own[name].shape != state[name].shape)
        if misfits or own.keys() != state.keys():
            raise CheckpointError(
                f"weights for the engine lack {_some(own.keys() - state.keys())}, have beside {_some(state.keys() - own.keys())}, "
                f"and differ in shape at {_some(misfits)}",
                expected=f"the {len(own)} tensors of {type(self.model).__name__}, in its shapes",
                remedy="give the state_dict() of the policy the engine was made from",
            )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(state[name])
        self.version = version

    def holds(self, state: Mapping[str, Any]) -> bool:
        """True if every weight is bit-equal to the tensor of that name, cast to the engine's precision (law A7)."""
        return all(torch.equal(tensor, state[name].to(tensor)) for name, tensor in self.model.state_dict().items())

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]) -> list[Generated]:
        """One answer per prompt, in order; the answer of a row depends on its prompt and seed alone."""
        self._check_lengths(prompts, [sampling.max_new_tokens] * len(prompts))
        if len(seeds) != len(prompts):
            raise ConfigError(f"{len(seeds)} seeds for {len(prompts)} prompts", expected="one seed per prompt", remedy="derive one for each")
        answers: dict[int, Generated] = {}
        for batch in self._batches(prompts):
            answers |= zip(batch, self._sample_batch([prompts[i] for i in batch], sampling, [seeds[i] for i in batch]), strict=True)
        return [answers[i] for i in range(len(prompts))]

    @torch.inference_mode()
    def logprobs(self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], temperature: float = 1.0) -> list[list[float]]:
        """Log-probability of each token of each answer, token by token behind the cache, as if it had been sampled."""
        if len(answers) != len(prompts):
            raise ConfigError(f"{len(answers)} answers for {len(prompts)} prompts", expected="one per prompt", remedy="repeat the prompts")
        if temperature <= 0:
            raise ConfigError(
                f"temperature is {temperature}", expected="more than 0", remedy="log-probabilities of greedy answers are those of temperature 1"
            )
        self._check_lengths(prompts, [len(answer) for answer in answers])
        found: dict[int, list[float]] = {}
        for batch in self._batches(prompts):
            found |= zip(batch, self._follow_batch([prompts[i] for i in batch], [answers[i] for i in batch], temperature), strict=True)
        return [found[i] for i in range(len(prompts))]

    def start(self, prompts: Sequence[Sequence[int]], *, room: int) -> RowDecoder:
        """The prompts behind a fresh cache, with room for that many tokens more: what `generate` and `beam_search` drive."""
        self._check_lengths(prompts, [room] * len(prompts))
        return RowDecoder.start(self.model, prompts, room=room, pad_id=self.pad_id)

    def _sample_batch(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]) -> list[Generated]:
        stop = torch.tensor(sorted(sampling.stop_ids), dtype=torch.long, device=self.model.device)
        uniform_BR = uniforms(seeds, sampling.max_new_tokens).to(self.model.device)

        def sample(logits_BV: Tensor, row_B: Tensor, r: int) -> Chosen:
            id_B, logp_B = choose(logits_BV, uniform_BR[row_B, r], sampling)
            return id_B, logp_B, torch.isin(id_B, stop)

        ids_BR, logp_BR = self._decode(prompts, sampling.max_new_tokens, sample)
        return [cut_at_stop(ids, logp, sampling.stop_ids) for ids, logp in zip(ids_BR.tolist(), logp_BR.tolist(), strict=True)]

    def _follow_batch(self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], temperature: float) -> list[list[float]]:
        lengths = [len(answer) for answer in answers]
        longest = max(lengths)
        padded = [[*answer, *[self.pad_id] * (longest - len(answer))] for answer in answers]
        given_BR, length_B = (torch.tensor(rows, dtype=torch.long, device=self.model.device) for rows in (padded, lengths))

        def follow(logits_BV: Tensor, row_B: Tensor, r: int) -> Chosen:
            id_B = given_BR[row_B, r]
            return id_B, token_logprobs(logits_BV, id_B, temperature=temperature), length_B[row_B] <= r + 1

        _, logp_BR = self._decode(prompts, longest, follow)
        return [logp[:length] for logp, length in zip(logp_BR.tolist(), lengths, strict=True)]

    def _decode(self, prompts: Sequence[Sequence[int]], tokens: int, next_token: Callable[[Tensor, Tensor, int], Chosen]) -> tuple[Tensor, Tensor]:
        """Ids and log-probabilities [B, tokens]; behind a row's last token stands whatever was computed in its company."""
        decoder = self.start(prompts, room=tokens)
        row_B = torch.arange(len(prompts), device=self.model.device)
        finished_B = torch.zeros_like(row_B, dtype=torch.bool)
        ids_BR = torch.full((len(prompts), tokens), self.pad_id, device=self.model.device)
        logp_BR = torch.zeros(ids_BR.shape, dtype=torch.promote_types(self.model.dtype, torch.float32), device=self.model.device)
        for r in range(tokens):
            id_B, logp_B, last_B = next_token(decoder.logits_BV, row_B, r)
            ids_BR[row_B, r], logp_BR[row_B, r] = id_B, logp_B
            finished_B |= last_B
            unfinished = len(row_B) - int(finished_B.sum())
            if unfinished == 0 or r == tokens - 1:
                break
            if unfinished <= COMPACT_BELOW * len(row_B):
                kept_B = (~finished_B).nonzero().squeeze(1)
                decoder.keep(kept_B)
                row_B, id_B, finished_B = row_B[kept_B], id_B[kept_B], finished_B[kept_B]
            decoder.step(id_B)
        require_finite({"ids_BR": ids_BR}, engine_logp_BR=logp_BR)
        return ids_BR, logp_BR

    def _batches(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        """Positions of the prompts in batches of `slots`, like lengths together."""
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        return [order[first : first + self.slots] for first in range(0, len(order), self.slots)]

    def _check_lengths(self, prompts: Sequence[Sequence[int]], new_tokens: Sequence[int]) -> None:
        for i, (prompt, new) in enumerate(zip(prompts, new_tokens, strict=True)):
            require_room(prompt, new, context_length(self.model), name=f"prompt {i}")


def require_room(prompt: Sequence[int], new_tokens: int, context: int, *, name: str) -> None:
    """Raise `ContextExceeded` unless a prompt and that many new tokens fit the context, and `DataError` for an empty prompt."""
    if not prompt:
        raise DataError(f"{name} is empty", expected="at least one token", remedy="drop it, or begin prompts with the tokenizer's begin id")
    if len(prompt) >= context and new_tokens:
        raise ContextExceeded(
            f"{name} has {len(prompt)} tokens",
            expected=f"at most {context - 1}, as the model's context of {context} holds the answer too",
            remedy="shorten the prompt",
        )
    if len(prompt) + new_tokens > context:
        raise ContextExceeded(
            f"{name} of {len(prompt)} tokens with {new_tokens} new ones",
            expected=f"at most the model's context of {context} together",
            remedy=f"shorten the prompt, or ask for {context - len(prompt)} new tokens at most",
        )


def cut_at_stop(ids: Sequence[int], logprobs: Sequence[float], stop_ids: frozenset[int]) -> Generated:
    """The answer up to its first stop id, which is part of it (laws B1, B3)."""
    end = next((r for r, id_ in enumerate(ids, start=1) if id_ in stop_ids), None)
    return Generated(tuple(ids[:end]), tuple(logprobs[:end]), "length" if end is None else "stop")


def _cast_trunk(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Every parameter but the projection to logits, which stays as it is, on a matrix of its own where it was the embedding's too.

    Parameters only: rotary frequencies are buffers, and in 16 bits they put far tokens at wrong angles.
    """
    head = cast(nn.Linear, model.get_output_embeddings())
    head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    kept = {id(parameter) for parameter in head.parameters()}
    for parameter in model.parameters():
        if id(parameter) not in kept:
            parameter.data = parameter.data.to(dtype)


def _some(names: Any) -> str:
    listed = sorted(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "") if listed else "none"
