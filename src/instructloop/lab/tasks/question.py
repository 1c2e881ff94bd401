"""Questions about the world: the answer is a fact, in a sentence or a word."""

from collections.abc import Sequence
from random import Random

from instructloop.lab.answers import Answer, courteous
from instructloop.lab.asking import Ask, Reading, Slots, Task, Template
from instructloop.lab.frames import Frame
from instructloop.lab.words import capitalised
from instructloop.lab.world import ATTRIBUTES, FACTS, Attribute, Cast

QUESTIONS: dict[str, tuple[str, str, str]] = {
    "town": ("Where does {person} live?", "In which town does {person} live?", "where {person} lives"),
    "job": ("What is the job of {person}?", "What work does {person} do?", "what the job of {person} is"),
    "pet": ("Which pet does {person} have?", "What animal does {person} have?", "which pet {person} has"),
    "dish": ("What does {person} like to eat?", "What is the favourite food of {person}?", "what {person} likes to eat"),
    "colour": ("What is the favourite colour of {person}?", "Which colour does {person} like?", "which colour {person} likes"),
    "fodder": ("What does the {animal} eat?", "What does {a animal} like to eat?", "what the {animal} eats"),
    "home": ("Where does the {animal} live?", "Where can you find the {animal}?", "where the {animal} lives"),
    "kind": ("What kind of animal is the {animal}?", "What is {a animal}?", "what kind of animal the {animal} is"),
    "site": ("Where does {town} lie?", "Where is the town of {town}?", "where {town} lies"),
    "goods": ("What is {town} known for?", "Why do people come to {town}?", "what {town} is known for"),
    "sort": ("What is the {produce}, a fruit or a vegetable?", "Which kind of food is {a produce}?", "which kind of food the {produce} is"),
    "skin": ("What colour is the {produce}?", "Which colour has {a produce}?", "what colour the {produce} is"),
}
"""Attribute -> two direct questions and an indirect one."""
_DIRECT = ("{ask}", "Question: {ask}", "Please answer this question. {ask}")
_INDIRECT = ("Tell me {ask}.", "I want to know {ask}.", "Please tell me {ask}.", "Say {ask}.")
_HELD_OUT = ("I would like to know {ask}.", "Please say {ask}.", "Can you tell me {ask}?", "Do you know {ask}?")


def _phrasings(attribute: str) -> tuple[Template, ...]:
    first, second, indirect = QUESTIONS[attribute]
    asked = [
        *(form.replace("{ask}", direct) for form in _DIRECT for direct in (first, second)),
        *(form.replace("{ask}", indirect) for form in _INDIRECT),
    ]
    kept = [form.replace("{ask}", indirect) for form in _HELD_OUT]
    given = {"attribute": attribute}
    return (
        *(Template(Frame(f"{text}{{also}}"), given) for text in asked),
        *(Template(Frame(f"{text}{{also}}"), given, held_out=True) for text in kept),
    )


def draw(chance: Random, cast: Cast, given: Slots) -> dict[str, str]:
    """Someone or something that has the attribute."""
    subject = ATTRIBUTES[given["attribute"]].subject
    return {subject: chance.choice(cast.subjects[subject])}


def write(ask: Ask, chance: Random, _: Cast) -> str:
    """The canonical sentence as a rule, sometimes its paraphrase or the value alone."""
    attribute = ATTRIBUTES[ask.slots["attribute"]]
    subject = ask.slots[attribute.subject]
    return phrase(attribute, subject, FACTS[attribute.name, subject], ask, chance)


def phrase(attribute: Attribute, subject: str, value: str, ask: Ask, chance: Random) -> str:
    """A fact, true or not, in the form that the clauses ask for."""
    values = {attribute.subject: subject, attribute.value: value}
    if "word" in ask.kinds:
        return f"{value}." if "small" in ask.kinds else f"{capitalised(value)}."
    sentence = chance.choices((attribute.sentence, attribute.paraphrase), (0.8, 0.2))[0].fill(values)
    return courteous(sentence, chance) if "polite" in ask.kinds else sentence


def read(ask: Ask, answer: Answer) -> Reading:
    """Follows if it states the attribute of the subject; whatever else it states must be true as well."""
    reading = Reading()
    attribute = ATTRIBUTES[ask.slots["attribute"]]
    subject = ask.slots[attribute.subject]
    right = FACTS[attribute.name, subject]
    for sentence in answer.sentences:
        value = attribute.value_in(sentence, subject)
        if value is None:
            reading.strays[sentence] = ""
            continue
        if reading.follows:
            reading.strays[sentence] = "answers more than once"
        reading.follows = 1.0
        reading.true = float(reading.true in (None, 1.0) and value == right)
        if value != right:
            reading.reasons.append(f"says {value!r}; the truth is {right!r}")
    return reading


def _fits(kinds: Sequence[str], slots: Slots) -> bool:
    """One word must be enough, and small letters usual."""
    attribute = slots["attribute"]
    value = FACTS[attribute, slots[ATTRIBUTES[attribute].subject]]
    return ("word" not in kinds or " " not in value) and ("small" not in kinds or value == value.lower())


QUESTION = Task(
    name="question",
    use_case="open_qa",
    templates=tuple(template for attribute in ATTRIBUTES for template in _phrasings(attribute)),
    combinations=((), (), ("full",), ("word",), ("polite",)),
    held_out_combinations=((), (), ("full", "polite"), ("word", "small")),
    draw=draw,
    write=write,
    read=read,
    fits=_fits,
)
