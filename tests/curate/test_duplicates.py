"""Near-duplicates: what counts as the same, which one stays, and how many comparisons it takes."""

import unicodedata
from collections.abc import Callable
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.prompts import kept, prompt, prompts, removed
from instructloop.curate.duplicates import PrefixIndex, SortedTexts, fold, without_long_prefixes, without_repeats


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Hello There", "hello there"),
        ("  hello\n", "hello"),
        ("STRASSE", "straße"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("caf\u00e9", "cafe\u0301"),
        ("\u200bhel\u200dlo\ufeff", "hello"),
        ("İstanbul", "i̇stanbul"),
        ("ﬁne", "fine"),
        ("K", "\u212a"),
    ],
)
def test_equal_for_a_reader(a: str, b: str) -> None:
    assert fold(a) == fold(b)
    assert kept(without_repeats(prompts(a, b))) == ["0"]


@pytest.mark.parametrize(("a", "b"), [("ısı", "isi"), ("İ", "I"), ("two  spaces", "two spaces"), ("x²", "x2"), ("é", "e"), ("a\nb", "a b")])
def test_different_for_a_reader(a: str, b: str) -> None:
    assert kept(without_repeats(prompts(a, b))) == ["0", "1"]


@given(st.text(max_size=30))
def test_folding_twice_changes_nothing_and_encodings_are_alike(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text)) == fold(text)


def test_the_first_stays_across_users_and_the_others_name_it() -> None:
    verdicts = list(without_repeats(prompts("a", "b", "A", "B", "a")))
    assert kept(verdicts) == ["0", "1"]
    assert [verdict.detail for verdict in verdicts[2:]] == ["as prompt 0", "as prompt 1", "as prompt 0"]  # type: ignore[union-attr]


def test_a_long_common_prefix_is_a_share_of_the_shorter_one_and_so_many_characters() -> None:
    start = "Translate this letter. "
    texts = [start + "x" * 27, start + "y" * 27, start + "x" * 20 + "y" * 7, start + "x" * 20 + "z" * 100, start]
    stage: Callable[..., object] = without_long_prefixes
    assert removed(stage(prompts(*texts), characters=10, share=0.8)) == dict.fromkeys("234", "a long common prefix")
    assert removed(stage(prompts(*texts), characters=10, share=1.0)) == {"4": "a long common prefix"}
    assert removed(stage(prompts(*texts), characters=10, share=0.0)) == dict.fromkeys("1234", "a long common prefix")
    assert removed(stage(prompts(*texts), characters=40, share=0.8)) == dict.fromkeys("23", "a long common prefix")


def test_parts_of_one_few_shot_prompt_go_together() -> None:
    start = "The same instruction for all. "
    asked = [
        prompt(start + end, id=id_) for id_, end in (("w/shot-1", "a"), ("w/shot-2", "b"), ("v/shot-1", "c"), ("v/shot-2", "d" * 99), ("x", "e"))
    ]
    assert list(removed(without_long_prefixes(asked, characters=9, share=0.5))) == ["v/shot-1", "v/shot-2", "x"]


words = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), min_size=1, max_size=8).map("".join)


@given(st.lists(words, max_size=40), st.integers(1, 4), st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]))
def test_the_index_finds_what_comparing_with_everything_finds(texts: list[str], characters: int, share: float) -> None:
    slow: list[int] = []
    for number, text in enumerate(texts):
        if len(text) < characters or not any(_alike(text, texts[other], characters, share) for other in slow if len(texts[other]) >= characters):
            slow.append(number)
    assert kept(without_long_prefixes(prompts(*texts), characters=characters, share=share)) == [str(number) for number in slow]


def _alike(a: str, b: str, characters: int, share: float) -> bool:
    common = next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return common >= characters and common >= ceil(share * min(len(a), len(b)))


class Counted(str):
    """A text that counts how often it is compared."""

    __slots__ = ()
    comparisons = 0

    def __lt__(self, other: str) -> bool:
        Counted.comparisons += 1
        return str.__lt__(self, other)

    def __gt__(self, other: str) -> bool:
        Counted.comparisons += 1
        return str.__gt__(self, other)

    def __getitem__(self, key: object) -> "Counted":
        return Counted(str.__getitem__(self, key))  # type: ignore[index]


def test_comparisons_grow_like_n_log_n_even_where_all_begin_alike() -> None:
    needed = {}
    for count in (1_000, 8_000):
        Counted.comparisons = 0
        index = PrefixIndex(0.9)
        for number in range(count):
            text = Counted(f"{'the same beginning of everything ' * 4}{number * 7919 % count:06d}{'x' * 140}")
            assert index.find(text) is None
            index.add(text, str(number))
        needed[count] = Counted.comparisons
    assert needed[1_000] > 1_000, "they are counted"
    assert needed[8_000] < 12 * needed[1_000], "eight times as many texts; each with each would be 64 times the comparisons"


@given(st.lists(st.text("abc", max_size=4)), st.text("abc", max_size=4))
def test_sorted_texts_give_the_neighbours(texts: list[str], asked: str) -> None:
    held = SortedTexts()
    for text in texts:
        held.add(text)
    assert held.first_from(asked) == min((text for text in texts if text >= asked), default=None)
    assert held.last_up_to(asked) == max((text for text in texts if text <= asked), default=None)


def test_sorted_texts_stay_sorted_over_many_blocks() -> None:
    held, texts = SortedTexts(), [f"{number * 7919 % 5000:05d}" for number in range(5000)]
    for text in texts:
        held.add(text)
    assert all(held.first_from(text) == text == held.last_up_to(text) for text in texts)
    assert (held.first_from("00001!"), held.last_up_to("00001!")) == ("00002", "00001")
    assert (held.first_from("05000"), held.last_up_to("")) == (None, None)
