"""Text from a growing sequence of ids: together the pieces are the text of all ids, and nothing goes out too early."""

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend
from transformers import PreTrainedTokenizerFast

from instructloop.text.streaming import CONTEXT, WINDOW, Detokenizer, StopTexts
from instructloop.text.tokenizer import Tokenizer, load_tokenizer, train_tokenizer
from shared_data import SHARED, needs_shared

BYTE_LEVEL = train_tokenizer(["the king said naïve things to the queen 👑 in the rain"] * 20, vocab=280)


@cache
def byte_fallback() -> Tokenizer:
    """As in Llama 2: words with a mark for the space before them, and byte tokens for what is not in the vocabulary."""
    words = ["\u2581", "\u2581the", "\u2581king", "s", "\u2581\u2581", "é"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    backend = Backend(models.BPE({piece: id_ for id_, piece in enumerate(pieces)}, [], byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    backend.add_special_tokens([AddedToken(name, special=True) for name in ("<unk>", "<s>", "</s>")])
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    strip = decoders.Strip(" ", 1, 0)
    backend.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), strip])
    hf = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", bos_token="<s>", pad_token="<unk>")
    return Tokenizer(hf, (1,), end_id=2, pad_id=0, added_pad=False)


def streamed(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    detokenizer = Detokenizer(tokenizer)
    return [*map(detokenizer.push, ids), detokenizer.finish()]


def ids_of(tokenizer: Tokenizer) -> st.SearchStrategy[list[int]]:
    """Any ids, one more than there are included, and long runs of few."""
    any_id = st.integers(0, len(tokenizer))
    few = st.lists(any_id, min_size=1, max_size=4).flatmap(lambda some: st.lists(st.sampled_from(some), max_size=3 * WINDOW))
    return st.lists(any_id, max_size=3 * WINDOW) | few


@settings(max_examples=200)
@given(ids_of(BYTE_LEVEL))
def test_pieces_of_bytes_are_the_text(ids: list[int]) -> None:
    assert "".join(streamed(BYTE_LEVEL, ids)) == BYTE_LEVEL.decode(ids)


@settings(max_examples=300)
@given(ids_of(byte_fallback()))
def test_pieces_of_words_and_byte_tokens_are_the_text(ids: list[int]) -> None:
    assert "".join(streamed(byte_fallback(), ids)) == byte_fallback().decode(ids)


@needs_shared
@settings(max_examples=30)
@given(data=st.data())
@pytest.mark.parametrize("folder", ["tokenizers/gpt2", "models/stories260k"])
def test_pieces_of_known_tokenizers_are_the_text(folder: str, data: st.DataObject) -> None:
    tokenizer = _loaded(folder)
    ids = data.draw(ids_of(tokenizer) | st.text(max_size=120).map(tokenizer.encode))
    assert "".join(streamed(tokenizer, ids)) == tokenizer.decode(ids)


@cache
def _loaded(folder: str) -> Tokenizer:
    return load_tokenizer(SHARED / folder)


@given(st.text(max_size=80))
def test_of_a_text_only_whole_characters_go_out(text: str) -> None:
    ids = BYTE_LEVEL.encode(text)
    pieces = streamed(BYTE_LEVEL, ids)
    shown = ""
    for place, piece in enumerate(pieces[:-1], start=1):
        shown += piece
        assert text.startswith(shown)
        whole = bytes_of(ids[:place]).decode(errors="ignore")
        assert len(shown) >= len(whole) - whole.endswith("\ufffd"), "what is certain is not held back"


def bytes_of(ids: list[int]) -> bytes:
    """The bytes that byte-level tokens stand for, by the published table: printable characters are themselves."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
    return bytes(byte_of[character] for token in BYTE_LEVEL.hf.convert_ids_to_tokens(ids) for character in token)


def test_a_crown_in_four_tokens_comes_with_the_last() -> None:
    bytes_only = train_tokenizer(["a"], vocab=258)
    ids = bytes_only.encode("a👑b")
    assert len(ids) == 6
    assert streamed(bytes_only, ids) == ["a", "", "", "", "👑", "b", ""]
    assert streamed(bytes_only, ids[:3]) == ["a", "", "", "\ufffd"]


def test_byte_tokens_wait_for_the_end_of_their_run() -> None:
    tokenizer = byte_fallback()
    king, crown = tokenizer.hf.convert_tokens_to_ids(["\u2581king"])[0], [3 + byte for byte in "👑".encode()]
    assert streamed(tokenizer, [king, *crown, king]) == ["king", "", "", "", "", "👑 king", ""]
    assert streamed(tokenizer, [king, *crown]) == ["king", "", "", "", "", "👑"]
    assert streamed(tokenizer, [king, *crown, 3 + 0xFF, king]) == ["king", "", "", "", "", "", "\ufffd" * 5 + " king", ""]


def test_special_tokens_are_silent_and_have_a_name() -> None:
    assert streamed(BYTE_LEVEL, [BYTE_LEVEL.end_id, *BYTE_LEVEL.encode("a"), BYTE_LEVEL.pad_id]) == ["", "a", "", ""]
    assert BYTE_LEVEL.spell(BYTE_LEVEL.end_id) == "<|endoftext|>"
    assert BYTE_LEVEL.spell(len(BYTE_LEVEL)) == ""
    assert [BYTE_LEVEL.spell(id_) for id_ in BYTE_LEVEL.encode(" the king")] == [" the", " king"]
    assert byte_fallback().spell(byte_fallback().hf.convert_tokens_to_ids("\u2581king")) == " king"
    assert BYTE_LEVEL.spell(BYTE_LEVEL.encode("\u4e2d")[0]) == "\ufffd"


def test_long_texts_are_not_decoded_from_their_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0
    decode = Tokenizer.decode

    def watched(self: Tokenizer, ids: list[int]) -> str:
        nonlocal longest
        longest = max(longest, len(ids))
        return decode(self, ids)

    monkeypatch.setattr(Tokenizer, "decode", watched)
    streamed(BYTE_LEVEL, BYTE_LEVEL.encode("the king said things ") * 50)
    assert CONTEXT < longest <= WINDOW


TEXTS = st.text(alphabet="abc\n", max_size=30)
STOPS = st.lists(st.text(alphabet="abc\n", min_size=1, max_size=4), max_size=4)


@settings(max_examples=300)
@given(TEXTS, STOPS, st.lists(st.integers(0, 30), max_size=12))
def test_stop_texts_are_found_in_any_pieces_and_never_shown(text: str, stops: list[str], cuts: list[int]) -> None:
    watch, shown = StopTexts(stops), ""
    expected, found = slow_cut(text, stops)
    for start, end in pairwise([0, *sorted(cuts), len(text)]):
        shown += watch.push(text[start:end])
        assert expected.startswith(shown), "a part of a stop text was shown"
    assert watch.found == found
    assert shown + watch.finish() == expected


def slow_cut(text: str, stops: list[str]) -> tuple[str, bool]:
    """By definition: character after character, until the text ends with a stop text; of several the longest."""
    for end in range(1, len(text) + 1):
        if matching := [stop for stop in stops if text[:end].endswith(stop)]:
            return text[: end - max(map(len, matching))], True
    return text, False


def test_only_what_could_be_a_stop_text_is_held_back() -> None:
    watch = StopTexts(["\n\nHuman:", "END"])
    assert [watch.push(piece) for piece in ("a\n", "b\n\nHu", "me E", "N", "T", "\n\nHuman: hi")] == ["a", "\nb", "\n\nHume ", "", "ENT", ""]
    assert watch.found
