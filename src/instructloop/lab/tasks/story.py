"""Stories: of a hero who does something to a thing, and of a person and a thing."""

from itertools import product
from random import Random

from instructloop.lab.answers import Answer
from instructloop.lab.asking import Ask, Reading, Slots, Task, templates
from instructloop.lab.frames import Frame, frames, read_any
from instructloop.lab.words import ANIMALS, GAINS, GLAD, NUMBERS, OPENINGS, PAST, PLACES, PRONOUNS, SAD, WOMEN, pronoun, with_article
from instructloop.lab.world import Cast

_BEGINNINGS = frames(
    "Once there was {a hero:role}.",
    "Once there was {a hero:role} called {called:person}.",
    "Once there was {a child} called {person}.",
    "Once {person} lived near the {place}.",
)
_HEADS = ("{Who}", "{when:opening} {who}", "{when:opening} {who} called {called:person}")
_TAILS = ("{did} {a object}.", "{did} {a object} in the {place}.", "went to the {place} and {did} {a object}.")
_EVENTS = frames(*(f"{head} {tail}" for head, tail in product(_HEADS, _TAILS)))
_PLAIN, _TIMED, _CALLED = _EVENTS[:3], _EVENTS[3:6], _EVENTS[6:]
_GLAD_ENDINGS = frames(
    "{Who} was very {glad}.",
    "{Who} took the {object} home.",
    "{Who} showed the {object} to {friend}.",
    "{Who} liked the {object} very much.",
    "{Who} put the {object} in the {place}.",
    "In the evening {who} was {glad}.",
    "Then {who} went home with the {object}.",
    "{Who} looked at the {object} all day.",
)
_SAD_ENDINGS = frames(
    "{Who} was very {sad}.",
    "{Who} told {friend} about the {object}.",
    "In the evening {who} was {sad}.",
    "Then {who} went home without the {object}.",
    "{Who} thought about the {object} all day.",
    "{Who} asked {friend} for help.",
)
_SENTENCES = (*_BEGINNINGS, *_EVENTS, *_GLAD_ENDINGS, *_SAD_ENDINGS)

_NAMING, _EVENT = 0.4, 0.6
"""Shares of following the instruction: the hero is there, and what was to happen happens."""


def write(ask: Ask, chance: Random, cast: Cast) -> str:
    """Two or three sentences: perhaps a beginning, an event, and endings that fit it."""
    total = NUMBERS[ask.value("sentences") or chance.choice(("two", "three", "three"))]
    opening = ask.value("start") or chance.choice((*OPENINGS, "Once", "Once"))
    did = PAST[ask.slots["does"]] if "does" in ask.slots else chance.choice(GAINS)
    told = {**_names(ask), "object": ask.slots["object"], "did": did, "when": opening, "place": chance.choice(PLACES)}
    later = _later_names(ask, chance)
    begins = opening == "Once" and chance.random() < 0.8
    sentences = [_first_sentence(told, chance, begins=begins)]
    if begins:
        sentences.append(_filled(chance.choice((*_PLAIN, *_TIMED)), told | {"when": "One day"}, later[0], chance, cast))
    endings = _GLAD_ENDINGS if did in GAINS else _SAD_ENDINGS
    sentences += [_filled(frame, told, later[-1], chance, cast) for frame in chance.sample(endings, max(total - len(sentences), 0))]
    return " ".join([*sentences, *(["The end."] if "end" in ask.kinds else [])])


def _names(ask: Ask) -> dict[str, str]:
    person, called = ask.slots.get("person"), ask.value("called")
    if person:
        return {"who": person, "person": person, "child": "girl" if person in WOMEN else "boy"}
    return {"hero": ask.slots["hero"], "who": with_article(ask.slots["hero"])} | ({"called": called} if called else {})


def _later_names(ask: Ask, chance: Random) -> list[str]:
    """How the hero is called the second time, and from then on."""
    if name := ask.slots.get("person"):
        return [name, pronoun(name)]
    if name := ask.value("called"):
        return [name, chance.choice((name, pronoun(name)))]
    hero = ask.slots["hero"]
    return [f"the {hero}", chance.choice((f"the {hero}", "it" if hero in ANIMALS else chance.choice(("he", "she"))))]


def _first_sentence(told: dict[str, str], chance: Random, *, begins: bool) -> str:
    if begins:
        options = _BEGINNINGS[2:] if "person" in told else _BEGINNINGS[1:2] if "called" in told else _BEGINNINGS[:1]
        return chance.choice(options).fill(told)
    return chance.choice(_CALLED if "called" in told else _TIMED).fill(told)


def _filled(frame: Frame, told: dict[str, str], who: str, chance: Random, cast: Cast) -> str:
    friends = [person for person in cast.people if person not in (told.get("person"), told.get("called"))]
    drawn = {
        "who": who,
        "place": chance.choice(PLACES),
        "friend": chance.choice((chance.choice(friends), "a friend")),
        "glad": chance.choice(GLAD),
        "sad": chance.choice(SAD),
    }
    return frame.fill({**told, **drawn})


