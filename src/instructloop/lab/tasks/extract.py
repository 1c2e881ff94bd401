"""Extraction: all the people, animals, food or things that a text names."""

from collections.abc import Mapping, Sequence
from random import Random

from instructloop.lab.answers import Answer, items, list_items
from instructloop.lab.asking import Ask, Reading, Slots, Task, templates
from instructloop.lab.words import ANIMALS, DISHES, OBJECTS, PEOPLE, PLACES, capitalised, joined, with_article
from instructloop.lab.world import Cast

SOUGHT: Mapping[str, tuple[str, ...]] = {"people": PEOPLE, "animals": ANIMALS, "food": DISHES, "things": OBJECTS}
"""What can be looked for -> the words that count."""


def outing(chance: Random, cast: Cast) -> str:
    """A text that names two or three of everything that can be looked for, or of all but one kind."""
    people = chance.sample(cast.people, chance.choice((2, 3)))
    told = [
        f"They saw {joined([with_article(animal) for animal in chance.sample(ANIMALS, chance.choice((2, 3)))])}.",
        f"They ate some {joined(chance.sample(DISHES, 2))}.",
        f"They had {joined([with_article(thing) for thing in chance.sample(cast.objects, 2)])} with them.",
    ]
    chance.shuffle(told)
    return " ".join([f"{joined(people)} were in the {chance.choice(PLACES)}.", *told])


def understood(ask: Ask) -> list[str]:
    """What is looked for, in the order of the text."""
    members = {member.lower(): member for member in SOUGHT[ask.slots["sought"]]}
    return [members[word] for word in Answer(ask.slots["passage"]).words if word in members]


def write(ask: Ask, _: Random, __: Cast) -> str:
    """The words looked for, in one line or each on its own."""
    return phrase(understood(ask), ask)


def phrase(found: list[str], ask: Ask) -> str:
    """Words, the right ones or not, in the form that the clauses ask for."""
    if "lines" in ask.kinds:
        text = "\n".join(capitalised(word) for word in found)
    elif "full" in ask.kinds:
        text = f"The {ask.slots['sought']} are {joined(found)}."
    else:
        text = f"{capitalised(joined(found))}."
    return text.lower() if "small" in ask.kinds else text


def read(ask: Ask, answer: Answer) -> Reading:
    """Follows as far as what the text names is found; true as far as what is given was looked for."""
    sought = [word.lower() for word in understood(ask)]
    named = items(answer)
    found = [word for word in sought if word in named]
    wrong = [item for item in named if item not in sought]
    reading = Reading(strays={sentence: "" for sentence in answer.sentences if not list_items(sentence)})
    if repeated := [item for place, item in enumerate(named) if item in named[:place]]:
        reading.strays[repeated[0]] = f"gives {repeated[0]} twice"
    if found:
        reading.follows, reading.true = len(found) / len(sought), 1 - len(wrong) / len(named)
        reading.reasons += [f"misses {word}" for word in sought if word not in named]
        reading.reasons += [f"gives {item}, which was not looked for" for item in wrong]
    return reading


def draw(chance: Random, cast: Cast, _: Slots) -> dict[str, str]:
    """A text."""
    return {"passage": outing(chance, cast)}


def _fits(kinds: Sequence[str], slots: Slots) -> bool:
    return "small" not in kinds or slots["sought"] != "people"


def _phrasings(sought: str) -> tuple[str, ...]:
    return (
        f"Which {sought} does the text name?{{also}}\n{{passage}}",
        f"Write down the {sought} in this text.{{also}}\nText: {{passage}}",
        f"Find all the {sought} in the text.{{also}}\n{{passage}}",
        f"Text: {{passage}}\nList the {sought} in the text.{{also}}",
        f"{{passage}}\nGive me the {sought} in this text.{{also}}",
    )


def _kept_phrasings(sought: str) -> tuple[str, ...]:
    return (
        f"Please find the {sought} in this text.{{also}}\n{{passage}}",
        f"Text: {{passage}}\nWhich {sought} does this text name?{{also}}",
    )


EXTRACT = Task(
    name="extract",
    use_case="extract",
    templates=tuple(template for sought in SOUGHT for template in templates(*_phrasings(sought), held_out=_kept_phrasings(sought), sought=sought)),
    combinations=((), (), ("lines",), ("full",), ("small",)),
    held_out_combinations=((), (), ("lines", "small"), ("full", "small")),
    draw=draw,
    write=write,
    read=read,
    longest=6,
    fits=_fits,
)
