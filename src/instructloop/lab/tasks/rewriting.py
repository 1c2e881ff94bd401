"""Rewriting: the same sentence about another person, about oneself, or said politely."""

from collections.abc import Mapping, Sequence
from random import Random

from instructloop.errors import DataError
from instructloop.lab.answers import Answer
from instructloop.lab.asking import Ask, Reading, Slots, Task, templates
from instructloop.lab.frames import Frame, frames, read_any
from instructloop.lab.words import DISHES, GAINS, GLAD, PAST, PLACES, SAD, possessive, pronoun
from instructloop.lab.world import Cast

EVENTS = frames(
    "{Person} {did} {a object} in the {place}.",
    "{Person} went to the {place} with {his} mother.",
    "{Person} {did} {his} {object}.",
    "{Person} {did} {a object} and was {mood}.",
    "{Person} lost {his} {object} and {pro} was {mood}.",
    "{Person} put {his} {object} in the {place}.",
)
"""What happens to somebody."""
_DATED = frames(
    *(f"{event.text[:-1]} on {{day}}." for event in EVENTS), *(f"On {{day}} {event.text.replace('{Person}', '{person}')}" for event in EVENTS)
)
_OWN = frames(*(event.text.replace("{Person}", "I").replace("{his}", "my").replace("{pro}", "I") for event in EVENTS))
_OWN_DATED = frames(*(f"{event.text[:-1]} on {{day}}." for event in _OWN), *(f"On {{day}} {event.text}" for event in _OWN))
ORDERS = frames("Give me the {object}.", "Put the {object} in the {place}.", "Look for the {object}.", "Bring me some {dish}.", "Clean the {place}.")
"""What somebody is told to do."""
_POLITE = tuple(
    frames(f"Please {frame.text[0].lower()}{frame.text[1:]}", f"Could you please {frame.text[0].lower()}{frame.text[1:-1]}?") for frame in ORDERS
)
_SOURCES: Mapping[str, tuple[Frame, ...]] = {"person": EVENTS, "self": EVENTS, "manners": ORDERS}
_SHAPES = ("person", "his", "pro")
"""What changes with the person; the rest is the content, which has to stay."""


def write(ask: Ask, chance: Random, _: Cast) -> str:
    """The sentence rewritten."""
    shape, values = understood(ask)
    if ask.slots["change"] == "manners":
        return chance.choice(_POLITE[shape]).fill(values)
    new = ask.slots.get("person", "")
    words = {**values, "person": new, "his": possessive(new), "pro": pronoun(new), "day": ask.value("day") or ""}
    plain, dated = (EVENTS, _DATED) if new else (_OWN, _OWN_DATED)
    return (chance.choice((dated[shape], dated[shape + len(EVENTS)])) if words["day"] else plain[shape]).fill(words)


def understood(ask: Ask) -> tuple[int, dict[str, str]]:
    """Which of the known sentences is to be rewritten, and its words."""
    for shape, frame in enumerate(_SOURCES[ask.slots["change"]]):
        if (values := frame.read(ask.slots["sentence"])) is not None:
            return shape, values
    raise DataError(f"the sentence {ask.slots['sentence']!r} cannot be read", expected="one of the small world", remedy="judge it with people")


def read(ask: Ask, answer: Answer) -> Reading:
    """Follows if a sentence is changed as asked, and half if only in part; true if the rest stayed."""
    reading = Reading()
    shape, source = understood(ask)
    for sentence in answer.sentences:
        values = _changed(ask, shape, sentence)
        if values is None:
            reading.strays[sentence] = ""
            continue
        if reading.true is not None:
            reading.strays[sentence] = "answers more than once"
        shifted = _shift(ask, values)
        reading.follows = max(reading.follows, shifted)
        reading.reasons += ["does not change every word for the person"] if shifted < 1 else []
        wrong = [key for key in source if key not in _SHAPES and values.get(key) != source[key]]
        reading.true = float(reading.true in (None, 1.0) and not wrong)
        reading.reasons += [f"makes {values.get(key)!r} of {source[key]!r}" for key in wrong]
    return reading


def _changed(ask: Ask, shape: int, sentence: str) -> dict[str, str] | None:
    if ask.slots["change"] == "manners":
        return read_any(_POLITE[shape], sentence)
    plain, dated = (EVENTS, _DATED) if "person" in ask.slots else (_OWN, _OWN_DATED)
    return read_any((plain[shape], dated[shape], dated[shape + len(EVENTS)]), sentence)


def _shift(ask: Ask, values: Mapping[str, str]) -> float:
    """1 if name, possessive and pronoun fit the person asked for; ½ if the name does; 0 if not even that."""
    person = ask.slots.get("person")
    if person is None:
        return 1.0
    fits = {"person": person, "his": possessive(person), "pro": pronoun(person)}
    if values["person"] != person:
        return 0.0
    return 1.0 if all(values[key] == fits[key] for key in fits if key in values) else 0.5


def draw(chance: Random, cast: Cast, given: Slots) -> dict[str, str]:
    """A sentence, and the person it is to be about."""
    person, new = chance.sample(cast.people, 2)
    words = {"person": person, "his": possessive(person), "pro": pronoun(person), "did": chance.choice(list(PAST.values()))}
    words |= {"object": chance.choice(cast.objects), "place": chance.choice(PLACES)}
    frame = chance.choice(_SOURCES[given["change"]])
    glad = "lost" not in frame.text and words["did"] in GAINS
    sentence = frame.fill(words | {"mood": chance.choice(GLAD if glad else SAD), "dish": chance.choice(DISHES)})
    return {"sentence": sentence} | ({"person": new} if given["change"] == "person" else {})


def _fits(kinds: Sequence[str], slots: Slots) -> bool:
    return "day" not in kinds or slots["change"] != "manners"


REWRITING = Task(
    name="rewriting",
    use_case="rewrite",
    templates=(
        *templates(
            "Rewrite this sentence so that it is about {person}.{also}\n{sentence}",
            "Write the sentence again, but about {person}.{also}\n{sentence}",
            "Change the person to {person}.{also}\nSentence: {sentence}",
            "Make this sentence about {person}: {sentence}{also}",
            "Please rewrite this for {person}.{also}\n{sentence}",
            held_out=(
                "Please rewrite the sentence so that it is about {person}.{also}\n{sentence}",
                "Write this sentence again, but for {person}.{also}\n{sentence}",
            ),
            change="person",
        ),
        *templates(
            'Rewrite this sentence so that it starts with "I".{also}\n{sentence}',
            "Rewrite the sentence as if it had happened to you.{also}\n{sentence}",
            "Write the sentence again, but about yourself.{also}\n{sentence}",
            "Make this sentence about yourself: {sentence}{also}",
            held_out=("Please rewrite the sentence so that it is about yourself.{also}\n{sentence}",),
            change="self",
        ),
        *templates(
            "Make this sentence polite: {sentence}",
            "Say this politely: {sentence}",
            "Rewrite this sentence so that it is polite.\n{sentence}",
            "Write the sentence again, but with good manners.\n{sentence}",
            held_out=("Please rewrite the sentence so that it is polite.\n{sentence}",),
            change="manners",
        ),
    ),
    combinations=((), (), ("day",)),
    held_out_combinations=((),),
    draw=draw,
    write=write,
    read=read,
    fits=_fits,
)
