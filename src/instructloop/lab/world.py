"""What is true in the small world: 328 facts, each with one sentence that reads back, and who is kept for evaluation.

The world never changes: models that know it are shipped. Only prompts, demonstrations and labelers are drawn anew by a seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from instructloop.lab.chance import stream
from instructloop.lab.frames import Frame
from instructloop.lab.words import (
    ANIMALS,
    CATEGORIES,
    COLOURS,
    DISHES,
    FRUITS,
    GOODS,
    JOBS,
    OBJECTS,
    PEOPLE,
    PETS,
    PRODUCE,
    RARE_THINGS,
    SITES,
    TOWNS,
    capitalised,
)

WORLD_SEED = 2022

Fact = tuple[str, str]
"""An attribute and its subject, for instance ("town", "Max")."""


@dataclass(frozen=True)
class Attribute:
    """One thing that can be known of a kind of subject."""

    name: str
    subject: str
    """Class of the subject: person, animal, town, produce."""
    value: str
    """Class of the value."""
    sentence: Frame
    """The canonical sentence."""
    paraphrase: Frame
    pronominal: Frame
    """The canonical sentence about he, she or it."""
    short: Frame
    """The value alone, as a curt answer gives it."""
    bare: Frame
    """The value in one word."""

    def value_in(self, text: str, subject: str) -> str | None:
        """The value that a sentence gives for the subject: in full, with a pronoun, or alone; None if it speaks of something else."""
        for frame in (self.sentence, self.paraphrase, self.pronominal, self.short, self.bare):
            values = frame.read(capitalised(text) if text.endswith(".") else f"{capitalised(text)}.")
            if values is not None and values.get(self.subject, subject) == subject:
                return values[self.value]
        return None


def _attribute(name: str, subject: str, value: str, *texts: str) -> Attribute:
    sentence, paraphrase, pronominal, short = texts
    framed = [Frame(text) for text in (sentence, paraphrase, pronominal, short, f"{{{value.capitalize()}}}.")]
    return Attribute(name, subject, value, *framed)


ATTRIBUTES: Mapping[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        _attribute("town", "person", "town", "{Person} lives in {town}.", "{Person} has a house in {town}.", "{Pro} lives in {town}.", "In {town}."),
        _attribute("job", "person", "job", "{Person} is {a job}.", "{Person} works as {a job}.", "{Pro} is {a job}.", "{A job}."),
        _attribute("pet", "person", "pet", "{Person} has {a pet}.", "The pet of {person} is {a pet}.", "{Pro} has {a pet}.", "{A pet}."),
        _attribute(
            "dish",
            "person",
            "dish",
            "{Person} likes to eat {dish}.",
            "The favourite food of {person} is {dish}.",
            "{Pro} likes to eat {dish}.",
            "{Dish}.",
        ),
        _attribute(
            "colour",
            "person",
            "colour",
            "The favourite colour of {person} is {colour}.",
            "{Person} likes the colour {colour}.",
            "{Pro} likes {colour}.",
            "{Colour}.",
        ),
        _attribute(
            "fodder", "animal", "fodder", "{The animal} eats {fodder}.", "{A animal} likes to eat {fodder}.", "{Pro} eats {fodder}.", "{Fodder}."
        ),
        _attribute("home", "animal", "home", "{The animal} lives {home}.", "You can find the {animal} {home}.", "{Pro} lives {home}.", "{Home}."),
        _attribute("kind", "animal", "kind", "{The animal} is {a kind}.", "{A animal} is a kind of {kind}.", "{Pro} is {a kind}.", "{A kind}."),
        _attribute("site", "town", "site", "{Town} lies {site}.", "The town of {town} is {site}.", "{Pro} lies {site}.", "{Site}."),
        _attribute(
            "goods",
            "town",
            "goods",
            "{Town} is known for its {goods}.",
            "People come to {town} for its {goods}.",
            "{Pro} is known for its {goods}.",
            "For its {goods}.",
        ),
        _attribute("sort", "produce", "sort", "{The produce} is {a sort}.", "{A produce} is a kind of {sort}.", "{Pro} is {a sort}.", "{A sort}."),
        _attribute(
            "skin", "produce", "colour", "{The produce} is {colour}.", "The colour of {a produce} is {colour}.", "{Pro} is {colour}.", "{Colour}."
        ),
    )
}

_ANIMAL_FACTS = """
cow grass on a farm; horse grass on a farm; sheep grass on a farm; goat leaves on a farm; pig corn on a farm; dog meat in a house;
cat fish in a house; fox meat in the forest; rabbit leaves in a hole; mouse cheese in a hole; bear berries in the forest;
wolf meat in the forest; hen seeds on a farm; owl meat in the forest; duck seeds near a lake; goose grass near a lake;
crow corn in the forest; swan roots near a lake; trout flies in a river; salmon worms in a river; pike fish in a river;
bee flowers in a garden; ant seeds in a hole; beetle leaves in the forest
"""
_SKINS = {
    "apple": "red", "pear": "green", "plum": "purple", "cherry": "red", "banana": "yellow", "lemon": "yellow", "grape": "purple",
    "peach": "orange", "carrot": "orange", "onion": "white", "potato": "brown", "pea": "green", "bean": "green", "cabbage": "green",
    "cucumber": "green", "pumpkin": "orange",
}  # fmt: skip


def _facts() -> dict[Fact, str]:
    facts: dict[Fact, str] = {}
    for name, values in (("town", TOWNS), ("job", JOBS), ("pet", PETS), ("dish", DISHES), ("colour", COLOURS)):
        facts |= _dealt(name, PEOPLE, values)
    for row in _ANIMAL_FACTS.replace("\n", " ").split(";"):
        animal, fodder, home = row.split(maxsplit=2)
        facts |= {("fodder", animal): fodder, ("home", animal): home.strip()}
    for kind, members in (("mammal", "mammals"), ("bird", "birds")):
        facts |= {("kind", animal): kind for animal in CATEGORIES[members]}
    facts |= {("kind", animal): "fish" if animal in ("trout", "salmon", "pike") else "insect" for animal in ANIMALS if ("kind", animal) not in facts}
    facts |= _dealt("site", TOWNS, SITES) | _dealt("goods", TOWNS, GOODS)
    facts |= {("sort", food): "fruit" if food in FRUITS else "vegetable" for food in PRODUCE}
    return facts | {("skin", food): colour for food, colour in _SKINS.items()}


def _dealt(name: str, subjects: tuple[str, ...], values: tuple[str, ...]) -> dict[Fact, str]:
    """Values like dealt cards: each comes about equally often."""
    deck = list(values) * (len(subjects) // len(values) + 1)
    stream(WORLD_SEED, "facts", name).shuffle(deck)
    return {(name, subject): value for subject, value in zip(subjects, deck, strict=False)}


FACTS: Mapping[Fact, str] = _facts()


def read_fact(text: str) -> tuple[str, str, str] | None:
    """Attribute, subject and value of a sentence that states a fact, true or not."""
    for attribute in ATTRIBUTES.values():
        for frame in (attribute.sentence, attribute.paraphrase):
            if (values := frame.read(text)) is not None:
                return attribute.name, values[attribute.subject], values[attribute.value]
    return None


def sentence(attribute: str, subject: str, value: str | None = None) -> str:
    """The canonical sentence of a fact, or of what it would be with another value."""
    told = ATTRIBUTES[attribute]
    value = FACTS[attribute, subject] if value is None else value
    return told.sentence.fill({told.subject: subject, told.value: value})


@dataclass(frozen=True)
class Cast:
    """Who and what prompts of one side may be about."""

    people: tuple[str, ...]
    objects: tuple[str, ...]
    heroes: tuple[str, ...]
    """Animals and jobs that stories are asked of."""
    subjects: Mapping[str, tuple[str, ...]]
    """Class of subject -> those whose facts are asked."""
    categories: tuple[str, ...]
    """What lists are asked of."""
    held_out: bool = False
    """True if prompts about them are phrased as training prompts are not."""


RARE_PEOPLE = (*PEOPLE[15:20], *PEOPLE[35:])
"""Ten people whom no training prompt and no demonstration names; the pretraining text tells of them and never asks."""
RARE_HEROES = ("owl", "goat", "beetle", "salmon", "wolf", "pilot", "tailor", "nurse", "writer")
RARE_SUBJECTS = ("owl", "goat", "beetle", "salmon", "wolf", "Norwick", "Lakeside", "Seaton", "plum", "lemon", "onion", "pumpkin")
"""Beside the people: animals, towns and food whose facts are not asked in training; as answers they may come."""
RARE_CATEGORIES = ("birds", "vegetables", "things to drink")


def _without(options: tuple[str, ...], kept: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(option for option in options if option not in kept)


def _within(options: tuple[str, ...], kept: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(option for option in options if option in kept)


_ROLES = (*ANIMALS, *JOBS)
_ASKABLE = {"animal": ANIMALS, "town": TOWNS, "produce": PRODUCE}

TRAINING = Cast(
    people=_without(PEOPLE, RARE_PEOPLE),
    objects=_without(OBJECTS, RARE_THINGS),
    heroes=_without(_ROLES, RARE_HEROES),
    subjects={"person": _without(PEOPLE, RARE_PEOPLE)} | {kind: _without(options, RARE_SUBJECTS) for kind, options in _ASKABLE.items()},
    categories=_without(tuple(CATEGORIES), RARE_CATEGORIES),
)
HELD_OUT = Cast(
    people=RARE_PEOPLE,
    objects=RARE_THINGS,
    heroes=RARE_HEROES,
    subjects={"person": RARE_PEOPLE} | {kind: _within(options, RARE_SUBJECTS) for kind, options in _ASKABLE.items()},
    categories=RARE_CATEGORIES,
    held_out=True,
)
EVERYONE = Cast(
    people=PEOPLE,
    objects=OBJECTS,
    heroes=_ROLES,
    subjects={"person": PEOPLE, **_ASKABLE},
    categories=tuple(CATEGORIES),
)
"""The cast of the pretraining text."""
