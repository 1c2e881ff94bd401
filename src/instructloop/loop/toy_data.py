"""A toy world for the loop in miniature: a few hundred sentences about animals and colours, made from a seed.

It exists so that every part of the loop can be run in a minute without any data; nothing worth knowing is learned from it.
"""

from itertools import product
from pathlib import Path

from instructloop.algo.seeds import permutation
from instructloop.records import Completion, Demonstration, Document, Prompt, Provenance, Ranking, Record
from instructloop.store.snapshots import freeze

ANIMALS = ("cat", "dog", "fox", "hen", "owl", "cow", "pig", "bee", "ant", "bat", "eel", "elk")
COLOURS = ("red", "blue", "green", "white", "black", "brown", "grey", "gold")
VERBS = ("sees", "likes", "finds", "wants")
VALID_EVERY = 8
"""Every eighth record is for validation."""


def freeze_toy_data(folder: Path, seed: int) -> None:
    """Make the snapshots `documents`, `demonstrations`, `rankings` and `prompts` under `folder`, unless they are there."""
    makers = {"documents": _documents, "demonstrations": _demonstrations, "rankings": _rankings, "prompts": _prompts}
    for name, make in makers.items():
        if not (folder / name).exists():
            records = make()
            shuffled = [records[row] for row in permutation(len(records), seed, "toy", name).tolist()]
            splits = {
                "train": [record for row, record in enumerate(shuffled) if row % VALID_EVERY],
                "valid": shuffled[::VALID_EVERY],
            }
            freeze(folder / name, splits, query=f"toy world, seed {seed}", source_of=lambda _: "toy")


def _documents() -> list[Record]:
    facts = (f"the {colour} {animal} {verb} the {other}." for colour, animal, verb, other in product(COLOURS, ANIMALS[:6], VERBS, ANIMALS[6:10]))
    lines = list(facts)
    return [Document(id=f"text-{start}", text=" ".join(lines[start::48]), source="toy") for start in range(48)]


def _prompts() -> list[Record]:
    return [_prompt(animal, colour) for animal, colour in product(ANIMALS, COLOURS)]


def _prompt(animal: str, colour: str) -> Prompt:
    return Prompt(
        id=f"{animal}-{colour}",
        text=f"what does the {colour} {animal} see?",
        user_id=f"user-{animal}",
        kind="plain",
        consent="toy",
        use_case="open_qa",
    )


def _demonstrations() -> list[Record]:
    pairs = product(ANIMALS, COLOURS)
    return [Demonstration(prompt=_prompt(a, c), text=f"the {c} {a} sees a {_seen(a)}.", labeler_id=f"labeler-{len(c) % 3}") for a, c in pairs]


def _rankings() -> list[Record]:
    return [_ranking(animal, colour, place) for place, (animal, colour) in enumerate(product(ANIMALS, COLOURS))]


def _ranking(animal: str, colour: str, place: int) -> Ranking:
    texts = (f"the {colour} {animal} sees a {_seen(animal)}.", f"the {animal} sees a {_seen(animal)}.", f"a {_seen(colour)}.", "i do not know.")
    prompt = _prompt(animal, colour)
    completions = tuple(
        Completion(id=f"{prompt.id}/{k}", prompt_id=prompt.id, text=text, finish_reason="stop", provenance=Provenance(origin="toy"))
        for k, text in enumerate(texts)
    )
    first, second, third, fourth = (completion.id for completion in completions)
    groups = ((first,), (second,), (third, fourth)) if place % 2 else ((first, second), (third,), (fourth,))
    return Ranking(prompt=prompt, completions=completions, groups=groups, labeler_id=f"labeler-{place % 3}", provenance=Provenance(origin="toy"))


def _seen(word: str) -> str:
    return ANIMALS[(len(word) + ord(word[0])) % len(ANIMALS)]
