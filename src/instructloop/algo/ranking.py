"""The reward model's loss on rankings of K answers.

    loss = −1/C(K,2) · E_(x, y_w, y_l) [ log σ( r(x, y_w) − r(x, y_l) ) ]          InstructGPT §3.5, eq. 1

N answers in the batch, each scored once; P pairs, each the index of its winner and of its loser among
the answers, and of its prompt. Answers that tie form no pair; a prompt whose answers all tie has none and is skipped.
K = 2 is Bradley–Terry.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

Weight = Literal["prompt", "pair"]


def pair_losses(score_N: Float[Tensor, " N"], winner_P: Int[Tensor, " P"], loser_P: Int[Tensor, " P"]) -> Float[Tensor, " P"]:
    """−log σ(r_w − r_l) of each pair, in nats: log 2 when the two scores are equal."""
    return -logsigmoid(score_N[winner_P] - score_N[loser_P])


def pair_weights(prompt_P: Int[Tensor, " P"], *, weight: Weight, prompts: int | None = None, pairs: int | None = None) -> Float[Tensor, " P"]:
    """Weights that make Σ weight · loss the mean of the global batch; float64, to lose nothing in any precision.

        prompt   1 / (pairs of this prompt · prompts)   mean over prompts of the mean over a prompt's pairs
        pair     1 / pairs                              mean over all pairs

    `prompts` (those with a pair) and `pairs` are counts over the global batch; without them, of this part of it. All
    pairs of a prompt must be in one part. The paper leaves open which of the two it uses; 1/C(K,2) in eq. 1 says prompt,
    and with ties the divisor is the pairs left (law C6).
    """
    ones_P = torch.ones_like(prompt_P, dtype=torch.float64)
    if weight == "pair":
        return ones_P / (len(prompt_P) if pairs is None else pairs)
    pairs_of_prompt = torch.bincount(prompt_P)
    return ones_P / pairs_of_prompt[prompt_P] / (int(pairs_of_prompt.count_nonzero()) if prompts is None else prompts)
