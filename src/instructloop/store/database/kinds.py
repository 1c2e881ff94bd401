"""The kinds of tasks, what is asked in each, and what an answer must look like. Checked here, on the server, whatever the page has checked.

`QUESTIONS` is the one place where questions stand: pages draw their controls from it, submissions are checked by it, exports carry it.

    write_prompt      {"prompt": text, "use_case": name or None}; few-shot: {"instruction": text, "shots": [{"query", "response"}, …], "use_case"}
    demonstration     {"text": text}
    ranking           {"ratings": {answer: rating, …}, "groups": [[answer, …], …], "better": text or None}
    evaluation        {"ratings": {answer: rating, …}, "preferred": answer or None for a tie}
    prompt_metadata   {"use_case": name, "marks": [name, …]}

A rating is {"likert": 1..7, "flags": [name, …], "note": text}. Groups go from best to worst, equal within a group.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast, get_args

from instructloop.errors import DataError
from instructloop.records import FLAGS, USE_CASES, PromptKind
from instructloop.store.database.texts import MOST_NOTE, checked

Kind = Literal["write_prompt", "demonstration", "ranking", "evaluation", "prompt_metadata"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PROMPT_KINDS: tuple[PromptKind, ...] = get_args(PromptKind)

MARKS = (
    "ambiguous", "sensitive", "identity_dependent", "closed_domain", "continuation", "requests_opinion", "requests_advice",
    "requests_moral_judgment", "explicit_safety_constraints", "other_explicit_constraints", "intent_unclear",
)  # fmt: skip
"""What can be said of a prompt, after the paper's Table 7."""

LEAST_SHOTS, MOST_SHOTS = 2, 20
"""Examples of a few-shot prompt: one is left out in turn, so there must be two."""

QUERY, RESPONSE = "Query:", "Response:"
"""What stands before the halves of an example when a few-shot prompt is written as one text; no line of the parts may begin so."""

Body = dict[str, Any]

Form = Literal["text", "part", "note", "choice", "choices", "scale", "shots", "ranking", "preference"]
"""How a question is answered: words, words that become part of a few-shot prompt, a remark, one name, names, a number, examples, an order
with ties, one answer or none."""

SCALE = (1, 7)
"""Worst and best of the quality of an answer."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One thing that is asked in a task."""

    name: str
    """The key under which the answer stands in the body, or in each rating."""
    form: Form
    each: bool = False
    """Asked of every answer that is judged, and not once."""
    needed: bool = True
    choices: tuple[str, ...] = ()
    """What may be chosen, for the forms that choose."""


USE_CASE = Question(name="use_case", form="choice", choices=USE_CASES)
USE_CASE_OR_NONE = Question(name="use_case", form="choice", needed=False, choices=USE_CASES)
RATING = (
    Question(name="likert", form="scale", each=True),
    Question(name="flags", form="choices", each=True, needed=False, choices=FLAGS),
    Question(name="note", form="note", each=True, needed=False),
)
QUESTIONS: Mapping[Kind, tuple[Question, ...]] = {
    "write_prompt": (Question(name="prompt", form="text"), USE_CASE_OR_NONE),
    "demonstration": (Question(name="text", form="text"),),
    "ranking": (*RATING, Question(name="groups", form="ranking"), Question(name="better", form="text", needed=False)),
    "evaluation": (*RATING, Question(name="preferred", form="preference")),
    "prompt_metadata": (USE_CASE, Question(name="marks", form="choices", needed=False, choices=MARKS)),
}
FEW_SHOT = (Question(name="instruction", form="part"), Question(name="shots", form="shots"), USE_CASE_OR_NONE)
"""What is asked in place of the prompt where a few-shot prompt is to be written."""

SKIP_REASONS = ("unclear", "unacceptable", "personal", "language", "knowledge", "broken", "other")
"""Why people refuse a task; words of their own may follow."""


def questions_of(kind: Kind, prompt_kind: PromptKind = "plain") -> tuple[Question, ...]:
    """What is asked in a task; `prompt_kind` is what kind of prompt is to be written."""
    return FEW_SHOT if kind == "write_prompt" and prompt_kind == "few_shot" else QUESTIONS[kind]


def all_questions() -> dict[str, list[dict[str, Any]]]:
    """Every question by the kind of its task, as plain values: what an export says of its labels."""
    asked = {**QUESTIONS, "write_prompt (few_shot)": FEW_SHOT}
    return {kind: [asdict(question) | {"choices": list(question.choices)} for question in questions] for kind, questions in asked.items()}


def skip_reason(name: str, words: str = "") -> str:
    """The reason as it is stored: one of `SKIP_REASONS`, and after a colon what else the person said."""
    if name not in SKIP_REASONS:
        raise _wrong(f"the reason is {name!r:.80}", f"one of {', '.join(SKIP_REASONS)}")
    return f"{name}: {words.strip()}" if words.strip() else name


def check_body(kind: Kind, body: Any, *, answers: Sequence[str] = (), prompt_kind: PromptKind = "plain") -> Body:
    """The answer to a task in its canonical form; raises `DataError` for one that is incomplete or says what cannot be said.

    `answers` are the ids that are to be judged; `prompt_kind` is what kind of prompt is to be written.
    """
    asked = questions_of(kind, prompt_kind)
    once = [question for question in asked if not question.each]
    judges = len(once) < len(asked)
    given = _object(body, [*(["ratings"] if judges else []), *(question.name for question in once)])
    ratings = {"ratings": _ratings(given, answers)} if judges else {}
    return ratings | {question.name: CHECKS[question.form](question, given, answers) for question in once}


