"""Prompts that fit into the model's context (paper App. C.3: 1k tokens of 2k)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import tee

from instructloop.curate.verdicts import Removed, Verdict
from instructloop.curate.workers import in_this_process
from instructloop.records import Prompt

Lengths = Callable[[Sequence[str]], Sequence[int]]
"""The tokens of each text, as the model will read it."""


def short_enough(prompts: Iterable[Prompt], max_tokens: int, *, lengths: Lengths) -> Iterator[Verdict]:
    """Prompts of at most `max_tokens` stay; none is cut."""
    kept, read = tee(prompts)
    for prompt, tokens in zip(kept, in_this_process(lengths, (prompt.text for prompt in read)), strict=True):
        yield prompt if tokens <= max_tokens else Removed(prompt, f"more than {max_tokens} tokens", f"{tokens} tokens")
