"""Beam search: the K best answers to one prompt.

    score(answer) = Σ log p(token) / (number of tokens, the stop id included) ** length_penalty

with log p at temperature 1. Penalty 0 is the log-probability itself, 1 the mean per token; above 0 favours length.

At each step every beam is continued by every token. Among the W = `width` likeliest continuations those that end (by a
stop id, or at the cap) are finished; the W likeliest that do not end are the next beams. The search stops when no
beam can still beat the K-th finished answer, so a width that covers everything gives the exact K best. This is
transformers' `generate(num_beams=W, early_stopping="never")` for a penalty of 0 or more; its default
`early_stopping=False` may stop sooner.

W beams, R response tokens, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from instructloop.errors import ConfigError
from instructloop.protocols import FinishReason, Generated
from instructloop.rollout.engine import LocalEngine
from instructloop.rollout.sampling import all_logprobs


@dataclass(frozen=True)
class Beams:
    """The unfinished beams, likeliest first: ids and log-probabilities so far, [W, r]."""

    ids: Tensor
    logp: Tensor

    def continued(self, parent_W: Tensor, id_W: Tensor, logp_W: Tensor) -> "Beams":
        """These beams, each one token longer."""
        return Beams(torch.cat([self.ids[parent_W], id_W[:, None]], 1), torch.cat([self.logp[parent_W], logp_W[:, None]], 1))

    def answers(self, reason: FinishReason) -> list[Generated]:
        """The beams as finished answers."""
        return [Generated(tuple(ids), tuple(logp), reason) for ids, logp in zip(self.ids.tolist(), self.logp.tolist(), strict=True)]


@torch.inference_mode()
def beam_search(
    engine: LocalEngine,
    prompt: Sequence[int],
    *,
    width: int,
    num_answers: int = 1,
    length_penalty: float = 1.0,
    max_new_tokens: int,
    stop_ids: frozenset[int] = frozenset(),
) -> list[Generated]:
    """The `num_answers` best finished answers, best first; fewer only where fewer exist."""
    if not 1 <= num_answers <= width:
        raise ConfigError(f"{num_answers} answers from a beam of width {width}", expected="1 to width", remedy="widen the beam")
    decoder = engine.start([prompt], room=max_new_tokens)
    stop = torch.tensor(sorted(stop_ids), dtype=torch.long, device=engine.model.device)
    beams = Beams(stop.new_zeros(1, 0), all_logprobs(decoder.logits_BV).new_zeros(1, 0))
    finished: list[Generated] = []
    for r in range(1, max_new_tokens + 1):
        parent_C, id_C, logp_C = _candidates(beams, all_logprobs(decoder.logits_BV), width * (1 + len(stop_ids)))
        ends_C = torch.isin(id_C, stop)
        among_best_C = torch.arange(len(id_C), device=id_C.device) < width
        ended, going = (ends_C & among_best_C).nonzero().squeeze(1), (~ends_C).nonzero().squeeze(1)[:width]
        finished += beams.continued(parent_C[ended], id_C[ended], logp_C[ended]).answers("stop")
        if r == max_new_tokens:
            capped = (~ends_C & among_best_C).nonzero().squeeze(1)
            finished += beams.continued(parent_C[capped], id_C[capped], logp_C[capped]).answers("length")
        finished = sorted(finished, key=lambda answer: -score(answer, length_penalty))[:num_answers]
        beams = beams.continued(parent_C[going], id_C[going], logp_C[going])
        if r == max_new_tokens or _settled(finished, beams, num_answers, length_penalty, max_new_tokens):
            break
        decoder.keep(parent_C[going])
        decoder.step(id_C[going])
    return finished


def score(answer: Generated, length_penalty: float) -> float:
    """Σ log p / length ** length_penalty."""
    return sum(answer.logprobs) / len(answer.ids) ** length_penalty


def _candidates(beams: Beams, logp_WV: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The `count` likeliest continuations of all beams: parent, id and log-probability of the new token, each [C].

    W·(1 + number of stop ids) of them hold W that do not end, since each beam has one continuation per stop id that does.
    """
    total_N = (beams.logp.sum(1, keepdim=True) + logp_WV).flatten()
    best_C = total_N.topk(min(count, total_N.numel())).indices
    return best_C // logp_WV.shape[1], best_C % logp_WV.shape[1], logp_WV.flatten()[best_C]


def _settled(finished: Sequence[Generated], beams: Beams, num_answers: int, length_penalty: float, max_new_tokens: int) -> bool:
    """True if no continuation of any beam can beat the worst of enough finished answers.

    A continuation adds log-probabilities of at most 0, so its score is at most the beam's sum over one of the two
    extreme lengths it can end at.
    """
    if not len(beams.ids):
        return True
    likeliest = float(beams.logp.sum(1).max())
    bound = max(likeliest / length**length_penalty for length in (beams.ids.shape[1] + 1, max_new_tokens))
    return len(finished) == num_answers and score(finished[-1], length_penalty) >= bound
