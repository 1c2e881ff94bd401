"""Rendering: records become token ids and a loss mask, built together.

Prompt and answer are encoded apart and their ids put side by side, so that the ids a model is trained on are the ids it
sees and produces when it samples (law A5). The plain template is the prompt, `separator`, the answer, the end token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from instructloop.config import Text
from instructloop.errors import CheckpointError, DataError
from instructloop.records import Completion
from instructloop.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Rendered:
    """Token ids, and for each whether it is a target of the loss: one mask, made with what it masks (law B1)."""

    ids: tuple[int, ...]
    loss_mask: tuple[bool, ...]

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.loss_mask), "one mask entry per token"

    def __len__(self) -> int:
        return len(self.ids)


def render_prompt(tokenizer: Tokenizer, prompt: str, text: Text) -> tuple[int, ...]:
    """The ids after which a model starts to answer: begin ids, prompt and separator, or the chat template's."""
    chat = text.template == "chat"
    ids = _render_chat(tokenizer, prompt) if chat else (*tokenizer.begin_ids, *tokenizer.encode(prompt + text.separator))
    if not ids:
        raise DataError("an empty prompt renders to no token", expected="a token before the answer", remedy="drop the prompt, or set a separator")
    return ids


def render_answer(tokenizer: Tokenizer, answer: str, *, ended: bool = True) -> tuple[int, ...]:
    """The ids of an answer; the end token closes it if the writer ended it."""
    ids = tuple(tokenizer.encode(answer))
    return (*ids, tokenizer.end_id) if ended else ids


def render_completion(tokenizer: Tokenizer, completion: Completion) -> tuple[int, ...]:
    """The ids of a completion: those that were sampled where this tokenizer reads them as its text, else the text, ended unless cut off.

    Ids of a model with another tokenizer would be other words here, so its answers are encoded anew from what people read.
    """
    sampled = completion.token_ids
    if sampled is not None and _spells(tokenizer, sampled, completion.text):
        return sampled
    return render_answer(tokenizer, completion.text, ended=completion.finish_reason != "length")


def render_demonstration(tokenizer: Tokenizer, prompt: str, answer: str, text: Text, *, loss_on: Literal["response", "all"] = "response") -> Rendered:
    """A prompt and its answer with the end token; targets are the answer's tokens, or all that another token precedes."""
    prompt_ids = render_prompt(tokenizer, prompt, text)
    answer_ids = render_answer(tokenizer, answer)
    return join(prompt_ids, answer_ids, given=len(prompt_ids) if loss_on == "response" else len(tokenizer.begin_ids))


def join(prompt_ids: Sequence[int], answer_ids: Sequence[int], *, given: int) -> Rendered:
    """Prompt and answer side by side; the first `given` tokens, and always the very first, are not targets."""
    ids = (*prompt_ids, *answer_ids)
    given = max(given, 1)
    return Rendered(ids, tuple(place >= given for place in range(len(ids))))


def _spells(tokenizer: Tokenizer, ids: Sequence[int], text: str) -> bool:
    """True if all ids are this tokenizer's and say the text."""
    return all(0 <= id_ < len(tokenizer) for id_ in ids) and tokenizer.decode(ids) == text


def _render_chat(tokenizer: Tokenizer, prompt: str) -> tuple[int, ...]:
    """The chat template around the prompt, with the template's special tokens and none of the prompt's.

    Equal to the tokenizer's own rendering unless the prompt spells a special token: then it is encoded apart.
    """
    if not any(name in prompt for name in tokenizer.special_names):
        return tuple(tokenizer.encode_template(_apply_template(tokenizer, prompt)))
    before, after = _template_around(tokenizer)
    return (*tokenizer.encode_template(before), *tokenizer.encode(prompt), *tokenizer.encode_template(after))


def _template_around(tokenizer: Tokenizer) -> tuple[str, str]:
    marker = "\ue000prompt\ue001"
    pieces = _apply_template(tokenizer, marker).split(marker)
    if len(pieces) != 2:
        raise CheckpointError(
            f"the chat template shows the prompt {len(pieces) - 1} times",
            expected="a template that shows it once, unchanged",
            remedy="set text.template to 'plain', or correct the template",
        )
    return pieces[0], pieces[1]


def _apply_template(tokenizer: Tokenizer, prompt: str) -> str:
    if not tokenizer.hf.chat_template:
        raise CheckpointError(
            "text.template is 'chat', and the tokenizer has no chat template",
            expected="a tokenizer with a chat template",
            remedy="set text.template to 'plain', or add chat_template.jinja to the checkpoint",
        )
    turns = [{"role": "user", "content": prompt}]
    rendered = tokenizer.hf.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert isinstance(rendered, str), "a template without tokenization gives text"
    return rendered
