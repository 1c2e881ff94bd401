"""Tokenizers: published ids, text that survives, specials that text cannot forge, and files that come back equal."""

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from instructloop.errors import CheckpointError, ConfigError
from instructloop.text.tokenizer import END, PAD, Tokenizer, load_tokenizer, require_same, train_tokenizer
from shared_data import SHARED, needs_shared

WORDS = ["the king said to the queen that the rain in the night was over", "It's 2024, and we're here!\n\n"] * 20
TRAINED = train_tokenizer(WORDS, vocab=300)


@cache
def gpt2() -> Tokenizer:
    return load_tokenizer(SHARED / "tokenizers" / "gpt2")


@cache
def stories() -> Tokenizer:
    return load_tokenizer(SHARED / "models" / "stories260k")


@given(st.text(max_size=60))
def test_every_text_survives(text: str) -> None:
    assert TRAINED.decode(TRAINED.encode(text)) == text


@given(st.lists(st.sampled_from([END, PAD, "<s>", "</s>", " ", "\n", "a", "<|", "|>"]), max_size=6).map("".join))
def test_text_never_becomes_a_special_token(text: str) -> None:
    ids = TRAINED.encode(text)
    assert not {TRAINED.end_id, TRAINED.pad_id} & set(ids)
    assert TRAINED.decode(ids) == text


@given(st.lists(st.text(max_size=20), max_size=4))
def test_a_batch_is_encoded_as_its_texts(texts: list[str]) -> None:
    assert TRAINED.encode_batch(texts) == [TRAINED.encode(text) for text in texts]


def test_a_trained_tokenizer_has_the_size_asked_for_and_both_specials() -> None:
    assert len(TRAINED) == 300
    assert TRAINED.end_id != TRAINED.pad_id
    assert not TRAINED.added_pad
    assert TRAINED.begin_ids == ()
    assert TRAINED.decode([TRAINED.end_id, *TRAINED.encode("rain"), TRAINED.pad_id]) == "rain"
    assert TRAINED.encode_template(f"rain{END}") == [*TRAINED.encode("rain"), TRAINED.end_id]


def test_258_tokens_are_bytes_and_specials() -> None:
    bytes_only = train_tokenizer(WORDS, vocab=258)
    assert len(bytes_only.encode("naïve")) == 6
    with pytest.raises(ConfigError, match="vocab is 257"):
        train_tokenizer(WORDS, vocab=257)


def test_a_saved_tokenizer_is_the_same(tmp_path: Path) -> None:
    TRAINED.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert (again.fingerprint, again.end_id, again.pad_id, len(again)) == (TRAINED.fingerprint, TRAINED.end_id, TRAINED.pad_id, len(TRAINED))
    require_same(TRAINED, again, ("policy", "reward model"))


def test_other_merges_are_another_tokenizer() -> None:
    other = train_tokenizer(["completely different words over and over"] * 20, vocab=300)
    with pytest.raises(CheckpointError, match="policy and reward model have different tokenizers"):
        require_same(TRAINED, other, ("policy", "reward model"))


def test_no_tokenizer_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no tokenizer could be loaded"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_without_end_token_is_refused(tmp_path: Path) -> None:
    backend = Backend(models.BPE(vocab={"a": 0, "b": 1}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="has no end token"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "model",
    [
        models.Unigram([("<unk>", 0.0), ("</s>", 0.0), ("a", -1.0), ("<", -9.0), ("/", -9.0), ("s", -9.0), (">", -9.0)], unk_id=0),
        models.WordLevel({"a": 0, "</s>": 1, "<pad>": 2}, unk_token="</s>"),
    ],
    ids=["pieces", "unknown"],
)
def test_a_vocabulary_in_which_text_can_end_an_answer_is_refused(tmp_path: Path, model: models.Model) -> None:
    PreTrainedTokenizerFast(tokenizer_object=Backend(model), eos_token="</s>", pad_token="<pad>").save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="turns the text '</s>' into a special token"):
        load_tokenizer(tmp_path)


@needs_shared
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello world", [15496, 995]),
        ("Hello, my dog is cute", [15496, 11, 616, 3290, 318, 13779]),
        (" lower newer\n\nit's 2024", [2793, 15064, 198, 198, 270, 338, 48609]),
    ],
)
def test_gpt2_ids_as_published(text: str, ids: list[int]) -> None:
    assert gpt2().encode(text) == ids
    assert gpt2().decode(ids) == text


@needs_shared
def test_gpt2_gets_a_padding_token_of_its_own(tmp_path: Path) -> None:
    tokenizer = gpt2()
    assert (tokenizer.begin_ids, tokenizer.end_id, tokenizer.pad_id, tokenizer.added_pad, len(tokenizer)) == ((), 50256, 50257, True, 50258)
    tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert not again.added_pad
    assert again.fingerprint == tokenizer.fingerprint
    assert 50256 not in tokenizer.encode("a <|endoftext|> b <|pad|>")


@needs_shared
def test_stories_begin_and_end_with_the_same_token() -> None:
    tokenizer = stories()
    assert (tokenizer.begin_ids, tokenizer.end_id, tokenizer.pad_id, tokenizer.added_pad, len(tokenizer)) == ((1,), 1, 512, True, 513)
    assert tokenizer.encode("Once upon a time") == [403, 407, 261, 378]
    assert tokenizer.decode([1, 403, 407, 261, 378]) == "Once upon a time"
    assert not {0, 1, 2, 512} & set(tokenizer.encode("<s> a </s> <unk> <|pad|>"))
