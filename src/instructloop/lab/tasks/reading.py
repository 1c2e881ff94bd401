"""Closed questions: what a given text says, or that it does not say it."""

from collections.abc import Mapping, Sequence
from random import Random

from instructloop.errors import DataError
from instructloop.lab.answers import Answer, courteous
from instructloop.lab.asking import Ask, Reading, Slots, Task, templates
from instructloop.lab.frames import Frame, frames, read_any
from instructloop.lab.passages import UNTOLD, Scene, draw_scene, read_passage, tell
from instructloop.lab.words import PLAIN, WOMEN, capitalised
from instructloop.lab.world import Cast

QUESTIONS: Mapping[str, Frame] = {
    "object": Frame("What did {person} {plain}?"),
    "colour": Frame("What colour was the {object}?"),
    "place": Frame("Where did {person} {plain} the {object}?"),
    "day": Frame("On which day did {person} {plain} the {object}?"),
    "person": Frame("Who {did} the {object}?"),
    "weather": Frame("What was the weather like?"),
    "friend": Frame("Who was there with {person}?"),
    "mood": Frame("How did {person} feel?"),
    "dish": Frame("What did {person} eat?"),
    "animal": Frame("Which animal did {person} have with {him}?"),
}
"""What can be asked of a passage -> the question."""
_ANSWERS: Mapping[str, tuple[Frame, ...]] = {
    "object": frames("{Person} {did} {a object}.", "{Person} {did} a {colour} {object}.", "{A object}.", "A {colour} {object}.", "{Object}."),
    "colour": frames("The {object} was {colour}.", "It was {colour}.", "{Colour}."),
    "place": frames("{Person} {did} the {object} in the {place}.", "In the {place}.", "It was in the {place}.", "{Place}."),
    "day": frames("{Person} {did} the {object} on {day}.", "On {day}.", "It was on {day}.", "{Day}."),
    "person": frames("{Person} {did} the {object}.", "{Person}.", "It was {person}."),
    "weather": frames("The weather was {weather}.", "It was {weather}.", "{Weather}."),
    "friend": frames("{Friend:person} was there with {person}.", "{Friend:person}.", "{Friend:person} was there too."),
    "mood": frames("{Person} was {mood}.", "{Person} was very {mood}.", "{Pro} was {mood}.", "{Mood}."),
    "dish": frames("{Person} ate some {dish}.", "{Pro} ate some {dish}.", "{Dish}."),
    "animal": frames("{Person} had {a animal:pet} with {him}.", "{A animal:pet}.", "It was {a animal:pet}.", "{Animal:pet}."),
}
"""What was asked -> the ways to answer it, the full one first."""
UNSAID = ("The text does not say.", "The text does not say that.", "That is not in the text.")
_ABSENT = 0.15
"""Share of questions about what the text does not say."""


def draw(chance: Random, cast: Cast, _: Slots) -> dict[str, str]:
    """A passage and a question about it."""
    scene = draw_scene(chance, cast)
    absent = chance.random() < _ABSENT
    asked = chance.choice([key for key in QUESTIONS if (key not in scene) == absent])
    return {"passage": tell(scene, chance), "question": ask_of(scene, asked)}


def ask_of(scene: Scene, asked: str) -> str:
    """The question about one thing in a scene."""
    return QUESTIONS[asked].fill(_words(scene))


def _words(scene: Scene) -> dict[str, str]:
    return {**scene, "plain": PLAIN[scene["did"]], "him": "her" if scene["person"] in WOMEN else "him"}


def write(ask: Ask, chance: Random, _: Cast) -> str:
    """The full sentence as a rule, sometimes the value alone."""
    scene, asked = understood(ask)
    return phrase(scene, asked, scene.get(asked), ask, chance)


def phrase(scene: Scene, asked: str, value: str | None, ask: Ask, chance: Random) -> str:
    """An answer with a value, right or wrong, in the form that the clauses ask for; None is said not to be in the text."""
    if value is not None and "word" in ask.kinds:
        return f"{value}." if "small" in ask.kinds else f"{capitalised(value)}."
    sentence = chance.choice(UNSAID) if value is None else _ANSWERS[asked][0].fill({**_words(scene), asked: value})
    return courteous(sentence, chance) if "polite" in ask.kinds else sentence


def read(ask: Ask, answer: Answer) -> Reading:
    """Follows if it answers the question or says that the text does not; true if it is what the text says."""
    reading = Reading()
    scene, asked = understood(ask)
    for sentence in answer.sentences:
        values = {} if sentence in UNSAID else read_any(_ANSWERS[asked], capitalised(sentence))
        if values is None:
            reading.strays[sentence] = ""
            continue
        if reading.follows:
            reading.strays[sentence] = "answers more than once"
        reading.follows = 1.0
        wrong = _wrong(values, scene, asked)
        reading.true = float(reading.true in (None, 1.0) and not wrong)
        reading.reasons += [wrong] if wrong else []
    return reading


def understood(ask: Ask) -> tuple[Scene, str]:
    """The scene of the passage, and what the question is about."""
    scene = read_passage(ask.slots["passage"])
    asked = next((key for key, frame in QUESTIONS.items() if frame.read(ask.slots["question"]) is not None), None)
    if scene is None or asked is None:
        raise DataError(
            f"the question {ask.slots['question']!r} or its text cannot be read",
            expected="a passage and a question of the small world",
            remedy="judge it with people",
        )
    return scene, asked


def _wrong(values: Mapping[str, str], scene: Scene, asked: str) -> str:
    """What an answer gets wrong; empty if nothing."""
    if not values:
        return f"says that the text does not say it; it says {scene[asked]!r}" if asked in scene else ""
    if asked not in scene:
        return f"says {values[asked]!r}; the text does not say"
    said = {key: value for key, value in values.items() if key not in UNTOLD}
    return next((f"says {value!r}; the text says {scene.get(key, 'nothing of it')!r}" for key, value in said.items() if scene.get(key) != value), "")


def _fits(kinds: Sequence[str], slots: Slots) -> bool:
    scene, asked = understood(Ask("reading", slots))
    value = scene.get(asked)
    return not {"word", "full", "small"}.intersection(kinds) if value is None else "small" not in kinds or value == value.lower()


READING = Task(
    name="reading",
    use_case="closed_qa",
    templates=templates(
        "Read the text and answer the question.{also}\nText: {passage}\nQuestion: {question}",
        "Answer the question about the text.{also}\nText: {passage}\nQuestion: {question}",
        "{passage}\n{question}{also}",
        "Text: {passage}\nQuestion: {question}{also}",
        "Here is a text: {passage}\nPlease answer this question. {question}{also}",
        "Look at this text and tell me: {question}{also}\n{passage}",
        held_out=(
            "Please read the text and answer the question.{also}\nText: {passage}\nQuestion: {question}",
            "Here is a text: {passage}\nQuestion: {question}{also}",
        ),
    ),
    combinations=((), (), ("full",), ("word",), ("polite",)),
    held_out_combinations=((), (), ("full", "polite"), ("word", "small")),
    draw=draw,
    write=write,
    read=read,
    fits=_fits,
)
