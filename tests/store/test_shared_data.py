"""The readers on real data: every count is a fact that came with the data, none from this code."""

import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from statistics import mean

import pytest

from instructloop.errors import DataError
from instructloop.records import Ranking
from instructloop.store import layouts
from instructloop.store.layouts import read_demonstrations, read_documents, read_prompts, read_rankings
from instructloop.store.splits import split_key
from shared_data import SHARED, needs_shared

pytestmark = needs_shared

KINDS = {
    read_demonstrations: layouts.DEMONSTRATIONS,
    read_rankings: layouts.RANKINGS,
    read_prompts: layouts.PROMPTS,
    read_documents: layouts.DOCUMENTS,
}
NOT_READ = sorted([*SHARED.glob("annotator_[rl]*"), *(path for path in SHARED.glob("eval/*/*") if path.is_file())])
"""What holds no prompt with texts, and sets for evaluation."""


def test_demonstrations() -> None:
    records = list(read_demonstrations(SHARED / "sft.jsonl.gz"))
    origins = Counter(str(record.provenance.origin) for record in records)
    assert len(records) == 13_617
    assert (origins["squality-train"], origins["squality-dev"]) == (950, 500)
    assert len({record.labeler_id for record in records if str(record.provenance.origin).startswith("squality")}) == 19
    squality = Counter(split_key(record.prompt) for record in records if str(record.provenance.origin).startswith("squality"))
    assert Counter(squality.values()) == {4: 325, 3: 50}
    assert Counter(record.prompt.use_case for record in records)["brainstorming"] == 1_436


def test_kwise_rankings() -> None:
    records = list(read_rankings(SHARED / "kwise_ranks.jsonl.gz"))
    of = {source: [record for record in records if record.provenance.origin == source] for source in ("fgrlhf", "oasst", "squality-human-eval")}
    assert {source: len(rankings) for source, rankings in of.items()} == {"fgrlhf": 350, "oasst": 146, "squality-human-eval": 180}
    assert _tied_pairs(of["fgrlhf"]) == 220
    assert sum(not record.pairs for record in of["fgrlhf"]) == 9
    assert Counter(len(record.completions) for record in of["oasst"]) == {2: 42, 3: 82, 4: 15, 5: 2, 6: 3, 8: 1, 9: 1}
    assert sum(len(record.pairs) for record in of["oasst"]) == 507
    assert len({split_key(record.prompt) for record in of["oasst"]}) == 70
    assert sum(completion.model_id == "synthetic" for record in of["oasst"] for completion in record.completions) == 13
    assert {record.labeler_id for record in of["fgrlhf"]} == {"unknown-fgrlhf"}
    assert len({record.labeler_id for record in of["squality-human-eval"]}) == 4
    assert len({split_key(record.prompt) for record in of["squality-human-eval"]}) == 60
    ranks = {"bart": 2.6833, "bart-dpr": 2.3056, "human": 1.0111}
    assert {system: round(_mean_rank(of["squality-human-eval"], system), 4) for system in ranks} == ranks


def test_pairs() -> None:
    records = list(read_rankings(SHARED / "pairs.jsonl.gz"))
    harmless = [record for record in records if record.provenance.origin == "hh-harmless-test"]
    autoj = [record for record in records if record.provenance.origin == "autoj"]
    assert Counter(record.pairs for record in harmless) == {((0, 1),): 920, ((1, 0),): 880}
    assert Counter(record.pairs for record in autoj) == {((0, 1),): 411, ((1, 0),): 398, (): 263}
    assert len({split_key(record.prompt) for record in autoj}) == 926


def test_several_people_may_judge_one_pair() -> None:
    records = list(read_rankings(SHARED / "annotator_pairs_sample.jsonl.gz"))
    assert len(records) == 600
    assert Counter(Counter(record.prompt.id for record in records).values()) == {3: 200}
    assert len(list(read_prompts(SHARED / "annotator_pairs_sample.jsonl.gz"))) == 200


def test_prompts_by_user() -> None:
    prompts = list(read_prompts(SHARED / "prompts_by_user.jsonl.gz"))
    per_user = Counter(prompt.user_id for prompt in prompts)
    assert (len(prompts), len(per_user)) == (25_715, 3_234)
    assert [count for _, count in per_user.most_common(3)] == [644, 633, 563]
    assert sum(max(count - 200, 0) for count in per_user.values()) == 2_322


@pytest.mark.slow
def test_documents() -> None:
    documents = list(read_documents(SHARED / "pretrain_text.jsonl.gz"))
    assert Counter(document.source for document in documents)["novels"] == 81
    assert len(documents) == len({document.id for document in documents}) == 707
    assert sum(len(document.text) for document in documents if document.source == "novels") == 54_508_368


@pytest.mark.parametrize("file", NOT_READ, ids=lambda path: path.name)
def test_a_file_that_no_reader_takes_is_told_the_layouts_of_each_kind(file: Path) -> None:
    for reader, known in KINDS.items():
        with pytest.raises(DataError) as caught:
            next(reader(file))
        assert file.name in caught.value.came
        assert [name for name in known if not re.search(rf"\b{name} \(", caught.value.expected)] == []


def _tied_pairs(records: list[Ranking]) -> int:
    return sum(a == b for record in records for a, b in combinations(record.ranks, 2))


def _mean_rank(records: list[Ranking], system: str) -> float:
    return mean(
        rank for record in records for completion, rank in zip(record.completions, record.ranks, strict=True) if completion.model_id == system
    )
