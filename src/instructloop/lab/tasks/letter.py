"""Letters from one person to another: thanks, an invitation, an apology."""

from collections.abc import Mapping
from random import Random

from instructloop.lab.answers import Answer
from instructloop.lab.asking import Ask, Reading, Slots, Task, templates
from instructloop.lab.frames import Frame, frames, read_any
from instructloop.lab.words import DAYS, DISHES, NUMBERS, PLACES
from instructloop.lab.world import Cast

_GREETING = Frame("Dear {receiver:person},")
_CLOSINGS = ("Your friend,", "Best wishes,", "With love,")
_NAME = Frame("{sender:person}")
_CORES: Mapping[str, tuple[Frame, ...]] = {
    "thanks": frames("Thank you for the {object}.", "Thank you very much for the {object}.", "I want to thank you for the {object}."),
    "invitation": frames("Please come to the {place} with me.", "Let us meet in the {place} on {day}.", "I want to see you in the {place}."),
    "apology": frames("I am sorry that I lost your {object}.", "I am very sorry about your {object}.", "Sorry, I lost your {object}."),
}
"""Purpose -> the sentences that serve it."""
_MORE: Mapping[str, tuple[Frame, ...]] = {
    "thanks": frames("It is very nice.", "I use it every day.", "I like it very much.", "It is just what I wanted."),
    "invitation": frames("We can eat some {dish} there.", "It will be a good day.", "My mother will come too.", "We can play all day."),
    "apology": frames("I will buy you a new one.", "I hope you are not angry.", "I will look for it every day.", "It was a bad day for me."),
}
_ANYWHERE = frames("I hope to see you soon.", "I am in the {place2:place} now.", "Write to me soon.", "How are you?")
_PARTS = 3
"""Greeting, purpose and name: each is a third of following the instruction."""


def write(ask: Ask, chance: Random, _: Cast) -> str:
    """A greeting, one to three sentences that serve the purpose, a closing and a name."""
    purpose = ask.slots["purpose"]
    words = {**ask.slots, "day": chance.choice(DAYS), "dish": chance.choice(DISHES), "place2": ask.value("include") or chance.choice(PLACES)}
    total = NUMBERS[ask.value("sentences") or ("one" if "single" in ask.kinds else chance.choice(("one", "two", "two", "three")))]
    more = chance.sample((*_MORE[purpose], *_ANYWHERE[:3]), total - 1)
    if "include" in ask.kinds and more:
        more[-1] = _ANYWHERE[1]
    body = " ".join(frame.fill(words) for frame in (chance.choice(_CORES[purpose]), *dict.fromkeys(more)))
    return f"{_GREETING.fill(words)}\n{body}\n{chance.choice(_CLOSINGS)}\n{_NAME.fill(words)}"


def read(ask: Ask, answer: Answer) -> Reading:
    """Follows by thirds: the right greeting, the purpose, the right name at the end."""
    reading = Reading()
    greeted = served = signed = False
    for place, sentence in enumerate(answer.sentences):
        if values := _GREETING.read(sentence):
            greeted = _check(reading, sentence, values["receiver"] == ask.slots["receiver"], f"greets {values['receiver']}")
        elif values := _NAME.read(sentence):
            signed = _check(reading, sentence, place > 0 and values["sender"] == ask.slots["sender"], f"is signed by {values['sender']}")
        elif (values := read_any(_CORES[ask.slots["purpose"]], sentence)) is not None:
            wrong = [value for key, value in values.items() if key in ask.slots and ask.slots[key] != value]
            served = _check(reading, sentence, not wrong, f"is about the {''.join(wrong[:1])}") or served
        elif sentence not in _CLOSINGS and read_any((*_MORE[ask.slots["purpose"]], *_ANYWHERE), sentence) is None:
            reading.strays[sentence] = ""
    reading.follows = (greeted + served + signed) / _PARTS if served or (greeted and signed) else 0.0
    missing = {"has no right greeting": greeted, "does not say what it is written for": served, "is not signed by the sender": signed}
    reading.reasons += [text for text, there in missing.items() if not there]
    return reading


def _check(reading: Reading, sentence: str, right: bool, wrong: str) -> bool:
    """Pass on whether a part is right; a wrong one is a stray with its reason."""
    if not right:
        reading.strays[sentence] = wrong
    return right


def draw(chance: Random, cast: Cast, given: Slots) -> dict[str, str]:
    """Who writes to whom, and about what or where."""
    sender, receiver = chance.sample(cast.people, 2)
    about = {"place": chance.choice(PLACES)} if given["purpose"] == "invitation" else {"object": chance.choice(cast.objects)}
    return {"sender": sender, "receiver": receiver, **about}


LETTER = Task(
    name="letter",
    use_case="generation",
    templates=(
        *templates(
            "Write a letter in which {sender:person} thanks {receiver:person} for the {object}.{also}",
            "Write a letter from {sender:person} to {receiver:person}. {sender:person} says thank you for the {object}.{also}",
            "{sender:person} got {a object} from {receiver:person}. Write a letter to say thank you.{also}",
            "Please write a letter of thanks from {sender:person} to {receiver:person} for the {object}.{also}",
            held_out=("Please write a letter in which {sender:person} thanks {receiver:person} for the {object}.{also}",),
            purpose="thanks",
        ),
        *templates(
            "Write a letter in which {sender:person} asks {receiver:person} to come to the {place}.{also}",
            "Write a letter from {sender:person} to {receiver:person}. {sender:person} wants to meet in the {place}.{also}",
            "{sender:person} wants to meet {receiver:person} in the {place}. Write the letter.{also}",
            "Please write a letter of invitation from {sender:person} to {receiver:person} for a day in the {place}.{also}",
            held_out=("Please write a letter in which {sender:person} asks {receiver:person} to come to the {place}.{also}",),
            purpose="invitation",
        ),
        *templates(
            "Write a letter in which {sender:person} says sorry to {receiver:person} for the lost {object}.{also}",
            "Write a letter from {sender:person} to {receiver:person}. {sender:person} is sorry about the lost {object}.{also}",
            "{sender:person} lost the {object} of {receiver:person}. Write a letter to say sorry.{also}",
            held_out=("Please write a letter in which {sender:person} says sorry to {receiver:person} for the lost {object}.{also}",),
            purpose="apology",
        ),
    ),
    combinations=((), (), ("sentences",), ("single",), ("include",)),
    held_out_combinations=((), (), ("sentences", "include")),
    draw=draw,
    write=write,
    read=read,
    factual=False,
    longest=8,
)
