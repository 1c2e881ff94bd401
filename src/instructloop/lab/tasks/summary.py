"""Summaries: what happened, in one sentence."""

from collections.abc import Mapping
from random import Random

from instructloop.errors import DataError
from instructloop.lab.answers import Answer
from instructloop.lab.asking import Ask, Reading, Slots, Task, templates
from instructloop.lab.frames import frames, read_any
from instructloop.lab.passages import DETAILS, UNTOLD, Scene, draw_scene, read_passage, tell
from instructloop.lab.world import Cast

_POINTS = frames(
    "{Person} {did} {a object}.",
    "{Person} {did} a {colour} {object}.",
    "{Person} {did} {a object} in the {place}.",
    "{Person} {did} a {colour} {object} in the {place}.",
    "{Person} {did} {a object} on {day}.",
    "{Person} {did} a {colour} {object} on {day}.",
    "{Person} {did} {a object} in the {place} on {day}.",
    "{Person} {did} a {colour} {object} in the {place} on {day}.",
    "On {day} {person} {did} {a object}.",
    "On {day} {person} {did} a {colour} {object}.",
    "On {day} {person} {did} {a object} in the {place}.",
    "On {day} {person} {did} a {colour} {object} in the {place}.",
)
"""Sentences that say what happened, with more or less of where and when."""
_BESIDE_THE_POINT = 0.3
"""How far a true detail that is not what happened follows the instruction."""


def write(ask: Ask, chance: Random, _: Cast) -> str:
    """What happened, without what is to be left out."""
    scene = understood(ask)
    leave, tell_of = ask.value("leave"), ask.value("tell")
    fitting = [frame for frame in _POINTS if leave not in frame.keys and (tell_of is None or tell_of in frame.keys)]
    return chance.choice(fitting).fill(scene)


def understood(ask: Ask) -> Scene:
    """The scene of the passage."""
    scene = read_passage(ask.slots["passage"])
    if scene is None:
        raise DataError(f"the text {ask.slots['passage'][:60]!r} cannot be read", expected="one of the small world", remedy="judge it with people")
    return scene


def read(ask: Ask, answer: Answer) -> Reading:
    """Follows if one sentence says what happened; true if the text says the same."""
    reading = Reading()
    scene = understood(ask)
    told: list[float] = []
    for sentence in answer.sentences:
        point = read_any(_POINTS, sentence)
        values = read_any(DETAILS.values(), sentence) if point is None else point
        if values is None:
            reading.strays[sentence] = ""
            continue
        told.append(1.0 if point is not None else _BESIDE_THE_POINT)
        wrong = _wrong(values, scene)
        reading.true = float(reading.true in (None, 1.0) and not wrong)
        reading.reasons += [wrong] if wrong else []
    if told:
        reading.follows = max(told) / len(told)
        reading.reasons += ["leaves out what happened"] if max(told) < 1 else []
        reading.reasons += ["tells more than what happened"] if len(told) > 1 else []
    return reading


def _wrong(values: Mapping[str, str], scene: Scene) -> str:
    said = {key: value for key, value in values.items() if key not in UNTOLD}
    return next((f"says {value!r}; the text says {scene.get(key, 'nothing of it')!r}" for key, value in said.items() if scene.get(key) != value), "")


def draw(chance: Random, cast: Cast, _: Slots) -> dict[str, str]:
    """A passage."""
    return {"passage": tell(draw_scene(chance, cast), chance)}


SUMMARY = Task(
    name="summary",
    use_case="summarization",
    templates=templates(
        "Summarize the text in one sentence.{also}\n{passage}",
        "Summarize this text in one sentence.{also}\nText: {passage}",
        "Say in one sentence what happened.{also}\n{passage}",
        "Write a summary of one sentence.{also}\nText: {passage}",
        "{passage}\nWhat happened? Answer in one sentence.{also}",
        "{passage}\nSummarize this in one sentence.{also}",
        "Please summarize what happened in one sentence.{also}\n{passage}",
        "Tell me in one sentence what this text is about.{also}\n{passage}",
        held_out=(
            "Please summarize the text in one sentence.{also}\nText: {passage}",
            "Tell me in one sentence what happened.{also}\n{passage}",
            "{passage}\nPlease write a summary of one sentence.{also}",
        ),
    ),
    combinations=((), (), ("leave",), ("tell",)),
    held_out_combinations=((), (), ("leave", "tell")),
    draw=draw,
    write=write,
    read=read,
    implied=("brief",),
)
