"""Simulated demonstrators: they write answers, and err as people do.

Fewer than half of their answers are clean and right. What is wrong with the others are habits rather than inability: talk that nobody
asked for, a clause ignored, too little said, another question answered, a detail mistaken. A model that learns from them
learns the mixture, and reinforcement has something to choose from. Flaws that lengthen an answer are balanced by flaws that
shorten it, so that length alone does not tell good from bad.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from random import Random

from instructloop.lab import words
from instructloop.lab.answers import CHATTER, REFUSALS, RUDE_REMARKS, Answer
from instructloop.lab.asking import Ask, Clause
from instructloop.lab.chance import other, pick, stream
from instructloop.lab.clauses import holds
from instructloop.lab.frames import Frame
from instructloop.lab.grammar import parse
from instructloop.lab.judge import judge
from instructloop.lab.prompts import ORIGIN, draw_prompt
from instructloop.lab.tasks import TASKS
from instructloop.lab.tasks.question import QUESTIONS
from instructloop.lab.words import LEXICON, NUMBERS, capitalised, with_article
from instructloop.lab.world import ATTRIBUTES, FACTS, RARE_HEROES, RARE_SUBJECTS, TRAINING, Cast, sentence
from instructloop.records import Demonstration, Prompt, Provenance

DEMONSTRATORS = tuple(f"simulated-demonstrator-{number:02d}" for number in range(1, 9))

CLEAN = 0.45
"""Share of answers that are as good as the writer can make them."""
FLAWS: Mapping[str, float] = {
    "further_question": 0.09, "further_instruction": 0.08, "chatter": 0.07, "rude_remark": 0.045, "untrue_fact": 0.075,
    "ignored_clause": 0.14, "refusal": 0.09, "unfinished": 0.08, "part_missing": 0.11, "other_question": 0.10, "wrong_detail": 0.17,
}  # fmt: skip
"""How the other answers are flawed: shares of them, for a demonstrator without habits."""
TWICE = 0.15
"""Share of flawed answers with a second flaw."""
_LASTING = {flaw: FLAWS[flaw] for flaw in ("further_question", "chatter", "rude_remark", "untrue_fact", "wrong_detail")}
"""Flaws that can come on top of another."""
_SAME_TASK = 0.7
"""Share of answers to another question that are at least to another of the same task."""
_TRIES = 12
_LINE_SEAM, _SENTENCE_SEAM, _LIST_SEAM = re.compile(r"\n"), re.compile(r"(?<=[.!?]) "), re.compile(r", | and ")
_WORD = re.compile(r"[A-Za-z]+")
_CLASSES = (
    *(TRAINING.people, TRAINING.objects, words.ANIMALS, words.JOBS, words.PLACES, words.TOWNS, words.DAYS, words.DISHES, words.DRINKS),
    *(words.PRODUCE, words.COLOURS, words.WEATHER, words.VERDICTS, words.MANNERS, words.SORTS, words.GOODS, words.FODDER, words.KINDS),
    *(tuple(words.PAST.values()), words.GLAD, words.SAD),
)
_CONFUSED = tuple(tuple(word for word in members if word not in (*RARE_HEROES, *RARE_SUBJECTS)) for members in _CLASSES)
"""Classes within which words are mistaken for one another; nobody who is held out is brought in by mistake."""


def demonstrations(prompts: Iterable[Prompt], seed: int) -> list[Demonstration]:
    """One answer for each prompt, by a demonstrator drawn for it."""
    return [_demonstration(prompt, stream(seed, "demonstration", prompt.id)) for prompt in prompts]


def answer_as(demonstrator: str, prompt: str, chance: Random) -> str:
    """An answer of one demonstrator to a prompt's text: clean, or with a flaw or two of his or her habits."""
    ask = parse(prompt)
    clean, habits = _habits(demonstrator)
    text = ideal(ask, chance)
    if chance.random() < clean:
        return text
    text = _flawed(prompt, text, habits, chance)
    return _flawed(prompt, text, _LASTING, chance) if chance.random() < TWICE else text


def ideal(ask: Ask, chance: Random, cast: Cast = TRAINING) -> str:
    """An answer with nothing wrong."""
    for _ in range(300):
        text = TASKS[ask.task].write(ask, chance, cast)
        if all(holds(clause, ask, Answer(text)) for clause in ask.clauses):
            return text
    raise AssertionError(f"no answer satisfies {ask}")


def flawed(flaw: str, prompt: str, text: str, chance: Random) -> str | None:
    """The answer with a flaw that shows in the judge's verdict; None where there is no such flaw to be made."""
    ask, before = parse(prompt), judge(prompt, text).gold
    for _ in range(_TRIES):
        changed = _MAKERS[flaw](ask, text, chance)
        if changed is not None and judge(prompt, changed).gold < before:
            return changed
    return None


def _habits(demonstrator: str) -> tuple[float, dict[str, float]]:
    """How often a demonstrator takes care, and how he or she errs."""
    chance = stream(0, "habits", demonstrator)
    clean = CLEAN + chance.uniform(-0.1, 0.1)
    return clean, {flaw: share * chance.choice((0.5, 1.0, 1.0, 1.5)) for flaw, share in FLAWS.items()}


