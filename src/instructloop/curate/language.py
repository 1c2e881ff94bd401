"""The language of prompts, by py3langid (naive Bayes over byte n-grams; no network). Paper A.4 used its ancestor, langid.py."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import tee
from typing import Any

from instructloop.curate.verdicts import Removed, TextMap, Verdict
from instructloop.records import Prompt

READ_AS = {"pcm": "en"}
"""Nigerian Pidgin has the words of English: of 24,186 English openings of dialogues all 17 that the model gave it were plain English."""


def in_languages(prompts: Iterable[Prompt], languages: Sequence[str], *, confidence: float, characters: int, apply: TextMap) -> Iterator[Verdict]:
    """Prompts stay unless the classifier gives some other language at least the probability `confidence`.

    The classifier reads the first `characters` of a prompt. Too little text is no evidence, and such prompts stay.
    """
    kept, read = tee(prompts)
    guesses = apply(partial(languages_of, characters=characters), (prompt.text for prompt in read))
    for prompt, (language, probability) in zip(kept, guesses, strict=True):
        if language in languages or probability < confidence:
            yield prompt
        else:
            yield Removed(prompt, f"language {language}", f"probability {probability:.2f}")


def languages_of(texts: Sequence[str], *, characters: int) -> list[tuple[str, float]]:
    """(ISO 639 code, probability) of each text, read up to `characters`."""
    classify: Callable[[str], tuple[str, float]] = _identifier().classify
    return [(READ_AS.get(code, code), probability) for code, probability in (classify(text[:characters]) for text in texts)]


@cache
def _identifier() -> Any:
    """The model, once in each process: it takes half a second and 60 MB."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # pyright: ignore[reportMissingTypeStubs]

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)  # pyright: ignore[reportUnknownMemberType]
