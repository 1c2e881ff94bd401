"""Chat: a kind reply to what somebody says, sad, glad, or in need of something."""

from collections.abc import Mapping
from random import Random

from instructloop.errors import DataError
from instructloop.lab.answers import Answer
from instructloop.lab.asking import Ask, Reading, Slots, Task, templates
from instructloop.lab.frames import Frame, frames, read_any
from instructloop.lab.words import CLOTHES, DISHES, DRINKS, NUMBERS, PETS, TOYS
from instructloop.lab.world import Cast

MESSAGES: Mapping[str, tuple[Frame, ...]] = {
    "loss": frames("I lost my {object}.", "My {object} is broken.", "Somebody took my {object}.", "I cannot find my {object}."),
    "illness": frames("My {animal:pet} is ill.", "My {animal:pet} ran away.", "I cannot find my {animal:pet}."),
    "joy": frames("I found my {object}.", "I have a new {object}.", "I got {a object} today.", "My mother made me {a object}."),
    "hungry": frames("I am hungry.", "I did not eat today."),
    "thirsty": frames("I am thirsty.", "I did not drink today."),
    "cold": frames("I am cold.", "It is so cold today."),
    "bored": frames("I have nothing to do.", "I want to play."),
}
"""Situation -> what people say in it."""
_CORES: Mapping[str, tuple[Frame, ...]] = {
    "loss": frames("I am sorry about your {object}.", "What a pity about your {object}!", "I am sorry about your {object}, {person}."),
    "illness": frames("I am sorry about your {animal:pet}.", "Your poor {animal:pet}!", "I am sorry about your {animal:pet}, {person}."),
    "joy": frames("I am glad about your {object}.", "Have fun with your {object}!", "Have fun with your {object}, {person}!"),
    "hungry": frames("You could eat some {dish}.", "How about some {dish}?", "You could eat some {dish}, {person}."),
    "thirsty": frames("You could drink some {drink}.", "How about some {drink}?", "You could drink some {drink}, {person}."),
    "cold": frames("You could put on {a clothing}.", "Please put on {a clothing}.", "You could put on {a clothing}, {person}."),
    "bored": frames("You could play with {a toy}.", "How about a game with {a toy}?", "You could play with {a toy}, {person}."),
}
"""Situation -> the sentences that meet it; the last of each calls the person by name."""
_MORE: Mapping[str, tuple[Frame, ...]] = {
    "sad": frames("I hope you feel better soon.", "Do not be sad, {person}.", "That must be hard for you.", "I will think of you."),
    "glad": frames("That is good news, {person}.", "How nice!", "I am happy for you.", "You must be very happy."),
    "need": frames("I hope you feel better soon.", "Then you will feel better, {person}.", "It will do you good."),
}
_HELP = frames("I can help you.", "I will help you.", "Can I help you, {person}?")
_FEELINGS = {"loss": "sad", "illness": "sad", "joy": "glad", "hungry": "need", "thirsty": "need", "cold": "need", "bored": "need"}
_DRAWN = {"hungry": ("dish", DISHES), "thirsty": ("drink", DRINKS), "cold": ("clothing", CLOTHES), "bored": ("toy", TOYS)}
"""What is suggested in need."""


def write(ask: Ask, chance: Random, _: Cast) -> str:
    """A sentence that meets the situation, then perhaps one more, or an offer."""
    situation, said = understood(ask)
    words = {**said, "person": ask.slots["person"]}
    if situation in _DRAWN:
        key, options = _DRAWN[situation]
        words[key] = chance.choice(options)
    total = NUMBERS[ask.value("sentences") or ("one" if "single" in ask.kinds else chance.choice(("one", "two", "two")))]
    cores = _CORES[situation]
    chosen = [cores[-1] if "named" in ask.kinds and chance.random() < 0.7 else chance.choice(cores)]
    if "offer" in ask.kinds:
        chosen.append(chance.choice(_HELP))
    more = chance.sample(_MORE[_FEELINGS[situation]], max(total - len(chosen), 0))
    return " ".join(frame.fill(words) for frame in (*chosen[:1], *more, *chosen[1:]))


def understood(ask: Ask) -> tuple[str, dict[str, str]]:
    """The situation of a message, and what it names."""
    for situation, options in MESSAGES.items():
        if (values := read_any(options, ask.slots["message"])) is not None:
            return situation, values
    raise DataError(f"the message {ask.slots['message']!r} cannot be read", expected="one of the small world", remedy="judge it with people")


def read(ask: Ask, answer: Answer) -> Reading:
    """Follows if it meets the situation; true if what it names is what the message names."""
    reading = Reading()
    situation, said = understood(ask)
    names = {**said, "person": ask.slots["person"]}
    fitting = (*_CORES[situation], *_MORE[_FEELINGS[situation]], *_HELP)
    for sentence in answer.sentences:
        values = read_any(fitting, sentence)
        if values is None:
            reading.strays[sentence] = ""
            continue
        met = read_any(_CORES[situation], sentence) is not None
        reading.follows = 1.0 if met else max(reading.follows, 0.4)
        wrong = [value for key, value in values.items() if names.get(key, value) != value]
        reading.true = float(reading.true in (None, 1.0) and not wrong)
        reading.reasons += [f"speaks of {wrong[0]}; the message does not"] if wrong else []
    reading.reasons += [] if reading.follows == 1 else [f"does not meet what {ask.slots['person']} says"]
    return reading


def draw(chance: Random, cast: Cast, _: Slots) -> dict[str, str]:
    """Who says what."""
    frame = chance.choice(MESSAGES[chance.choice(list(MESSAGES))])
    message = frame.fill({"object": chance.choice(cast.objects), "animal": chance.choice(PETS)})
    return {"person": chance.choice(cast.people), "message": message}


REPLY = Task(
    name="reply",
    use_case="chat",
    templates=templates(
        '{person} says: "{message:text}" Write a kind reply.{also}',
        '{person} says: "{message:text}" What do you say?{also}',
        'Your friend {person} says: "{message:text}" Answer your friend.{also}',
        'Reply to {person}, who says: "{message:text}"{also}',
        'Write a kind answer to {person}. {person} says: "{message:text}"{also}',
        'You are a good friend. {person} says: "{message:text}" Reply.{also}',
        '{person}: "{message:text}" You:{also}',
        held_out=(
            'Your friend {person} says: "{message:text}" What do you say?{also}',
            'You are a good friend. {person} says: "{message:text}" Write a kind reply.{also}',
            'Write a kind reply to {person}, who says: "{message:text}"{also}',
        ),
    ),
    combinations=((), (), ("single",), ("sentences",), ("named",), ("offer",)),
    held_out_combinations=((), (), ("single", "named"), ("sentences", "offer"), ("named", "offer")),
    draw=draw,
    write=write,
    read=read,
)
