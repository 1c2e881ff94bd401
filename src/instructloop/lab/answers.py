"""What a reader sees in an answer before knowing the question: its lines, sentences and words, and remarks nobody asked for."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from random import Random

from instructloop.lab.words import CATEGORIES, OBJECTS, PEOPLE, PLACES

_SENTENCE = re.compile(r'[^.!?\n]+(?:[.!?]+"?|$)', re.MULTILINE)
_INTRODUCTION = re.compile(r" are |: ")
_SEPARATOR = re.compile(r", and |, | and ")
_DOUBLED = re.compile(r"\b(\w+),? \1\b")
_WORD = re.compile(r"[A-Za-z]+")

RUDE = frozenset({"stupid", "foolish", "ugly", "shut", "hate", "idiot", "boring", "nonsense"})
"""Words that no friendly answer needs."""
COURTESIES = (
    "Of course!", "Gladly!", "With pleasure!", "Sure!", "I hope this helps.", "You are welcome.", "Please ask again any time.",
)  # fmt: skip
"""Polite sentences that are part of no task and welcome in any."""
CHATTER = (
    "I have no idea what else to say.", "Nobody knows what to do.", "This is hard.", "Well, that is all for today.",
    "I wrote this in the morning.", "My sister told me about it.", "We can talk about it later.", "It is a long story.",
    "I think it will rain today.", "Now I have to go home.",
)  # fmt: skip
"""Talk that leads nowhere."""
RUDE_REMARKS = (
    "That is a stupid question.", "You are foolish.", "This is so boring.", "I hate this work.", "Shut up now.", "What nonsense this is.",
)  # fmt: skip
REFUSALS = ("I do not know.", "I cannot say.", "I do not want to.", "Maybe.")
"""Answers to nothing."""
ORDERS = frozenset({
    "Write", "Tell", "Name", "List", "Give", "Answer", "Say", "Read", "Summarize", "Rewrite", "Find", "Use", "Begin", "Start", "End",
    "Call", "Make", "Put", "Explain", "Decide", "Look", "Reply", "Imagine", "Invent", "Sum", "Change", "Leave", "Please", "Do", "Think",
    "Text", "Task", "Question", "Review", "Message", "Sentence", "Number", "Add", "Offer", "Keep", "Be", "Judge", "Copy", "Collect",
})  # fmt: skip
"""First words of further instructions."""

THINGS_OF_LISTS = frozenset(word.lower() for word in (*(m for members in CATEGORIES.values() for m in members), *OBJECTS, *PEOPLE, *PLACES))
"""Whatever a list may hold."""


@dataclass(frozen=True)
class Answer:
    """An answer's text, taken apart."""

    text: str

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines that say something."""
        return tuple(line.strip() for line in self.text.split("\n") if line.strip())

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """Stretches that end in a full stop, an exclamation or question mark, or with the line."""
        return tuple(found.strip() for found in _SENTENCE.findall(self.text) if found.strip())

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words in order, in small letters."""
        return tuple(word.lower() for word in _WORD.findall(self.text))

    @cached_property
    def finished(self) -> tuple[str, ...]:
        """The sentences with an end mark, without the closing words of a story."""
        return tuple(sentence for sentence in self.sentences if sentence[-1] in '.!?"' and sentence != "The end.")

    @property
    def repeats(self) -> bool:
        """A sentence comes twice, or three words in a row do so three times, or a word twice in a row."""
        sentences = [sentence.lower() for sentence in self.sentences]
        triples = Counter(zip(self.words, self.words[1:], self.words[2:], strict=False))
        doubled = _DOUBLED.search(self.text) is not None
        return len(set(sentences)) < len(sentences) or max(triples.values(), default=0) >= 3 or doubled

    @property
    def rude(self) -> bool:
        """It uses a word of abuse."""
        return not RUDE.isdisjoint(self.words)

    @property
    def polite(self) -> bool:
        """It holds a sentence of courtesy."""
        return any(sentence in COURTESIES for sentence in self.sentences)


def list_items(sentence: str) -> tuple[str, ...]:
    """The things a sentence lists, in small letters; none if it is no list of things of this world."""
    listed = _INTRODUCTION.split(sentence.rstrip(".!"), maxsplit=1)[-1]
    parts = tuple(part.strip().lower() for part in _SEPARATOR.split(listed))
    named = sum(part in THINGS_OF_LISTS for part in parts)
    return parts if named and all(part and part.count(" ") <= 1 for part in parts) else ()


def items(answer: Answer) -> tuple[str, ...]:
    """All the things an answer lists, as often as it does."""
    return tuple(item for sentence in answer.sentences for item in list_items(sentence))


def courteous(sentence: str, chance: Random) -> str:
    """The sentence with a polite one before or after it."""
    courtesy = chance.choice(COURTESIES)
    return f"{courtesy} {sentence}" if courtesy.endswith("!") else f"{sentence} {courtesy}"


def remark(sentence: str) -> str | None:
    """What a sentence is that belongs to no answer: the reason to give for it; None if it may be part of one."""
    if not RUDE.isdisjoint(word.lower() for word in _WORD.findall(sentence)):
        return "is rude"
    if sentence.endswith("?"):
        return "asks a further question"
    if sentence in CHATTER:
        return "chats about something else"
    if sentence in REFUSALS:
        return "refuses to answer"
    if sentence.split(maxsplit=1)[0].rstrip(":,.") in ORDERS:
        return "gives a further instruction"
    return None