def check_rating(rating: Any, answer: str) -> Body:
    """One answer's rating in its canonical form: flags in the paper's order, a note even if it is empty."""
    given = _object(rating, [question.name for question in RATING])
    try:
        return {question.name: CHECKS[question.form](question, given, ()) for question in RATING}
    except DataError as error:
        raise _wrong(f"{error.came}, of answer {answer!r}", error.expected) from error


def _words(question: Question, given: Body, _: Sequence[str]) -> str | None:
    if not question.needed and not given.get(question.name):
        return None
    return checked(_text(given, question.name), f"the {question.name}" if question.name != "text" else "the answer")


def _part(given: Body, name: str) -> str:
    part = checked(_text(given, name), f"the {name}").strip()
    if any(line.startswith((QUERY, RESPONSE)) for line in part.splitlines()):
        raise _wrong(f"a line of the {name} begins with {QUERY} or {RESPONSE}", "parts that can be told apart in one text")
    return part


def _note(question: Question, given: Body, _: Sequence[str]) -> str:
    return checked(_text(given, question.name) if given.get(question.name) else "", "the note", most=MOST_NOTE, filled=False)


def _choice(question: Question, given: Body, _: Sequence[str]) -> str | None:
    chosen = given.get(question.name)
    if chosen not in question.choices and (question.needed or chosen is not None):
        raise _wrong(f"the {question.name} is {chosen!r:.200}", f"one of {', '.join(question.choices)}")
    return chosen


def _choices(question: Question, given: Body, _: Sequence[str]) -> list[str]:
    names = _list(given.get(question.name) or [], f"the {question.name}")
    if unknown := [name for name in names if name not in question.choices]:
        raise _wrong(f"the {question.name} hold {unknown[0]!r:.200}", f"some of {', '.join(question.choices)}")
    return [name for name in question.choices if name in names]


def _scale(question: Question, given: Body, _: Sequence[str]) -> int:
    number, (worst, best) = given.get(question.name), SCALE
    if not isinstance(number, int) or isinstance(number, bool) or not worst <= number <= best:
        raise _wrong(f"the {question.name} is {number!r:.80}", f"a whole number from {worst} (worst) to {best} (best)")
    return number


def _shots(question: Question, given: Body, _: Sequence[str]) -> list[Body]:
    pairs = [_object(shot, ("query", "response")) for shot in _list(given.get(question.name), "the examples")]
    if not LEAST_SHOTS <= len(pairs) <= MOST_SHOTS:
        raise _wrong(f"there are {len(pairs)} examples", f"{LEAST_SHOTS} to {MOST_SHOTS}")
    return [{name: _part(pair, name) for name in ("query", "response")} for pair in pairs]


def _groups(question: Question, given: Body, answers: Sequence[str]) -> list[list[str]]:
    groups = [_group(group) for group in _list(given.get(question.name), "the groups")]
    ranked = [answer for group in groups for answer in group]
    if sorted(ranked) != sorted(answers):
        raise _wrong(f"the groups hold {ranked!r:.200}", f"each of {', '.join(answers)} exactly once")
    return [sorted(group) for group in groups]


def _group(group: Any) -> list[str]:
    answers = _list(group, "a group")
    if not answers or not all(isinstance(answer, str) for answer in answers):
        raise _wrong(f"a group is {group!r:.200}", "one answer or more")
    return cast(list[str], answers)


def _preference(question: Question, given: Body, answers: Sequence[str]) -> str | None:
    preferred = given.get(question.name)
    if question.name not in given or preferred not in (None, *answers):
        raise _wrong(f"the {question.name} answer is {preferred!r:.200}", f"one of {', '.join(answers)}, or null for a tie")
    return preferred


CHECKS: Mapping[Form, Callable[[Question, Body, Sequence[str]], Any]] = {
    "text": _words, "part": lambda question, given, _: _part(given, question.name), "note": _note, "choice": _choice, "choices": _choices,
    "scale": _scale, "shots": _shots, "ranking": _groups, "preference": _preference,
}  # fmt: skip
"""The form of a question -> what gives the answer in its canonical form, or raises."""


def _ratings(given: Body, answers: Sequence[str]) -> Body:
    ratings = given.get("ratings")
    if not isinstance(ratings, dict) or set(cast(Body, ratings)) != set(answers):
        rated = sorted(map(str, cast(Body, ratings))) if isinstance(ratings, dict) else ratings
        raise _wrong(f"the ratings are of {rated!r:.200}", f"one of each of {', '.join(answers)}")
    return {answer: check_rating(cast(Body, ratings)[answer], answer) for answer in answers}


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(f"{what} are {value!r:.80}", "a list")
    return cast(list[Any], value)


def _object(value: Any, keys: Sequence[str]) -> Body:
    if not isinstance(value, dict):
        raise _wrong(f"{value!r:.80} is no object", f"an object with the keys {', '.join(keys)}")
    if unknown := sorted(set(map(str, cast(Body, value))) - set(keys)):
        raise _wrong(f"the key {unknown[0]!r:.80} is not known", f"the keys {', '.join(keys)}")
    return cast(Body, value)


def _text(given: Body, key: str) -> str:
    text = given.get(key)
    if not isinstance(text, str):
        raise _wrong(f"{key!r} is {text!r:.80}", "text")
    return text


def _wrong(came: str, expected: str) -> DataError:
    return DataError(came, expected=expected, remedy="correct the answer and submit it again")