def _demonstration(prompt: Prompt, chance: Random) -> Demonstration:
    demonstrator = chance.choice(DEMONSTRATORS)
    text = answer_as(demonstrator, prompt.text, chance)
    return Demonstration(prompt=prompt, text=text, labeler_id=demonstrator, provenance=Provenance(who=demonstrator, origin=ORIGIN))


def _flawed(prompt: str, text: str, habits: Mapping[str, float], chance: Random) -> str:
    left = dict(habits)
    while left:
        flaw = pick(left, chance)
        changed = flawed(flaw, prompt, text, chance)
        if changed is not None:
            return changed
        del left[flaw]
    return text


def _appended(text: str, more: str, chance: Random) -> str:
    return f"{text}\n{more}" if "\n" in text or chance.random() < 0.2 else f"{text} {more}"


def _further_question(_: Ask, text: str, chance: Random) -> str:
    attribute = ATTRIBUTES[chance.choice(list(ATTRIBUTES))]
    subject = chance.choice(TRAINING.subjects[attribute.subject])
    question = chance.choice(QUESTIONS[attribute.name][:2])
    return _appended(text, Frame(question).fill({attribute.subject: subject}), chance)


def _further_instruction(_: Ask, text: str, chance: Random) -> str:
    drawn = [draw_prompt(chance, TRAINING, chance.choice(("story", "tale", "listing"))).text for _ in range(2)]
    return _appended(text, min(drawn, key=len), chance)


def _chatter(_: Ask, text: str, chance: Random) -> str:
    return _appended(text, chance.choice(CHATTER), chance)


def _rude_remark(_: Ask, text: str, chance: Random) -> str:
    remark = chance.choice(RUDE_REMARKS)
    return f"{remark} {text}" if chance.random() < 0.3 else _appended(text, remark, chance)


def _untrue_fact(_: Ask, text: str, chance: Random) -> str:
    attribute = ATTRIBUTES[chance.choice(list(ATTRIBUTES))]
    subject = chance.choice(TRAINING.subjects[attribute.subject])
    wrong = other(LEXICON[attribute.value], FACTS[attribute.name, subject], chance)
    return _appended(text, sentence(attribute.name, subject, wrong), chance)


def _ignored_clause(ask: Ask, _: str, chance: Random) -> str | None:
    if not ask.clauses:
        return None
    clause = chance.choice(ask.clauses)
    changed = _looser(ask, clause, chance)
    return None if changed is None or holds(clause, ask, Answer(changed)) else changed


def _looser(ask: Ask, clause: Clause, chance: Random) -> str | None:
    """An answer to the same without the clause."""
    if clause.kind == "brief":
        return None
    if clause.kind == "items":
        number = chance.choice([number for number, count in NUMBERS.items() if abs(count - NUMBERS[clause.value]) == 1 and count > 0])
        return TASKS[ask.task].write(Ask(ask.task, {**ask.slots, "number": number}, ask.clauses), chance, TRAINING)
    return TASKS[ask.task].write(ask.without(clause.kind), chance, TRAINING)


def _refusal(_: Ask, __: str, chance: Random) -> str:
    return chance.choice(REFUSALS)


def _unfinished(_: Ask, text: str, chance: Random) -> str | None:
    spaces = [place for place, sign in enumerate(text) if sign == " "]
    return text[: chance.choice(spaces[: max(len(spaces) * 2 // 3, 1)])].rstrip(",") if spaces else None


def _part_missing(_: Ask, text: str, chance: Random) -> str | None:
    """Without a line, a sentence, or the first thing of a list."""
    for seam in (_LINE_SEAM, _SENTENCE_SEAM):
        parts = seam.split(text)
        if len(parts) > 1:
            parts.pop(chance.randrange(len(parts)))
            return ("\n" if seam is _LINE_SEAM else " ").join(parts)
    return capitalised(_LIST_SEAM.split(text, maxsplit=1)[1]) if _LIST_SEAM.search(text) else None


def _other_question(ask: Ask, _: str, chance: Random) -> str:
    drawn = draw_prompt(chance, TRAINING, ask.task if chance.random() < _SAME_TASK else None)
    return ideal(drawn.ask, chance)


def _wrong_detail(_: Ask, text: str, chance: Random) -> str | None:
    """Another word of the same class in place of one."""
    found = [(word, members) for word in _WORD.findall(text) for members in _CONFUSED if word in members]
    if not found:
        return None
    word, members = chance.choice(found)
    wrong = other(members, word, chance)
    article = with_article(wrong).split()[0]
    text = re.sub(rf"\b(a|an) {word}\b", f"{article} {wrong}", text)
    text = re.sub(rf"\b(A|An) {word}\b", f"{article.capitalize()} {wrong}", text)
    return re.sub(rf"\b{word}\b", wrong, text)


_MAKERS: Mapping[str, Callable[[Ask, str, Random], str | None]] = {
    "further_question": _further_question,
    "further_instruction": _further_instruction,
    "chatter": _chatter,
    "rude_remark": _rude_remark,
    "untrue_fact": _untrue_fact,
    "ignored_clause": _ignored_clause,
    "refusal": _refusal,
    "unfinished": _unfinished,
    "part_missing": _part_missing,
    "other_question": _other_question,
    "wrong_detail": _wrong_detail,
}
