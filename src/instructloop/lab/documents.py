"""The pretraining text: an endless stream of documents in which every skill is practised and no instruction is obeyed.

Stories, facts, lists, letters, dialogues, reviews, texts with their summaries; and sheets of instructions that are followed by
more instructions or by chatter. Rare worked pages, with answers that are often flawed, are all there is of tasks done. So a
model of this text can do the tasks, and by default does not. People, animals and things are all of the world; instructions are those
of the training side only.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from random import Random

from instructloop.lab.answers import CHATTER, RUDE_REMARKS, courteous
from instructloop.lab.asking import Ask, Clause
from instructloop.lab.chance import pick, stream
from instructloop.lab.demonstrators import FLAWS, flawed, ideal
from instructloop.lab.few_shot import worked
from instructloop.lab.frames import Frame
from instructloop.lab.grammar import implied
from instructloop.lab.passages import draw_scene, tell
from instructloop.lab.prompts import ORIGIN, draw_prompt
from instructloop.lab.tasks import TASKS, extract, listing, question, reading, sorting, summary
from instructloop.lab.words import CATEGORIES, PAST, PEOPLE, capitalised, joined, with_article
from instructloop.lab.world import ATTRIBUTES, EVERYONE, FACTS, TRAINING, Attribute
from instructloop.records import Document, Provenance

WORKED_SHARE = 0.03
"""Share of documents in which tasks are done; more of them, and a few examples do as well as training."""
WORKED_FLAWED = 0.7
"""Share of their answers with a flaw: on average they are as good as the demonstrators', some of whose answers have two. Were they better,
a few examples would do as well as training."""
TITLED = 0.7
"""Share of stories and letters under a title."""


def documents(seed: int, start: int = 0) -> Iterator[Document]:
    """Documents number `start`, `start` + 1 and so on, without end; each is a function of seed and number."""
    for number in count(start):
        kind, text = document(stream(seed, "document", number))
        yield Document(id=f"lab-{seed}-{number}", text=text, source=f"lab/{kind}", provenance=Provenance(origin=ORIGIN))


def document(chance: Random) -> tuple[str, str]:
    """A kind of document and a text of that kind."""
    kind = pick({name: share for name, (share, _) in KINDS.items()}, chance)
    return kind, KINDS[kind][1](chance)


def _story(chance: Random) -> str:
    """A story, mostly under a title that says of whom and what, and sometimes how long it is."""
    ask = _drawn(chance.choice(("story", "story", "tale")), chance)
    number = chance.choice(("two", "three"))
    clauses = [Clause("sentences", number), *([Clause("end")] if chance.random() < 0.3 else [])]
    if "hero" in ask.slots and chance.random() < 0.25:
        clauses.append(Clause("called", chance.choice(PEOPLE)))
    text = ideal(Ask(ask.task, ask.slots, tuple(clauses)), chance, EVERYONE)
    hero = ask.slots.get("person") or with_article(ask.slots["hero"])
    named = f"{capitalised(hero)} and {with_article(ask.slots['object'])}"
    told = f"How {hero} {PAST[ask.slots['does']]} {with_article(ask.slots['object'])}" if "does" in ask.slots else named
    titles = (told, told, named, f"{told} in {number} sentences", f"{named}: {number} sentences")
    return f"{chance.choice(titles)}\n{text}" if chance.random() < TITLED else text


def _facts(chance: Random) -> str:
    """All that is known of somebody or something, or a mixture of facts, or who shares something."""
    if chance.random() < 0.15:
        return _shared(chance)
    kind = chance.choices(list(EVERYONE.subjects), (0.55, 0.25, 0.08, 0.12))[0]
    if chance.random() < 0.75:
        subject = chance.choice(EVERYONE.subjects[kind])
        known = [(attribute, subject) for attribute in ATTRIBUTES.values() if attribute.subject == kind]
    else:
        known = [(attribute, chance.choice(EVERYONE.subjects[attribute.subject])) for attribute in chance.sample(list(ATTRIBUTES.values()), 4)]
    chance.shuffle(known)
    return " ".join(_told(attribute, subject, chance) for attribute, subject in known)


def _told(attribute: Attribute, subject: str, chance: Random) -> str:
    frame = attribute.sentence if chance.random() < 0.75 else attribute.paraphrase
    return frame.fill({attribute.subject: subject, attribute.value: FACTS[attribute.name, subject]})


def _shared(chance: Random) -> str:
    """A line like "In Oakford: Max, Ida and Leo."."""
    attribute = ATTRIBUTES[chance.choice(("town", "job", "pet", "colour", "home", "fodder", "kind", "skin"))]
    value = FACTS[attribute.name, chance.choice(EVERYONE.subjects[attribute.subject])]
    having = [subject for subject in EVERYONE.subjects[attribute.subject] if FACTS[attribute.name, subject] == value]
    chance.shuffle(having)
    return f"{attribute.short.fill({attribute.value: value}).rstrip('.')}: {joined(having[:4])}."


def _list(chance: Random) -> str:
    """Things of one kind, so many as are announced."""
    lists: list[str] = []
    for _ in range(chance.choice((1, 2, 3))):
        category = chance.choice(list(CATEGORIES))
        number = chance.choice(listing.COUNTS[: 2 if len(CATEGORIES[category]) < 5 else 4])
        form = chance.choice(("", "", "lines", "small"))
        clauses = (Clause("items", number), *([Clause(form)] if form else []))
        text = listing.write(Ask("listing", {"category": category, "number": number}, clauses), chance, EVERYONE)
        lists.append(f"{capitalised(number)} {category}:{chr(10) if form == 'lines' else ' '}{text}")
    return "\n".join(lists)


def _letter(chance: Random) -> str:
    ask = _drawn("letter", chance)
    about = f"about the {ask.slots.get('object') or ask.slots['place']}"
    heading = f"A letter of {ask.slots['purpose']} from {ask.slots['sender']} to {ask.slots['receiver']} {about}\n"
    return (heading if chance.random() < TITLED else "") + ideal(ask, chance, EVERYONE)


def _dialogue(chance: Random) -> str:
    """Two people talk, in turns; every fourth time one of them is rude."""
    one, two = chance.sample(PEOPLE, 2)
    lines: list[str] = []
    for _ in range(chance.choice((1, 2))):
        ask = _drawn("reply", chance)
        said = Ask("reply", {**ask.slots, "person": one}, (Clause("named"),) if chance.random() < 0.4 else ())
        lines += [f"{one}: {ask.slots['message']}", f"{two}: {ideal(said, chance, EVERYONE)}"]
        if chance.random() < 0.25:
            lines[-1] = f"{two}: {chance.choice(RUDE_REMARKS)}"
        if chance.random() < 0.3:
            asked, answered = _question(chance)
            lines += [f"{two}: {asked}", f"{one}: {courteous(answered, chance)}"]
    return "\n".join(lines)


def _question(chance: Random) -> tuple[str, str]:
    """A question of the training side and its answer."""
    attribute = ATTRIBUTES[chance.choice(list(ATTRIBUTES))]
    subject = chance.choice(TRAINING.subjects[attribute.subject])
    asked = Frame(chance.choice(question.QUESTIONS[attribute.name][:2])).fill({attribute.subject: subject})
    return asked, _told(attribute, subject, chance)


def _questions(chance: Random) -> str:
    """A page of questions and answers."""
    pairs = [_question(chance) for _ in range(chance.choice((2, 3, 4)))]
    return "\n".join(f"Q: {asked}\nA: {answered}" for asked, answered in pairs)


def _comprehension(chance: Random) -> str:
    """A text, and questions about it with their answers."""
    scene = draw_scene(chance, EVERYONE)
    passage = tell(scene, chance)
    lines = [passage]
    for key in chance.sample(list(reading.QUESTIONS), 3):
        asked = reading.ask_of(scene, key)
        form = (Clause("word"),) if key in scene and chance.random() < 0.3 else ()
        ask = Ask("reading", {"passage": passage, "question": asked}, form)
        lines += [f"Q: {asked}", f"A: {reading.write(ask, chance, EVERYONE)}"]
    return "\n".join(lines)


def _summaries(chance: Random) -> str:
    """A text and what happened in it."""
    ask = _drawn("summary", chance)
    return f"{ask.slots['passage']}\n{chance.choice(('Summary', 'In one sentence', 'In short'))}: {summary.write(ask, chance, EVERYONE)}"


def _reviews(chance: Random) -> str:
    """Reviews or messages, each with what it is."""
    entries: list[str] = []
    for _ in range(chance.choice((1, 2))):
        ask = _drawn("sorting", chance)
        if ask.slots["matter"] == "sort":
            entries.append(ideal(Ask("sorting", ask.slots, (Clause("full"),)), chance, EVERYONE))
        else:
            entries.append(f"{capitalised(ask.slots['matter'])}: {ask.slots['text']}\nVerdict: {sorting.write(ask, chance, EVERYONE)}")
    return "\n".join(entries)


def _variations(chance: Random) -> str:
    """A sentence, and the same about somebody else, about oneself, or said politely."""
    ask = _drawn("rewriting", chance)
    if ask.slots["change"] == "manners":
        return f"{ask.slots['sentence']}\nMore politely: {ideal(ask, chance, EVERYONE)}"
    lines = [ask.slots["sentence"]]
    for person in chance.sample(PEOPLE, 2):
        other_ask = Ask("rewriting", {"change": "person", "sentence": ask.slots["sentence"], "person": person})
        lines.append(f"The same about {person}: {ideal(other_ask, chance, EVERYONE)}")
    own = Ask("rewriting", {"change": "self", "sentence": ask.slots["sentence"]})
    lines.insert(chance.choice((1, 2, 3)), f"The same about me: {ideal(own, chance, EVERYONE)}")
    return "\n".join(lines)


def _inventory(chance: Random) -> str:
    """A text, and lists of what it names."""
    passage = extract.outing(chance, EVERYONE)
    lines = [passage]
    for sought in chance.sample(list(extract.SOUGHT), 2):
        form = chance.choice(("", "", "lines", "small" if sought != "people" else ""))
        ask = Ask("extract", {"passage": passage, "sought": sought}, (Clause(form),) if form else ())
        lines.append(f"{capitalised(sought)}:{chr(10) if form == 'lines' else ' '}{extract.write(ask, chance, EVERYONE)}")
    return "\n".join(lines)


def _sheet(chance: Random) -> str:
    """Instructions, one after another, and nobody who follows them."""
    seam = "\n\n" if chance.random() < 0.8 else "\n"
    return seam.join(draw_prompt(chance, TRAINING).text for _ in range(chance.choice((2, 3, 3, 4))))


def _idle_sheet(chance: Random) -> str:
    """An instruction, and talk that leads nowhere."""
    talk = chance.sample((*CHATTER, *RUDE_REMARKS), chance.choice((1, 2, 3)))
    more = [draw_prompt(chance, TRAINING).text] if chance.random() < 0.4 else []
    return "\n\n".join([draw_prompt(chance, TRAINING).text, " ".join(talk), *more])


def _worked_page(chance: Random) -> str:
    """Tasks and answers, some of them flawed."""
    return "\n\n".join(worked(*_example(chance)) for _ in range(chance.choice((2, 3, 3))))


def _example(chance: Random) -> tuple[str, str]:
    drawn = draw_prompt(chance, TRAINING)
    text = ideal(drawn.ask, chance)
    if chance.random() < WORKED_FLAWED:
        text = flawed(pick(FLAWS, chance), drawn.text, text, chance) or text
    return drawn.text, text


def _drawn(task: str, chance: Random) -> Ask:
    """An ask about anybody and anything, in no phrasing."""
    given = chance.choice(TASKS[task].templates).given
    slots = {**given, **TASKS[task].draw(chance, EVERYONE, given)}
    return Ask(task, slots, implied(TASKS[task], slots))


KINDS: Mapping[str, tuple[float, Callable[[Random], str]]] = {
    "story": (0.19, _story),
    "facts": (0.16, _facts),
    "list": (0.06, _list),
    "letter": (0.07, _letter),
    "dialogue": (0.08, _dialogue),
    "questions": (0.05, _questions),
    "comprehension": (0.05, _comprehension),
    "summary": (0.05, _summaries),
    "review": (0.04, _reviews),
    "variations": (0.05, _variations),
    "inventory": (0.04, _inventory),
    "instructions": (0.08, _sheet),
    "idle instructions": (0.05, _idle_sheet),
    "worked page": (WORKED_SHARE, _worked_page),
}
"""Kind of document -> its share, and who writes it."""
