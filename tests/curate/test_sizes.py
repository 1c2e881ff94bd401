"""The table of sizes has the paper's shape and counts prompts, not answers."""

from curate.prompts import prompt
from instructloop.curate.sizes import size_table
from instructloop.records import Completion, Demonstration, Prompt, Ranking, Source


def _of(source: Source, *ids: str) -> list[Prompt]:
    return [prompt(id=id_, source=source) for id_ in ids]


def _ranking(asked: Prompt, labeler: str) -> Ranking:
    answers = tuple(Completion(id=name, prompt_id=asked.id, text=name) for name in "xy")
    return Ranking(prompt=asked, completions=answers, groups=(("x",), ("y",)), labeler_id=labeler)


def test_distinct_prompts_by_split_and_source() -> None:
    written, asked = _of("labeler", "a", "b"), _of("playground", "c", "d", "e")
    table = size_table(
        {
            "SFT": {"train": [Demonstration(prompt=one, text="t", labeler_id="l") for one in (*written, written[0], asked[0])]},
            "RM": {"train": [_ranking(asked[0], "l"), _ranking(asked[0], "m")], "valid": [_ranking(asked[1], "l")]},
            "PPO": {"train": asked[:2], "valid": asked[2:], "test": _of("import", "f")},
        }
    )
    assert [(row.split, row.source, *row.sizes.values()) for row in table] == [
        ("train", "labeler", 2, None, None),
        ("train", "customer", 1, 1, 2),
        ("train", "total", 3, 1, 2),
        ("valid", "labeler", None, None, None),
        ("valid", "customer", None, 1, 1),
        ("valid", "total", None, 1, 1),
        ("test", "labeler", None, None, None),
        ("test", "customer", None, None, None),
        ("test", "imported", None, None, 1),
        ("test", "total", None, None, 1),
    ]
