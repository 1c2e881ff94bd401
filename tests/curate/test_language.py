"""The language stage: other languages go, English stays, and too little text is no evidence."""

import pytest

from curate.prompts import prompt, prompts, removed
from instructloop.curate.language import in_languages, languages_of
from instructloop.curate.workers import in_this_process

ENGLISH = (
    "What is the capital of Peru?",
    "I just saw Kill Bill on demand.",
    "How about dem Browns?",
    "Can we talk about Kendrick Lamar's music?",
    "Hi.",
    "Hey",
    "42",
)
OTHERS = {
    "de": "Schreibe ein kurzes Gedicht über den Herbst.",
    "fr": "Explique-moi la photosynthèse comme à un enfant.",
    "es": "Explícame la fotosíntesis como a un niño.",
    "it": "Spiegami la fotosintesi come a un bambino.",
    "pt": "Explique a fotossíntese como para uma criança.",
    "nl": "Leg fotosynthese uit aan een kind.",
    "tr": "Yağmur hakkında bir şiir yaz.",
    "ja": "雨についての詩を書いてください。",
}


def _removed(texts: tuple[str, ...], *languages: str, characters: int = 800) -> dict[str, str]:
    return removed(in_languages(prompts(*texts), languages or ("en",), confidence=0.5, characters=characters, apply=in_this_process))


def test_english_stays_short_or_loose_as_it_may_be() -> None:
    assert _removed(ENGLISH) == {}


def test_other_languages_go_and_are_named() -> None:
    assert list(_removed(tuple(OTHERS.values())).values()) == [f"language {code}" for code in OTHERS]


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_that_is_asked_for_stays(code: str) -> None:
    assert _removed((OTHERS[code],), "en", code) == {}


def test_only_the_beginning_is_read() -> None:
    text = "Please tell me about the history of the railways. " * 4 + OTHERS["fr"] * 20
    assert _removed((text,), characters=200) == {}
    assert _removed((text,), characters=2000) == {"0": "language fr"}


def test_texts_without_a_letter_are_no_error() -> None:
    assert [probability < 0.1 for _, probability in languages_of(["", "   ", "🙂", "\ud800"], characters=10)] == [True] * 4
    assert removed(in_languages([prompt("…")], ("en",), confidence=0.5, characters=9, apply=in_this_process)) == {}
