"""Probes of a base model: texts of the world that go on in one right way, if names are copied or facts are known."""

from dataclasses import dataclass
from random import Random

from instructloop.lab.asking import Ask
from instructloop.lab.chance import stream
from instructloop.lab.passages import draw_scene, tell
from instructloop.lab.tasks import letter, reading
from instructloop.lab.words import WOMEN, with_article
from instructloop.lab.world import ATTRIBUTES, EVERYONE, FACTS


@dataclass(frozen=True)
class Probe:
    """The beginning of a text, and how it must go on."""

    before: str
    after: str


def copying_probes(seed: int, n: int) -> list[Probe]:
    """Beginnings after which a name that was given must come again: letters, variations, stories, questions about a text."""
    chance = stream(seed, "copying probes")
    return [_MAKERS[place % len(_MAKERS)](chance) for place in range(n)]


def fact_probes() -> list[Probe]:
    """Every fact of the world, up to its value."""
    return [_fact(attribute, subject, value) for (attribute, subject), value in FACTS.items()]


def _fact(name: str, subject: str, value: str) -> Probe:
    """The canonical sentence; of colours of food the other one, since the first could also go on with what kind of food it is."""
    attribute = ATTRIBUTES[name]
    frame = attribute.paraphrase if name == "skin" else attribute.sentence
    before, _, _ = frame.fill({attribute.subject: subject, attribute.value: value}).rpartition(f" {value}")
    return Probe(before, f" {value}")


def _greeting(chance: Random) -> Probe:
    sender, receiver = chance.sample(EVERYONE.people, 2)
    return Probe(f"A letter of thanks from {sender} to {receiver} about the {chance.choice(EVERYONE.objects)}\nDear", f" {receiver}")


def _signature(chance: Random) -> Probe:
    slots = {"purpose": "thanks", **letter.draw(chance, EVERYONE, {"purpose": "thanks"})}
    text = letter.write(Ask("letter", slots), chance, EVERYONE)
    heading = f"A letter of thanks from {slots['sender']} to {slots['receiver']} about the {slots['object']}"
    return Probe(f"{heading}\n{text.removesuffix(slots['sender'])}", slots["sender"])


def _variation(chance: Random) -> Probe:
    person, other = chance.sample(EVERYONE.people, 2)
    own = "her" if person in WOMEN else "his"
    return Probe(f"{person} found {own} {chance.choice(EVERYONE.objects)}.\nThe same about {other}:", f" {other}")


def _story(chance: Random) -> Probe:
    person = chance.choice(EVERYONE.people)
    child = "girl" if person in WOMEN else "boy"
    return Probe(f"{person} and {with_article(chance.choice(EVERYONE.objects))}\nOnce there was a {child} called", f" {person}")


def _question(chance: Random) -> Probe:
    scene = draw_scene(chance, EVERYONE)
    return Probe(f"{tell(scene, chance)}\nQ: {reading.ask_of(scene, 'person')}\nA:", f" {scene['person']}")


_MAKERS = (_greeting, _signature, _variation, _story, _question)
