"""Lists: so many things of one kind."""

from collections.abc import Sequence
from random import Random

from instructloop.lab.answers import Answer, items, list_items
from instructloop.lab.asking import Ask, Reading, Slots, Task, templates
from instructloop.lab.words import CATEGORIES, NUMBERS, RARE_THINGS, capitalised, joined
from instructloop.lab.world import Cast

COUNTS = ("two", "three", "four", "five")


def write(ask: Ask, chance: Random, _: Cast) -> str:
    """The things in one line, or each on its own."""
    members = [member for member in CATEGORIES[ask.slots["category"]] if member not in RARE_THINGS]
    chosen = chance.sample([member for member in members if member != ask.value("spare")], NUMBERS[ask.slots["number"]])
    text = "\n".join(capitalised(thing) for thing in chosen) if "lines" in ask.kinds else f"{capitalised(joined(chosen))}."
    return text.lower() if "small" in ask.kinds else text


def read(ask: Ask, answer: Answer) -> Reading:
    """Follows if it is a list of things of the kind; true as far as each belongs there."""
    members = {member.lower() for member in CATEGORIES[ask.slots["category"]]}
    named = items(answer)
    wrong = [item for item in named if item not in members]
    reading = Reading(strays={sentence: "" for sentence in answer.sentences if not list_items(sentence)})
    if repeated := [item for place, item in enumerate(named) if item in named[:place]]:
        reading.strays[repeated[0]] = f"names {repeated[0]} twice"
    wanted = NUMBERS[ask.slots["number"]]
    if len(wrong) < len(named):
        reading.follows = wanted / len(named) if len(named) > wanted + 2 else min(1.0, len(set(named)) / wanted)
        reading.true = 1 - len(wrong) / len(named)
        reading.reasons += [f"the {item} is none of the {ask.slots['category']}" for item in wrong]
    return reading


def draw(chance: Random, cast: Cast, _: Slots) -> dict[str, str]:
    """A kind of things, and how many."""
    category = chance.choice(cast.categories)
    return {"category": category, "number": chance.choice([count for count in COUNTS if NUMBERS[count] <= len(CATEGORIES[category]) - 2])}


def _fits(kinds: Sequence[str], slots: Slots) -> bool:
    return "small" not in kinds or slots["category"] not in ("towns", "days of the week")


LISTING = Task(
    name="listing",
    use_case="brainstorming",
    templates=templates(
        "Name {number} {category}.{also}",
        "Write down {number} {category}.{also}",
        "List {number} {category}.{also}",
        "Give me {number} {category}.{also}",
        "Tell me {number} {category}.{also}",
        "Please name {number} {category}.{also}",
        "I need {number} {category}.{also}",
        "What are {number} {category}?{also}",
        "Think of {number} {category}.{also}",
        held_out=(
            "Please think of {number} {category}.{also}",
            "I would like {number} {category}.{also}",
            "Please write down {number} {category}.{also}",
            "I want to know {number} {category}.{also}",
        ),
    ),
    combinations=((), (), ("lines",), ("small",), ("spare",)),
    held_out_combinations=((), ("lines", "small"), ("spare", "lines"), ("spare", "small")),
    draw=draw,
    write=write,
    read=read,
    longest=8,
    implied=("items",),
    fits=_fits,
)
