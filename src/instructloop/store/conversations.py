"""Conversations in files: a list of messages becomes the text before an answer, and the answer.

How the text is written, `records.conversation_text` says.
"""

from collections.abc import Sequence

from instructloop.errors import DataError
from instructloop.records import SPEAKERS, Turn, conversation_text
from instructloop.store.fields import rows_of, text_of
from instructloop.store.jsonl import Row


def turns_of(row: Row, key: str) -> list[Turn]:
    """The messages under `key`: objects with a `role` (system, user or assistant) and a `content`."""
    turns = [Turn(text_of(message, "role"), text_of(message, "content")) for message in rows_of(row, key)]
    if unknown := sorted({turn.role for turn in turns} - set(SPEAKERS)):
        raise DataError(f"{key!r} has a message with the role {unknown[0]!r}", expected="system, user or assistant", remedy="rename the role")
    return turns


def split_answer(turns: Sequence[Turn], key: str) -> tuple[list[Turn], str]:
    """The turns before the last, and the last, which must be the assistant's."""
    if not turns or turns[-1].role != "assistant":
        last = repr(turns[-1].role) if turns else "missing"
        raise DataError(
            f"the last message of {key!r} is {last}", expected="the assistant's answer", remedy="drop the row, or what follows the answer"
        )
    return list(turns[:-1]), turns[-1].content


def prompt_text(turns: Sequence[Turn], key: str) -> str:
    """The turns before an answer as one text; the last of them must be the user's."""
    if not turns or turns[-1].role != "user":
        last = repr(turns[-1].role) if turns else "missing"
        raise DataError(f"the message before the answer in {key!r} is {last}", expected="one of the user", remedy="drop the row, or add the question")
    if not turns[-1].content.strip():
        raise DataError(f"the last question in {key!r} is empty", expected="text", remedy="drop the row, or fill it in")
    return conversation_text(turns)
