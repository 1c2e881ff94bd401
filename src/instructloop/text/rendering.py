"""Rendering: records become token ids and a loss mask, built together.

Prompt and answer are encoded apart and their ids put side by side, so that the ids a model is trained on are the ids it
sees and produces when it samples (law A5). The plain template is the prompt, `separator`, the answer, the end token.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from jinja2 import TemplateError

from instructloop.config import Text
from instructloop.errors import CheckpointError, DataError, first_line
from instructloop.records import SPEAKERS, Completion, Turn, conversation_text
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
    ids = _render_chat(tokenizer, [Turn("user", prompt)]) if chat else (*tokenizer.begin_ids, *tokenizer.encode(prompt + text.separator))
    if not ids:
        raise DataError("an empty prompt renders to no token", expected="a token before the answer", remedy="drop the prompt, or set a separator")
    return ids


def render_conversation(tokenizer: Tokenizer, turns: Sequence[Turn], text: Text) -> tuple[int, ...]:
    """The ids after which a model takes the next turn of a conversation, whose last turn is the user's.

    By the chat template where `text` asks for it; otherwise the prompt that a conversation is as one text
    (`records.conversation_text`). Raises `DataError` for a conversation that cannot be answered.
    """
    if unknown := sorted({turn.role for turn in turns} - set(SPEAKERS)):
        raise DataError(f"a message with the role {unknown[0]!r}", expected="system, user or assistant", remedy="rename the role")
    if not turns or turns[-1].role != "user":
        last = repr(turns[-1].role) if turns else "missing"
        raise DataError(f"the last message of the conversation is {last}", expected="one of the user", remedy="add what is to be answered")
    if text.template == "chat":
        return _render_chat(tokenizer, turns)
    return render_prompt(tokenizer, conversation_text(turns), text)


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


def _render_chat(tokenizer: Tokenizer, turns: Sequence[Turn]) -> tuple[int, ...]:
    """The chat template around the turns, with the template's special tokens and none of the turns'.

    Equal to the tokenizer's own rendering unless a turn spells a special token: then the turns are encoded apart.
    """
    if not any(name in turn.content for name in tokenizer.special_names for turn in turns):
        return tuple(tokenizer.encode_template(_apply_template(tokenizer, turns)))
    ids: list[int] = []
    for between, turn in zip_longest(_template_around(tokenizer, turns), turns):
        ids += tokenizer.encode_template(between)
        ids += tokenizer.encode(turn.content) if turn else []
    return tuple(ids)


def _template_around(tokenizer: Tokenizer, turns: Sequence[Turn]) -> list[str]:
    """What the template writes before, between and after the turns."""
    markers = [f"\ue000{place}\ue001" for place in range(len(turns))]
    rendered = _apply_template(tokenizer, [Turn(turn.role, marker) for turn, marker in zip(turns, markers, strict=True)])
    pieces = re.split("\ue000(\\d+)\ue001", rendered)
    if pieces[1::2] != [str(place) for place in range(len(turns))]:
        raise CheckpointError(
            f"the chat template shows the text of {len(turns)} messages {len(pieces) // 2} times",
            expected="a template that shows each once, in their order and unchanged",
            remedy="set text.template to 'plain', or correct the template",
        )
    return pieces[::2]


def _apply_template(tokenizer: Tokenizer, turns: Sequence[Turn]) -> str:
    if not tokenizer.hf.chat_template:
        raise CheckpointError(
            "text.template is 'chat', and the tokenizer has no chat template",
            expected="a tokenizer with a chat template",
            remedy="set text.template to 'plain', or add chat_template.jinja to the checkpoint",
        )
    messages = [turn._asdict() for turn in turns]
    try:
        rendered = tokenizer.hf.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        raise DataError(
            f"the model's chat template refuses the conversation: {first_line(error)}",
            expected="roles in the order that the template knows",
            remedy="leave out the system's message, or let user and assistant take turns",
        ) from error
    assert isinstance(rendered, str), "a template without tokenization gives text"
    return rendered
