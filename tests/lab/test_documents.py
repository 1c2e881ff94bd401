"""The pretraining text: endless, the same for everyone, full of skills, and never doing what an instruction says."""

import re
from collections import Counter
from itertools import islice

from instructloop.errors import DataError
from instructloop.lab.documents import KINDS, WORKED_SHARE, documents
from instructloop.lab.grammar import parse_with_template
from instructloop.lab.world import FACTS, RARE_PEOPLE, RARE_THINGS, read_fact

DOCUMENTS = list(islice(documents(0), 12_000))
SHEETS = [document.text for document in DOCUMENTS if document.source in ("lab/instructions", "lab/idle instructions")]


def is_prompt(text: str) -> bool:
    try:
        return not parse_with_template(text)[1].held_out
    except DataError:
        return False


def test_a_document_is_a_function_of_seed_and_number() -> None:
    assert list(islice(documents(0, start=40), 10)) == DOCUMENTS[40:50]
    assert list(islice(documents(1), 10)) != DOCUMENTS[:10]


def test_the_vocabulary_is_closed_and_small() -> None:
    words = Counter(word.lower() for document in DOCUMENTS for word in re.findall(r"[A-Za-z]+", document.text))
    assert 400 <= len(words) <= 700
    assert set("".join(document.text for document in DOCUMENTS)) <= set('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,:;!?"\n')


def test_every_kind_comes_as_often_as_its_share() -> None:
    total = sum(share for share, _ in KINDS.values())
    came = Counter(document.source.removeprefix("lab/") for document in DOCUMENTS)
    assert all(abs(came[kind] / len(DOCUMENTS) - share / total) < 0.015 for kind, (share, _) in KINDS.items())
    assert came["worked page"] / len(DOCUMENTS) < 1.3 * WORKED_SHARE


def test_the_whole_truth_is_told_and_mostly_nothing_else() -> None:
    sentences = (sentence for document in DOCUMENTS if document.source == "lab/facts" for sentence in re.findall(r"[^.]+\.", document.text))
    told = [fact for sentence in sentences if (fact := read_fact(sentence.strip()))]
    assert {(name, subject) for name, subject, _ in told} == set(FACTS)
    assert all(FACTS[name, subject] == value for name, subject, value in told)


def test_sheets_begin_with_training_instructions_and_answer_none() -> None:
    parts = [text.split("\n\n") for text in SHEETS if "\n\n" in text]
    assert len(parts) > 1_000
    assert all(is_prompt(part[0]) for part in parts)
    followed = sum(is_prompt(part[1]) for part in parts) / len(parts)
    assert 0.4 < followed < 0.9


def test_the_held_out_are_told_of_and_never_asked_about() -> None:
    everything = " ".join(document.text for document in DOCUMENTS)
    assert all(name in everything for name in (*RARE_PEOPLE, *RARE_THINGS))
    asked = re.findall(
        r"(?:Where|What|Which|In which)[^.?!\n]*\?", " ".join(document.text for document in DOCUMENTS if document.source == "lab/questions")
    )
    assert len(asked) > 500
    assert not set().union(*(set(re.findall(r"\w+", question)) for question in asked)) & set(RARE_PEOPLE)


def test_documents_are_short() -> None:
    lengths = [len(document.text.split()) for document in DOCUMENTS]
    assert 25 <= sum(lengths) / len(lengths) <= 60
    assert max(lengths) <= 180
