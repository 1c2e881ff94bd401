"""Exports of other labeling tools, one row for each person's answer: what the readers of `layouts` then take for theirs.

    Argilla        `dataset.records.to_json(...)`: a ranking question whose options are names of fields, a text question
    Label Studio   the export "JSON": a Ranker over a List without buckets, a TextArea

What is drafted, skipped or cancelled is left out where the export tells; Argilla's does not say which responses are drafts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from instructloop.errors import DataError
from instructloop.store.jsonl import Row

PROMPTS = ("prompt", "instruction", "question")
"""Names under which the prompt is looked for."""


def argilla_rankings(row: Row) -> Iterator[Row]:
    """A row for each person who ranked: `prompt`, `responses`, `ranks`, `annotator`."""
    fields = cast(Mapping[str, Any], row["fields"])
    for response in _of_question(row, "ranking", _is_ranking):
        ranks = {str(option["value"]): option["rank"] for option in cast(Sequence[Mapping[str, Any]], response["value"])}
        if missing := [name for name in ranks if name not in fields]:
            raise DataError(f"the option {missing[0]!r} is no field", expected=f"options named as {', '.join(fields)}", remedy="rename the fields")
        names = [name for name in fields if name in ranks]  # in one order for all people: answers are named by their place
        told = {"responses": [fields[name] for name in names], "ranks": [ranks[name] for name in names]}
        yield {"id": str(row["id"]), "prompt": _prompt_in(fields), "annotator": response["user_id"], "source": "argilla", **told}


def argilla_demonstrations(row: Row) -> Iterator[Row]:
    """A row for each person who wrote: `prompt`, `response`, `annotator`."""
    prompt = _prompt_in(cast(Mapping[str, Any], row["fields"]))
    for response in _of_question(row, "text", _is_text):
        yield {"id": str(row["id"]), "prompt": prompt, "response": response["value"], "annotator": response["user_id"], "source": "argilla"}


def label_studio_rankings(row: Row) -> Iterator[Row]:
    """A row for each annotation that ranks: `prompt`, `responses`, `ranks`, `annotator`."""
    data = cast(Mapping[str, Any], row["data"])
    for annotator, result in _results(row, "ranker"):
        lists = list(cast(Mapping[str, Sequence[str]], result["value"]["ranker"]).values())
        if len(lists) != 1:
            raise DataError(f"a ranker with {len(lists)} buckets", expected="one list, from best to worst", remedy="rank without buckets")
        texts = _items(data, lists[0])
        told = {"responses": list(texts.values()), "ranks": [lists[0].index(id_) + 1 for id_ in texts]}
        yield {"id": str(row["id"]), "prompt": _prompt_in(data), "annotator": annotator, "source": "label-studio", **told}


def label_studio_demonstrations(row: Row) -> Iterator[Row]:
    """A row for each annotation that writes: `prompt`, `response`, `annotator`."""
    prompt = _prompt_in(cast(Mapping[str, Any], row["data"]))
    for annotator, result in _results(row, "textarea"):
        written = "\n".join(cast(Sequence[str], result["value"]["text"]))
        yield {"id": str(row["id"]), "prompt": prompt, "response": written, "annotator": annotator, "source": "label-studio"}


def _of_question(row: Row, kind: str, fits: Callable[[Any], bool]) -> list[Mapping[str, Any]]:
    """The responses to the one question of a kind."""
    questions = cast(Mapping[str, Sequence[Mapping[str, Any]]], row["responses"])
    found = {name: said for name, said in questions.items() if said and all(fits(response["value"]) for response in said)}
    if len(found) > 1:
        raise DataError(f"the {kind} questions {', '.join(found)} have responses", expected="one of them", remedy="export the others apart")
    return [response for said in found.values() for response in said]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_ranking(value: Any) -> bool:
    options = cast(list[Any], value) if isinstance(value, list) else []
    return bool(options) and all(isinstance(option, Mapping) and {"value", "rank"} <= cast(Mapping[str, Any], option).keys() for option in options)


def _results(row: Row, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(annotator, result) of every annotation that was not cancelled."""
    for annotation in cast(Iterable[Mapping[str, Any]], row["annotations"]):
        if not annotation.get("was_cancelled"):
            by: Any = annotation.get("completed_by")
            person = cast(Mapping[str, Any], by if isinstance(by, dict) else {"id": by})
            named = person.get("email") or person.get("id")
            results = cast(Iterable[Mapping[str, Any]], annotation.get("result", ()))
            yield from ((f"label-studio-{named}", result) for result in results if result.get("type") == kind)


def _items(data: Mapping[str, Any], ids: Sequence[str]) -> dict[str, str]:
    """Id -> text of what was ranked, in the order of the list that holds it."""
    for value in data.values():
        items = [cast(Mapping[str, Any], item) for item in cast(list[Any], value) if isinstance(item, dict)] if isinstance(value, list) else []
        known = {str(item["id"]): item.get("body") or item.get("title") for item in items if "id" in item}
        if set(ids) <= known.keys():
            return {id_: str(text) for id_, text in known.items() if id_ in ids}
    raise DataError(f"no list of the task holds {', '.join(ids)}", expected="the items that were ranked", remedy="export with the task's data")


def _prompt_in(fields: Mapping[str, Any]) -> str:
    for name in PROMPTS:
        if isinstance(fields.get(name), str):
            return fields[name]
    raise DataError(f"the fields {', '.join(fields)}", expected=f"one of {', '.join(PROMPTS)}, a text", remedy="rename the field of the prompt")
