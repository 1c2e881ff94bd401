"""Clauses: the explicit constraints of a prompt, their wordings, and how each is checked on an answer's text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from instructloop.lab.answers import Answer, items, list_items
from instructloop.lab.asking import Ask, Clause
from instructloop.lab.frames import Frame, frames
from instructloop.lab.words import COATS, DAYS, NUMBERS, OPENINGS, PLACES

SPOKEN = ("home", "friend", "day", "very", "happy", "evening")
"""Words that stories like, and prompts may forbid."""
DETAILS: Mapping[str, tuple[str, ...]] = {"day": DAYS, "place": PLACES, "colour": COATS}
"""What a summary may be asked to leave out."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of constraint."""

    wordings: tuple[Frame, ...]
    held_out: tuple[Frame, ...]
    holds: Callable[[Clause, Ask, Answer], bool]
    reason: Callable[[Clause, Ask, Answer], str]
    values: tuple[str, ...] = ("",)
    """What it may be about, where the task does not say."""


def holds(clause: Clause, ask: Ask, answer: Answer) -> bool:
    """True if the answer satisfies the clause."""
    return KINDS[clause.kind].holds(clause, ask, answer)


def reason(clause: Clause, ask: Ask, answer: Answer) -> str:
    """What is wrong where it does not."""
    return KINDS[clause.kind].reason(clause, ask, answer)


def draw_value(kind: str, chance: Random) -> str:
    """What a clause of a kind is about."""
    return chance.choice(KINDS[kind].values)


def _count_sentences(clause: Clause, _: Ask, answer: Answer) -> bool:
    return len(answer.finished) == NUMBERS[clause.value]


def _count_items(clause: Clause, _: Ask, answer: Answer) -> bool:
    return len(set(items(answer))) == NUMBERS[clause.value]


def _says_word(clause: Clause, _: Ask, answer: Answer) -> bool:
    return clause.value.lower() in answer.words


def _lines(_: Clause, __: Ask, answer: Answer) -> bool:
    named = [sentence for sentence in answer.sentences if list_items(sentence)]
    return len(named) == len(items(answer)) > 1


def _details_left(clause: Clause, _: Ask, answer: Answer) -> list[str]:
    return [word for word in DETAILS[clause.value] if word.lower() in answer.words]


