"""`instructloop sample`: K answers per prompt for people to rank."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from instructloop.cli.inputs import Data, require_model, require_snapshot
from instructloop.cli.parsing import parse
from instructloop.config import Text
from instructloop.loop.answer_plan import EVERY_SPLIT, Answering, parse_models, parse_num_answers


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Answer every prompt several times, with one model or a mixture, and write sets of different answers for people to rank."""

    model: tyro.conf.UseAppendAction[tuple[str, ...]]
    """PATH, or PATH:SHARE once for each of several models; the shares sum to 1. A directory or a hub id."""
    prompts: Path
    """Snapshot of prompts, or a file of them."""
    split: str = "all"
    """Split of the snapshot. With all of them, each prompt's rankings fall into the split its prompt is in."""
    num_answers: str = "4..9"
    """Answers per prompt: a number, or a range from which each prompt draws its own; the paper collected 4 to 9."""
    out: Path
    """File to write: .jsonl, .jsonl.gz or .jsonl.zst. If it was begun with the same settings, it is gone on with."""
    answering: Annotated[Answering, tyro.conf.arg(name="")] = Answering()
    """How answers are made."""
    weights: Literal["raw", "ema"] = "raw"
    """ema: the averaged weights that step 3 saves beside the raw ones."""
    slots: int = 64
    """Answers sampled at a time; a memory knob."""
    template: Literal["plain", "chat"] = "plain"
    """Models made elsewhere: plain puts the prompt as it is, chat into the tokenizer's chat template. Our checkpoints say it themselves."""
    separator: str = "\n\n"
    """Models made elsewhere, plain template: what stands between prompt and answer."""
    context: int = 2048
    """Models made elsewhere: tokens of prompt and answer together."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    sample = parse("sample", Sample, argv)
    models, num_answers = parse_models(sample.model), parse_num_answers(sample.num_answers)
    sample.answering.require_room(num_answers)
    for model in models:
        require_model(model.path)
    if sample.prompts.is_dir():
        require_snapshot(sample.prompts, Data("prompts", splits=() if sample.split == EVERY_SPLIT else (sample.split,)))
    from instructloop.loop.answer_sets import Asked, sample_answer_sets

    room = sample.answering.max_new_tokens
    text = Text(template=sample.template, separator=sample.separator, context=sample.context, max_prompt=sample.context - room, max_response=room)
    given = {name: getattr(sample, name) for name in ("prompts", "split", "answering", "out", "weights")}
    print(sample_answer_sets(Asked(models=models, num_answers=num_answers, text=text, **given), slots=sample.slots))