def read(ask: Ask, answer: Answer) -> Reading:
    """Follows as far as the hero is named and the event happens; sentences of another hero or thing are strays."""
    reading = Reading()
    told = [(sentence, read_any(_SENTENCES, sentence)) for sentence in answer.sentences if sentence != "The end."]
    given_names = {values["called"] for _, values in told if values and "called" in values}
    fitting: list[dict[str, str]] = []
    for sentence, values in told:
        wrong = _mismatch(ask, values, given_names) if values else ""
        if values and not wrong:
            fitting.append(values)
        else:
            reading.strays[sentence] = wrong
    first = next((place for place, values in enumerate(fitting) if not _full_names(ask).isdisjoint(values.values())), None)
    named = first is not None
    happened = named and any(_happens(ask, values) for values in fitting[first:])
    reading.follows = _NAMING * named + _EVENT * happened
    reading.reasons += [] if named else [f"does not tell of {_names(ask)['who']}"]
    reading.reasons += [] if happened else [f"does not say what happens to {with_article(ask.slots['object'])}"]
    return reading


def _full_names(ask: Ask) -> set[str]:
    """What the hero is called other than by a pronoun or a name that the story gives."""
    if person := ask.slots.get("person"):
        return {person}
    hero = ask.slots["hero"]
    return {hero, with_article(hero), f"the {hero}"}


def _mismatch(ask: Ask, values: dict[str, str], given_names: set[str]) -> str:
    """What a sentence tells that is not of this story; empty if nothing."""
    person = ask.slots.get("person")
    subjects = {*_full_names(ask), *((pronoun(person),) if person else (*PRONOUNS, *given_names))}
    said = [with_article(values[key]) if key == "hero" else values[key] for key in ("who", "hero", "person") if key in values]
    if others := [name for name in said if name not in subjects]:
        who = _names(ask)["who"]
        other = with_article(others[0][4:]) if others[0].startswith("the ") else others[0]
        return f'says "{other}" of {who}' if other in PRONOUNS else f"tells of {other} instead of {who}"
    if values.get("object", ask.slots["object"]) != ask.slots["object"]:
        return f"tells of {with_article(values['object'])} instead of {with_article(ask.slots['object'])}"
    return ""


def _happens(ask: Ask, values: dict[str, str]) -> bool:
    if "does" in ask.slots:
        return values.get("did") == PAST[ask.slots["does"]]
    return "object" in values


def draw_story(chance: Random, cast: Cast, _: Slots) -> dict[str, str]:
    """A hero, what the hero does, and to what."""
    return {"hero": chance.choice(cast.heroes), "does": chance.choice(list(PAST)), "object": chance.choice(cast.objects)}


def draw_tale(chance: Random, cast: Cast, _: Slots) -> dict[str, str]:
    """A person and a thing."""
    return {"person": chance.choice(cast.people), "object": chance.choice(cast.objects)}


STORY = Task(
    name="story",
    use_case="generation",
    templates=templates(
        "Write a story about {a hero:role} who {does} {a object}.{also}",
        "Write a short story about {a hero:role} who {does} {a object}.{also}",
        "Tell me a story about {a hero:role} who {does} {a object}.{also}",
        "Please write a story about {a hero:role} who {does} {a object}.{also}",
        "Write a story in which {a hero:role} {does} {a object}.{also}",
        "I would like to read a story in which {a hero:role} {does} {a object}.{also}",
        "Invent a story about {a hero:role} who {does} {a object}.{also}",
        "In a story, {a hero:role} {does} {a object}. Write that story.{also}",
        held_out=(
            "Tell me a story in which {a hero:role} {does} {a object}.{also}",
            "Please tell a short story about {a hero:role} who {does} {a object}.{also}",
            "I would like a story about {a hero:role} who {does} {a object}.{also}",
        ),
    ),
    combinations=((), ("sentences",), ("start",), ("avoid",), ("end",), ("called",), ("include",), ("sentences", "start"), ("called", "end")),
    held_out_combinations=((), ("sentences", "end"), ("sentences", "called"), ("start", "called"), ("include", "end")),
    draw=draw_story,
    write=write,
    read=read,
    factual=False,
    longest=6,
)
TALE = Task(
    name="tale",
    use_case="generation",
    templates=templates(
        "Write a story about {person} and {a object}.{also}",
        "Write a short story about {person} and {a object}.{also}",
        "Tell me a story about {person} and {a object}.{also}",
        "Please write something about {person} and {a object}.{also}",
        "Make up a story with {person} and {a object} in it.{also}",
        "I want to read about {person} and {a object}.{also}",
        held_out=("Please tell me a short story about {person} and {a object}.{also}", "Write a story with {person} and {a object} in it.{also}"),
    ),
    combinations=((), ("sentences",), ("start",), ("avoid",), ("end",), ("include",), ("start", "end"), ("sentences", "include")),
    held_out_combinations=((), ("sentences", "start"), ("sentences", "end"), ("include", "end")),
    draw=draw_tale,
    write=write,
    read=read,
    factual=False,
    longest=6,
)
