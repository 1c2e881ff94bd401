"""What a row of each layout becomes. Every function takes a row and its place, and returns a record or raises `DataError`.

Keys understood in every layout: `id`; `source` (else the file's name) as the origin; `user` or `user_id` as the author
of the prompt, `annotator`, `labeler` or `labeler_id` as the person who judged or answered; `consent`, `licence` or
`license`; `tree` for prompts that continue one conversation. People who are not named are "unknown-<origin>".
"""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from instructloop.errors import DataError
from instructloop.records import Completion, Demonstration, Document, Prompt, Provenance, Ranking, Record, Turn
from instructloop.store.conversations import prompt_text, split_answer, turns_of
from instructloop.store.fields import filled_text_of, optional_text_of, text_of, texts_of, whole_number_of, whole_numbers_of
from instructloop.store.jsonl import Row
from instructloop.store.splits import THREAD
from instructloop.store.tables import Place

IMPORTED = "import"
"""Consent of rows that name none: whoever imports a file answers for the right to train on it."""

UNKNOWN = "unknown-"
"""How the ids of people begin whom no row names."""

USE_CASE_OF_CATEGORY: Mapping[str, str] = {
    "brainstorming": "brainstorming",
    "classification": "classification",
    "closed_qa": "closed_qa",
    "creative_writing": "generation",
    "general_qa": "open_qa",
    "generation": "generation",
    "information_extraction": "extract",
    "long-doc QFS": "summarization",
    "open_qa": "open_qa",
    "summarization": "summarization",
}
"""Categories of public data sets -> the use-cases of the paper's Table 1."""

Conversion = Callable[[Row, Place], Record]


def record_of(record: type[Record]) -> Conversion:
    """Rows that are this package's own records."""

    def convert(row: Row, _: Place) -> Record:
        return record.from_json(row)

    return convert


def alpaca_demonstration(row: Row, place: Place) -> Demonstration:
    """`instruction`, `input`, `output`."""
    return _demonstration(row, place, _instruction(row), filled_text_of(row, "output"))


def messages_demonstration(row: Row, place: Place) -> Demonstration:
    """`messages`: the last is the answer, those before it are the prompt."""
    before, answer = split_answer(turns_of(row, "messages"), "messages")
    return _demonstration(row, place, prompt_text(before, "messages"), _filled(answer, "the last message"))


def response_demonstration(row: Row, place: Place) -> Demonstration:
    """`prompt`, `context`, and `response` or `completion`."""
    key = "response" if "response" in row else "completion"
    return _demonstration(row, place, _question(row), filled_text_of(row, key))


def kwise_ranking(row: Row, place: Place) -> Ranking:
    """`prompt`, `context`, `responses`, `ranks` (1 the best, equal for a tie); `systems` or `synthetic` name the models."""
    answers, ranks = texts_of(row, "responses"), whole_numbers_of(row, "ranks")
    if len(ranks) != len(answers):
        raise DataError(f"{len(ranks)} ranks for {len(answers)} responses", expected="one rank per response", remedy="correct the row")
    return _ranking(row, place, _question(row), answers, ranks)


def pair_ranking(row: Row, place: Place) -> Ranking:
    """`prompt`, `a`, `b`, `label`: 1 if a is better, 2 if b is, 0 for a tie."""
    label = whole_number_of(row, "label")
    if label not in (0, 1, 2):
        raise DataError(f"'label' is {label}", expected="1 (a is better), 2 (b is better) or 0 (tie)", remedy="correct the label")
    ranks = {0: (1, 1), 1: (1, 2), 2: (2, 1)}[label]
    return _ranking(row, place, _question(row), [text_of(row, "a"), text_of(row, "b")], ranks)


def chosen_ranking(row: Row, place: Place) -> Ranking:
    """`prompt`, `chosen`, `rejected`, each a text or a list of messages; messages before an answer belong to the prompt."""
    if isinstance(row.get("chosen"), str) and isinstance(row.get("prompt"), str):
        return _ranking(row, place, _question(row), [text_of(row, "chosen"), text_of(row, "rejected")], (1, 2))
    opening = turns_of(row, "prompt") if isinstance(row.get("prompt"), list) else []
    before_chosen, chosen = split_answer(_answer_turns(row, "chosen"), "chosen")
    before_rejected, rejected = split_answer(_answer_turns(row, "rejected"), "rejected")
    if before_chosen != before_rejected:
        raise DataError("'chosen' and 'rejected' answer different conversations", expected="equal turns before the answer", remedy="drop the row")
    turns = [*opening, *before_chosen]
    prompt = prompt_text(turns, "prompt") if turns else _question(row)
    return _ranking(row, place, prompt, [chosen, rejected], (1, 2))


def alpaca_prompt(row: Row, place: Place) -> Prompt:
    """`instruction`, `input`."""
    return _prompt(row, place, _instruction(row))


