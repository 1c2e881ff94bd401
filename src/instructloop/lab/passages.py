"""Passages: short texts about one event, written from a scene and read back into it."""

from collections.abc import Mapping
from functools import lru_cache
from random import Random

from instructloop.lab.answers import Answer
from instructloop.lab.frames import Frame, frames, read_any
from instructloop.lab.words import COATS, DAYS, DISHES, GAINS, GLAD, PAST, PETS, PLACES, SAD, WEATHER, WOMEN, pronoun
from instructloop.lab.world import Cast

Scene = Mapping[str, str]
"""What happened: person, did, object, colour, place, day; and what else the text may tell: weather, friend, mood, dish, animal."""

MAIN = frames(
    "{Person} {did} a {colour} {object} in the {place} on {day}.",
    "On {day} {person} {did} a {colour} {object} in the {place}.",
)
"""The sentence that says what happened."""
DETAILS: Mapping[str, Frame] = {
    "weather": Frame("The weather was {weather}."),
    "friend": Frame("{Friend:person} was there too."),
    "mood": Frame("{Who} was very {mood}."),
    "dish": Frame("Later {who} ate some {dish}."),
    "animal": Frame("{Who} had {a animal:pet} with {him}."),
}
"""Sentences that add to it."""
UNTOLD = ("who", "pro", "him")
"""Slots that add nothing to a scene."""
_READABLE = (*MAIN, *DETAILS.values())


def draw_scene(chance: Random, cast: Cast, *, details: int = 3) -> dict[str, str]:
    """An event, and that many details of it."""
    person, friend = chance.sample(cast.people, 2)
    did = chance.choice(list(PAST.values()))
    drawn = {"weather": WEATHER, "friend": (friend,), "mood": GLAD if did in GAINS else SAD, "dish": DISHES, "animal": PETS}
    kept = chance.sample(list(drawn), details)
    scene = {"person": person, "did": did, "object": chance.choice(cast.objects)}
    scene |= {"colour": chance.choice(COATS), "place": chance.choice(PLACES), "day": chance.choice(DAYS)}
    return scene | {detail: chance.choice(drawn[detail]) for detail in kept}


def tell(scene: Scene, chance: Random) -> str:
    """The passage: the event comes first or after the weather, the other details in any order."""
    person = scene["person"]
    who = person if "friend" in scene else pronoun(person)
    words = {**scene, "who": who, "him": "her" if person in WOMEN else "him"}
    details = [detail for detail in DETAILS if detail in scene]
    chance.shuffle(details)
    if "weather" in details and chance.random() < 0.6:
        details.sort(key=lambda detail: detail != "weather")
    main = chance.choice(MAIN).fill(words)
    told = [DETAILS[detail].fill(words) for detail in details]
    place = 1 if details and details[0] == "weather" else 0
    return " ".join([*told[:place], main, *told[place:]])


@lru_cache(maxsize=4096)
def read_passage(text: str) -> dict[str, str] | None:
    """The scene of a passage; None if a sentence of it cannot be read."""
    scene: dict[str, str] = {}
    for sentence in Answer(text).sentences:
        values = read_any(_READABLE, sentence)
        if values is None:
            return None
        scene |= {key: value for key, value in values.items() if key not in UNTOLD}
    return scene
