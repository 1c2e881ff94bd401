"""Classification: is a review good or bad, a message friendly or rude, a thing of one kind or another."""

from collections.abc import Mapping
from random import Random

from instructloop.errors import DataError
from instructloop.lab.answers import Answer, courteous
from instructloop.lab.asking import Ask, Reading, Slots, Task, templates
from instructloop.lab.frames import Frame, frames, read_any
from instructloop.lab.words import DISHES, MANNERS, PLACES, SORTS, VERDICTS, capitalised
from instructloop.lab.world import FACTS, Cast

REVIEWS: Mapping[str, tuple[Frame, ...]] = {
    "good": frames(
        "The {object} works very well.", "I like the {object} very much.", "I use the {object} every day and it is still like new.",
        "The {dish} was warm and fresh.", "The people in the {place} were very kind.", "I will come to the {place} again.",
        "Everybody in the {place} liked the {dish}.",
    ),
    "bad": frames(
        "The {object} broke on the first day.", "I do not like the {object} at all.", "The {object} was old and dirty.",
        "The {dish} was cold and old.", "The people in the {place} did not help me.", "I will never come to the {place} again.",
        "Nobody in the {place} liked the {dish}.",
    ),
}  # fmt: skip
MESSAGES: Mapping[str, tuple[Frame, ...]] = {
    "friendly": frames(
        "Thank you for the {object}, {person}.", "Please come and see me, {person}.", "You did that very well, {person}.",
        "I am glad that you are here, {person}.", "Your {object} is very nice, {person}.", "Can I help you with the {object}, {person}?",
    ),
    "rude": frames(
        "Go away with your {object}, {person}.", "Nobody likes you, {person}.", "You can do nothing right, {person}.",
        "Do not come here again, {person}.", "Your {object} is bad, {person}.", "Be quiet and take your {object}, {person}.",
    ),
}  # fmt: skip
_LABELS: Mapping[str, tuple[str, ...]] = {"review": VERDICTS, "message": MANNERS, "sort": SORTS}
_FULL: Mapping[str, Frame] = {
    "review": Frame("The review is {label}."),
    "message": Frame("The message is {label}."),
    "sort": Frame("{The produce} is {a label}."),
}
_SHORT = frames("It is {label}.", "It is {a label}.", "{A label}.", "{Label}.", "{Label}")


def write(ask: Ask, chance: Random, _: Cast) -> str:
    """The label in a sentence, or alone."""
    return phrase(understood(ask), ask, chance)


def phrase(label: str, ask: Ask, chance: Random) -> str:
    """A label, right or wrong, in the form that the clauses ask for."""
    matter = ask.slots["matter"]
    alone = "word" in ask.kinds or (not {"full", "polite"}.intersection(ask.kinds) and chance.random() < 0.3)
    text = f"{capitalised(label)}." if alone else _FULL[matter].fill({**ask.slots, "label": label})
    text = courteous(text, chance) if "polite" in ask.kinds else text
    return text.lower() if "small" in ask.kinds else text


def understood(ask: Ask) -> str:
    """The right label."""
    if ask.slots["matter"] == "sort":
        return FACTS["sort", ask.slots["produce"]]
    text = Answer(ask.slots["text"])
    known = REVIEWS if ask.slots["matter"] == "review" else MESSAGES
    for label, sentences in known.items():
        if all(read_any(sentences, sentence) is not None for sentence in text.sentences):
            return label
    raise DataError(f"the text {text.text[:60]!r} cannot be read", expected="a review or message of the small world", remedy="judge it with people")


def read(ask: Ask, answer: Answer) -> Reading:
    """Follows if it gives one of the labels offered, and one only; true if it is the right one."""
    reading = Reading()
    right = understood(ask)
    for sentence in answer.sentences:
        told = sentence if "small" not in ask.kinds else capitalised(sentence)
        values = read_any((_FULL[ask.slots["matter"]], *_SHORT), told)
        if values is None or values["label"] not in _LABELS[ask.slots["matter"]] or values.get("produce") not in (None, ask.slots.get("produce")):
            reading.strays[sentence] = ""
            continue
        if reading.follows:
            reading.strays[sentence] = "answers more than once"
        reading.follows = 1.0
        reading.true = float(reading.true in (None, 1.0) and values["label"] == right)
        reading.reasons += [] if values["label"] == right else [f"says {values['label']!r}; it is {right!r}"]
    return reading


def draw(chance: Random, cast: Cast, given: Slots) -> dict[str, str]:
    """A review of two sentences, a message of two, or a thing to eat."""
    if given["matter"] == "sort":
        return {"produce": chance.choice(cast.subjects["produce"])}
    known = REVIEWS if given["matter"] == "review" else MESSAGES
    chosen = chance.sample(known[chance.choice(list(known))], 2)
    words = {
        "object": chance.choice(cast.objects),
        "dish": chance.choice(DISHES),
        "place": chance.choice(PLACES),
        "person": chance.choice(cast.people),
    }
    return {"text": " ".join(frame.fill(words) for frame in chosen)}


SORTING = Task(
    name="sorting",
    use_case="classification",
    templates=(
        *templates(
            "Is this review good or bad?{also}\n{text}",
            "Read the review and say if it is good or bad.{also}\nReview: {text}",
            "Review: {text}\nIs the review good or bad?{also}",
            "Decide if the review is good or bad.{also}\n{text}",
            "{text}\nGood or bad?{also}",
            held_out=("Please read the review. Is it good or bad?{also}\nReview: {text}", "{text}\nIs this review good or bad?{also}"),
            matter="review",
        ),
        *templates(
            "Is this message friendly or rude?{also}\n{text}",
            "Read the message and say if it is friendly or rude.{also}\nMessage: {text}",
            "Message: {text}\nIs the message friendly or rude?{also}",
            "Decide if the message is friendly or rude.{also}\n{text}",
            "{text}\nFriendly or rude?{also}",
            held_out=("Please read the message. Is it friendly or rude?{also}\nMessage: {text}", "{text}\nIs this message friendly or rude?{also}"),
            matter="message",
        ),
        *templates(
            "Is the {produce} a fruit or a vegetable?{also}",
            "Fruit or vegetable: {produce}?{also}",
            "Decide if the {produce} is a fruit or a vegetable.{also}",
            "Tell me if the {produce} is a fruit or a vegetable.{also}",
            held_out=(
                "Please tell me if the {produce} is a fruit or a vegetable.{also}",
                "Please say if the {produce} is a fruit or a vegetable.{also}",
                "Say if the {produce} is a fruit or a vegetable.{also}",
            ),
            matter="sort",
        ),
    ),
    combinations=((), (), ("full",), ("word",), ("small",), ("polite",)),
    held_out_combinations=((), (), ("full", "polite"), ("small", "word"), ("small", "full")),
    draw=draw,
    write=write,
    read=read,
)
