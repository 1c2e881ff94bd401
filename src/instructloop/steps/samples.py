"""What a model says as it learns: the rows of samples.jsonl in pretraining and supervised fine-tuning."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from transformers import PreTrainedModel

from instructloop.algo.seeds import derive
from instructloop.config import Text
from instructloop.model.pretrained import stop_ids
from instructloop.protocols import Sampling
from instructloop.records import Demonstration
from instructloop.rollout.engine import LocalEngine
from instructloop.steps.laws import load_engine
from instructloop.text.rendering import render_prompt
from instructloop.text.tokenizer import Tokenizer

SAMPLES_SHOWN = 4
"""Prompts that are answered each time; always the same ones, so that the answers can be compared."""


def first_prompts(records: Iterable[Demonstration], tokenizer: Tokenizer, text: Text) -> list[tuple[int, ...]]:
    """The ids of the first few prompts that fit."""
    rendered = (render_prompt(tokenizer, record.prompt.text, text) for record in records)
    return list(islice((ids for ids in rendered if len(ids) <= text.max_prompt), SAMPLES_SHOWN))


def continuations(
    engine: LocalEngine, policy: PreTrainedModel, prompts: Sequence[Sequence[int]], tokenizer: Tokenizer, *, at: int, max_new_tokens: int
) -> list[dict[str, Any]]:
    """What the policy, as it is after update `at`, makes of each prompt at temperature 1; the same noise every time."""
    load_engine(engine, policy, version=at + 1)
    sampling = Sampling(max_new_tokens=max_new_tokens, stop_ids=stop_ids(policy, tokenizer))
    seeds = [derive(0, "samples", row) for row in range(len(prompts))]
    answers = engine.generate(prompts, sampling, seeds)
    return [
        {"prompt": tokenizer.decode(prompt), "answer": tokenizer.decode(answer.ids), "ended": answer.finish_reason == "stop"}
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