def messages_prompt(row: Row, place: Place) -> Prompt:
    """`messages` up to the last question; an answer after it is left out."""
    turns = turns_of(row, "messages")
    before = turns[:-1] if turns and turns[-1].role == "assistant" else turns
    return _prompt(row, place, prompt_text(before, "messages"))


def plain_prompt(row: Row, place: Place) -> Prompt:
    """`prompt`, a text (with `context`), a list of messages, or a record of this package."""
    prompt = row.get("prompt")
    if isinstance(prompt, dict):
        return Prompt.from_json(cast(Row, prompt))
    if isinstance(prompt, list):
        return _prompt(row, place, prompt_text(turns_of(row, "prompt"), "prompt"))
    return _prompt(row, place, _question(row))


def text_document(row: Row, place: Place) -> Document:
    """`text`; an `id` counts within its `source`."""
    source, id_ = optional_text_of(row, "source"), _id(row, place)
    return Document(
        id=f"{source}/{id_}" if source else id_,
        text=filled_text_of(row, "text"),
        source=source or place.stem,
        provenance=Provenance(origin=source or place.path.name),
    )


def _question(row: Row) -> str:
    return _joined(filled_text_of(row, "prompt"), optional_text_of(row, "context"))


def _instruction(row: Row) -> str:
    return _joined(filled_text_of(row, "instruction"), optional_text_of(row, "input"))


def _joined(instruction: str, context: str | None) -> str:
    """The instruction, a blank line, and what it is about: the order of Alpaca."""
    return f"{instruction}\n\n{context}" if context and context.strip() else instruction


def _answer_turns(row: Row, key: str) -> list[Turn]:
    return [Turn("assistant", text_of(row, key))] if isinstance(row.get(key), str) else turns_of(row, key)


def _demonstration(row: Row, place: Place, prompt: str, answer: str) -> Demonstration:
    labeler = optional_text_of(row, "annotator", "labeler", "labeler_id", "user", "user_id") or _unknown(row, place)
    return Demonstration(prompt=_prompt(row, place, prompt), text=answer, labeler_id=labeler, provenance=_provenance(row, place, labeler))


def _ranking(row: Row, place: Place, prompt_text: str, answers: Sequence[str], ranks: Sequence[int]) -> Ranking:
    prompt = _prompt(row, place, prompt_text)
    labeler = optional_text_of(row, "annotator", "labeler", "labeler_id") or _unknown(row, place)
    ids = [f"{prompt.id}/{number}" for number in range(1, len(answers) + 1)]
    completions = [
        Completion(id=id_, prompt_id=prompt.id, text=answer, model_id=model, provenance=_provenance(row, place, None))
        for id_, answer, model in zip(ids, answers, _models(row, len(answers)), strict=True)
    ]
    groups = [tuple(id_ for id_, other in zip(ids, ranks, strict=True) if other == rank) for rank in sorted(set(ranks))]
    provenance = _provenance(row, place, labeler)
    return Ranking(prompt=prompt, completions=tuple(completions), groups=tuple(groups), labeler_id=labeler, provenance=provenance)


def _models(row: Row, num_answers: int) -> list[str | None]:
    if isinstance(row.get("systems"), list):
        models: list[str | None] = [*texts_of(row, "systems")]
    elif isinstance(row.get("synthetic"), list):
        models = ["synthetic" if made_by_model else None for made_by_model in row["synthetic"]]
    else:
        models = [None] * num_answers
    if len(models) != num_answers:
        raise DataError(f"{len(models)} systems for {num_answers} responses", expected="one per response", remedy="correct the row")
    return models


def _prompt(row: Row, place: Place, text: str) -> Prompt:
    user = optional_text_of(row, "user", "user_id")
    tree, category = optional_text_of(row, "tree"), optional_text_of(row, "category")
    id_ = _id(row, place)
    return Prompt(
        id=f"{THREAD}{tree}/{id_}" if tree else id_,
        text=text,
        user_id=user or _unknown(row, place),
        consent=optional_text_of(row, "consent", "licence", "license") or IMPORTED,
        use_case=USE_CASE_OF_CATEGORY.get(category) if category else None,
        provenance=_provenance(row, place, user),
    )


def _id(row: Row, place: Place) -> str:
    return optional_text_of(row, "id") or place.id


def _origin(row: Row, place: Place) -> str:
    return optional_text_of(row, "source") or place.path.name


def _unknown(row: Row, place: Place) -> str:
    return f"{UNKNOWN}{_origin(row, place)}"


def _provenance(row: Row, place: Place, who: str | None) -> Provenance:
    return Provenance(who=who, when=optional_text_of(row, "time"), origin=_origin(row, place))


def _filled(text: str, what: str) -> str:
    if not text.strip():
        raise DataError(f"{what} is empty", expected="text", remedy="drop the row, or fill it in")
    return text
