"""The kinds of tasks, and what an answer to each must look like. Checked here, on the server, whatever the page has checked.

    write_prompt      {"prompt": text, "use_case": name or None}; few-shot: {"instruction": text, "shots": [{"query", "response"}, …], "use_case"}
    demonstration     {"text": text}
    ranking           {"ratings": {answer: rating, …}, "groups": [[answer, …], …], "better": text or None}
    evaluation        {"ratings": {answer: rating, …}, "preferred": answer or None for a tie}
    prompt_metadata   {"use_case": name, "marks": [name, …]}

A rating is {"likert": 1..7, "flags": [name, …], "note": text}. Groups go from best to worst, equal within a group.
"""

from collections.abc import Callable, Mapping, Sequence
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


def check_body(kind: Kind, body: Any, *, answers: Sequence[str] = (), prompt_kind: PromptKind = "plain") -> Body:
    """The answer to a task in its canonical form; raises `DataError` for one that is incomplete or says what cannot be said.

    `answers` are the ids that are to be judged; `prompt_kind` is what kind of prompt is to be written.
    """
    if kind == "write_prompt":
        return _few_shot(_object(body, "instruction shots use_case")) if prompt_kind == "few_shot" else _prompt(_object(body, "prompt use_case"))
    checks: Mapping[str, Callable[[], Body]] = {
        "demonstration": lambda: {"text": checked(_text(_object(body, "text"), "text"), "the demonstration")},
        "ranking": lambda: _ranking(_object(body, "ratings groups better"), answers),
        "evaluation": lambda: _evaluation(_object(body, "ratings preferred"), answers),
        "prompt_metadata": lambda: _metadata(_object(body, "use_case marks")),
    }
    return checks[kind]()


def check_rating(rating: Any, answer: str) -> Body:
    """One answer's rating in its canonical form: flags in the paper's order, a note even if it is empty."""
    given = _object(rating, "likert flags note")
    likert = given.get("likert")
    if not isinstance(likert, int) or isinstance(likert, bool) or not 1 <= likert <= 7:
        raise _wrong(f"the quality of answer {answer!r} is {likert!r}", "a whole number from 1 (worst) to 7 (best)")
    flags = _names(given.get("flags") or [], FLAGS, f"the flags of answer {answer!r}")
    note = checked(_text(given, "note") if given.get("note") else "", "the note", most=MOST_NOTE, filled=False)
    return {"likert": likert, "flags": flags, "note": note}


def _prompt(given: Body) -> Body:
    return {"prompt": checked(_text(given, "prompt"), "the prompt"), "use_case": _use_case(given, needed=False)}


def _few_shot(given: Body) -> Body:
    pairs = [_object(shot, "query response") for shot in _list(given.get("shots"), "the examples")]
    if not LEAST_SHOTS <= len(pairs) <= MOST_SHOTS:
        raise _wrong(f"there are {len(pairs)} examples", f"{LEAST_SHOTS} to {MOST_SHOTS}")
    return {
        "instruction": _part(given, "instruction"),
        "shots": [{name: _part(pair, name) for name in ("query", "response")} for pair in pairs],
        "use_case": _use_case(given, needed=False),
    }


def _part(given: Body, name: str) -> str:
    part = checked(_text(given, name), f"the {name}").strip()
    if any(line.startswith((QUERY, RESPONSE)) for line in part.splitlines()):
        raise _wrong(f"a line of the {name} begins with {QUERY} or {RESPONSE}", "parts that can be told apart in one text")
    return part


def _ranking(given: Body, answers: Sequence[str]) -> Body:
    groups = [_group(group) for group in _list(given.get("groups"), "the groups")]
    ranked = [answer for group in groups for answer in group]
    if sorted(ranked) != sorted(answers):
        raise _wrong(f"the groups hold {ranked!r:.200}", f"each of {', '.join(answers)} exactly once")
    better = given.get("better")
    return {
        "ratings": _ratings(given, answers),
        "groups": [sorted(group) for group in groups],
        "better": checked(_text(given, "better"), "the better answer") if better else None,
    }


def _group(group: Any) -> list[str]:
    answers = _list(group, "a group")
    if not answers or not all(isinstance(answer, str) for answer in answers):
        raise _wrong(f"a group is {group!r:.200}", "one answer or more")
    return cast(list[str], answers)


def _evaluation(given: Body, answers: Sequence[str]) -> Body:
    preferred = given.get("preferred")
    if "preferred" not in given or preferred not in (None, *answers):
        raise _wrong(f"the preferred answer is {preferred!r:.200}", f"one of {', '.join(answers)}, or null for a tie")
    return {"ratings": _ratings(given, answers), "preferred": preferred}


def _metadata(given: Body) -> Body:
    return {"use_case": _use_case(given, needed=True), "marks": _names(given.get("marks") or [], MARKS, "the marks")}


def _ratings(given: Body, answers: Sequence[str]) -> Body:
    ratings = given.get("ratings")
    if not isinstance(ratings, dict) or set(cast(Body, ratings)) != set(answers):
        rated = sorted(map(str, cast(Body, ratings))) if isinstance(ratings, dict) else ratings
        raise _wrong(f"the ratings are of {rated!r:.200}", f"one of each of {', '.join(answers)}")
    return {answer: check_rating(cast(Body, ratings)[answer], answer) for answer in answers}


def _use_case(given: Body, *, needed: bool) -> str | None:
    use_case = given.get("use_case")
    if use_case not in USE_CASES and (needed or use_case is not None):
        raise _wrong(f"the use-case is {use_case!r:.200}", f"one of {', '.join(USE_CASES)}")
    return use_case


def _names(value: Any, known: Sequence[str], what: str) -> list[str]:
    names = _list(value, what)
    if unknown := [name for name in names if name not in known]:
        raise _wrong(f"{what} hold {unknown[0]!r:.200}", f"some of {', '.join(known)}")
    return [name for name in known if name in names]


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(f"{what} are {value!r:.80}", "a list")
    return cast(list[Any], value)


def _object(value: Any, keys: str) -> Body:
    if not isinstance(value, dict):
        raise _wrong(f"{value!r:.80} is no object", f"an object with the keys {', '.join(keys.split())}")
    if unknown := sorted(set(map(str, cast(Body, value))) - set(keys.split())):
        raise _wrong(f"the key {unknown[0]!r:.80} is not known", f"the keys {', '.join(keys.split())}")
    return cast(Body, value)


def _text(given: Body, key: str) -> str:
    text = given.get(key)
    if not isinstance(text, str):
        raise _wrong(f"{key!r} is {text!r:.80}", "text")
    return text


def _wrong(came: str, expected: str) -> DataError:
    return DataError(came, expected=expected, remedy="correct the answer and submit it again")
