"""Prompts for sampling: records become the ids after which the policy starts to answer."""

from collections.abc import Iterable
from dataclasses import dataclass

from instructloop.config import Text
from instructloop.data.dropped import Dropped
from instructloop.records import Prompt
from instructloop.text.rendering import render_prompt
from instructloop.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class PromptSet:
    """Prompts that fit, with their ids, in order."""

    ids: list[tuple[int, ...]]
    records: list[Prompt]
    dropped: Dropped

    def __len__(self) -> int:
        return len(self.ids)


def load_prompts(records: Iterable[Prompt], tokenizer: Tokenizer, text: Text) -> PromptSet:
    """Render prompts; those longer than `max_prompt` are dropped and counted [App. C.3]."""
    ids: list[tuple[int, ...]] = []
    kept: list[Prompt] = []
    long_prompts = 0
    for record in records:
        rendered = render_prompt(tokenizer, record.text, text)
        if len(rendered) > text.max_prompt:
            long_prompts += 1
            continue
        ids.append(rendered)
        kept.append(record)
    return PromptSet(ids, kept, Dropped(kept=len(kept), long_prompts=long_prompts))
