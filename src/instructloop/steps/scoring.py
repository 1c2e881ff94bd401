"""What an episode is worth: the reward model reads its token ids (law A5); any other `Scorer` reads its text."""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedModel

from instructloop.config import Run, Text
from instructloop.errors import DataError
from instructloop.model.policy import autocast, response_logprobs
from instructloop.model.scalar import ScalarModel
from instructloop.protocols import Scorer
from instructloop.rollout.batch import Rollout
from instructloop.steps.device import device
from instructloop.text.tokenizer import Tokenizer


def reward_model_score(reward: ScalarModel, run: Run) -> Callable[[Rollout], Tensor]:
    """Score episodes by a reward model, at the last token of each answer [B], in the precision of its head: float32, or float64."""

    @torch.no_grad()
    def score(rollout: Rollout) -> Tensor:
        score_B = torch.zeros(len(rollout), dtype=reward.head.weight.dtype)
        for rows_B in rollout.by_length().split(run.micro_batch):
            part = rollout[rows_B].trimmed().to(device())
            with autocast(run.precision, device()):
                score_B[rows_B] = reward.scores_at_end(part.tokens_BT, part.prompt_length_B + part.mask_BR.sum(1)).cpu()
        return score_B

    return score


def text_score(scorer: Scorer, tokenizer: Tokenizer, text: Text) -> Callable[[Rollout], Tensor]:
    """Score episodes by anything that reads prompts and answers as text; float32 [B].

    Prompts come as people wrote them; under a chat template with the template's words around them.
    """

    def score(rollout: Rollout) -> Tensor:
        prompts, answers = texts(rollout, tokenizer)
        written = [prompt.removesuffix(text.separator) for prompt in prompts] if text.template == "plain" else prompts
        values = list(scorer(written, answers))
        if len(values) != len(answers):
            raise DataError(
                f"the scorer gave {len(values)} scores for {len(answers)} answers", expected="one each, in order", remedy="correct the scorer"
            )
        return torch.tensor(values, dtype=torch.float32)

    return score


def texts(rollout: Rollout, tokenizer: Tokenizer) -> tuple[list[str], list[str]]:
    """Prompts and answers of episodes as people read them."""
    lengths = zip(rollout.tokens_BT.tolist(), rollout.prompt_length_B.tolist(), rollout.mask_BR.sum(1).tolist(), strict=True)
    pairs = [(tokenizer.decode(row[:prompt]), tokenizer.decode(row[prompt : prompt + answer])) for row, prompt, answer in lengths]
    return [prompt for prompt, _ in pairs], [answer for _, answer in pairs]


@torch.no_grad()
def kl_per_answer(policy: PreTrainedModel, start: PreTrainedModel, rollout: Rollout, run: Run, *, temperature: float = 1.0) -> Tensor:
    """log π − log π_start summed over the tokens of each answer that the policy sampled: nats per sequence, float64 [B]."""

    def logprobs(model: PreTrainedModel, part: Rollout) -> Tensor:
        tokens = (part.tokens_BT, part.prompt_length_B, part.mask_BR)
        with autocast(run.precision, device()):
            return response_logprobs(model, *tokens, temperature=temperature, chunk=run.loss_chunk)[0].double().cpu()

    kl_B = torch.zeros(len(rollout), dtype=torch.float64)
    for rows_B in rollout.by_length().split(run.micro_batch):
        part = rollout[rows_B].trimmed().to(device())
        kl_B[rows_B] = (logprobs(policy, part) - logprobs(start, part)).sum(1)
    return kl_B