KINDS: Mapping[str, Kind] = {
    "sentences": Kind(
        wordings=frames("Use {value:number} sentences.", "Write {value:number} sentences.", "It should have {value:number} sentences."),
        held_out=frames("Please use {value:number} sentences.", "The text should have {value:number} sentences."),
        values=("two", "three"),
        holds=_count_sentences,
        reason=lambda clause, _, answer: f"uses {len(answer.finished)} sentences instead of {NUMBERS[clause.value]}",
    ),
    "single": Kind(
        wordings=frames("Use one sentence.", "Write only one sentence.", "One sentence is enough."),
        held_out=frames("Please use one sentence.", "Use only one sentence."),
        holds=lambda _, __, answer: len(answer.finished) == 1,
        reason=lambda _, __, answer: f"uses {len(answer.finished)} sentences instead of 1",
    ),
    "items": Kind(
        wordings=(),
        held_out=(),
        holds=_count_items,
        reason=lambda clause, _, answer: f"names {len(set(items(answer)))} things instead of {NUMBERS[clause.value]}",
    ),
    "brief": Kind(
        wordings=(),
        held_out=(),
        holds=lambda _, __, answer: len(answer.finished) == 1,
        reason=lambda _, __, answer: f"uses {len(answer.finished)} sentences instead of 1",
    ),
    "start": Kind(
        wordings=frames('Start with "{value:text}".', 'Begin with the words "{value:text}".', 'It should start with "{value:text}".'),
        held_out=frames('Please start with "{value:text}".', 'Start with the words "{value:text}".'),
        values=OPENINGS,
        holds=lambda clause, _, answer: answer.text.startswith(f"{clause.value} "),
        reason=lambda clause, _, __: f'does not start with "{clause.value}"',
    ),
    "end": Kind(
        wordings=frames('End with "The end."', 'Write "The end." at the end.', 'The last words are "The end."'),
        held_out=frames('End it with "The end."', 'Please write "The end." at the end.'),
        holds=lambda _, __, answer: answer.text.rstrip().endswith("The end."),
        reason=lambda _, __, ___: 'does not end with "The end."',
    ),
    "avoid": Kind(
        wordings=frames('Do not use the word "{value:text}".', 'Do not write the word "{value:text}".', 'Leave out the word "{value:text}".'),
        held_out=frames('Please do not use the word "{value:text}".', 'Leave the word "{value:text}" out.'),
        values=SPOKEN,
        holds=lambda clause, _, answer: clause.value not in answer.words,
        reason=lambda clause, _, __: f'uses the word "{clause.value}"',
    ),
    "include": Kind(
        wordings=frames('Use the word "{value:place}".', 'It has the word "{value:place}" in it.', 'Write something about the {value:place}.'),
        held_out=frames('Please use the word "{value:place}".', 'Say something about the {value:place}.'),
        values=PLACES,
        holds=_says_word,
        reason=lambda clause, _, __: f"says nothing of the {clause.value}",
    ),
    "called": Kind(
        wordings=frames("The name is {value:person}.", "Use the name {value:person}.", "The name in the story is {value:person}."),
        held_out=frames("Please use the name {value:person}.", "The name should be {value:person}."),
        holds=_says_word,
        reason=lambda clause, _, __: f"does not use the name {clause.value}",
    ),
    "spare": Kind(
        wordings=frames("Do not name the {value:text}.", "Leave out the {value:text}.", "You can leave out the {value:text}."),
        held_out=frames("Please do not name the {value:text}.", "Please leave out the {value:text}."),
        holds=lambda clause, _, answer: clause.value not in items(answer),
        reason=lambda clause, _, __: f"names the {clause.value}",
    ),
    "lines": Kind(
        wordings=frames("Put each on its own line.", "Write one on each line.", "Use a new line for each."),
        held_out=frames("Please put each on its own line.", "Write each on a new line."),
        holds=_lines,
        reason=lambda _, __, ___: "does not put each on its own line",
    ),
    "small": Kind(
        wordings=frames("Use small letters only.", "Do not use capital letters.", "Write it in small letters."),
        held_out=frames("Please use small letters only.", "Please do not use capital letters."),
        holds=lambda _, __, answer: answer.text == answer.text.lower(),
        reason=lambda _, __, ___: "uses capital letters",
    ),
    "word": Kind(
        wordings=frames("Answer with one word.", "Use one word only.", "One word is enough."),
        held_out=frames("Please answer with one word.", "Use only one word."),
        holds=lambda _, __, answer: len(answer.words) == 1,
        reason=lambda _, __, answer: f"uses {len(answer.words)} words instead of one",
    ),
    "full": Kind(
        wordings=frames("Answer in a full sentence.", "Use a full sentence.", "Write a whole sentence."),
        held_out=frames("Please answer in a full sentence.", "Use a whole sentence."),
        holds=lambda _, __, answer: len(answer.words) >= 3 and len(answer.finished) >= 1,
        reason=lambda _, __, ___: "is not a full sentence",
    ),
    "polite": Kind(
        wordings=frames("Answer politely.", "Be polite.", "Use polite words."),
        held_out=frames("Please be polite.", "Please answer politely."),
        holds=lambda _, __, answer: answer.polite,
        reason=lambda _, __, ___: "has no polite word",
    ),
    "named": Kind(
        wordings=frames("Use the name of the person.", "Call the person by name.", "Write the name too."),
        held_out=frames("Please use the name of the person.", "Say the name too."),
        holds=lambda _, ask, answer: ask.slots["person"].lower() in answer.words,
        reason=lambda _, ask, __: f"does not call {ask.slots['person']} by name",
    ),
    "offer": Kind(
        wordings=frames("Offer to help.", "Say that you can help.", "You should offer to help."),
        held_out=frames("Please offer to help.", "Say that you will help."),
        holds=lambda _, __, answer: "help" in answer.words,
        reason=lambda _, __, ___: "does not offer help",
    ),
    "leave": Kind(
        wordings=frames("Leave out the {value:text}.", "Do not say the {value:text}.", "You can leave out the {value:text}."),
        held_out=frames("Please leave out the {value:text}.", "Please do not say the {value:text}."),
        values=tuple(DETAILS),
        holds=lambda clause, ask, answer: not _details_left(clause, ask, answer),
        reason=lambda clause, _, __: f"does not leave out the {clause.value}",
    ),
    "tell": Kind(
        wordings=frames("Say the {value:text} too.", "The {value:text} is important.", "Do not forget the {value:text}."),
        held_out=frames("Please say the {value:text} too.", "Write the {value:text} too."),
        values=tuple(DETAILS),
        holds=lambda clause, ask, answer: bool(_details_left(clause, ask, answer)),
        reason=lambda clause, _, __: f"does not say the {clause.value}",
    ),
    "day": Kind(
        wordings=frames("Say that it was on {value:day}.", "Add that it was on {value:day}.", "It was on {value:day}, so say that too."),
        held_out=frames("Please say that it was on {value:day}.", "Write that it was on {value:day}."),
        values=DAYS,
        holds=_says_word,
        reason=lambda clause, _, __: f"does not say that it was on {clause.value}",
    ),
}  # fmt: skip
"""Name of a kind -> the kind."""
