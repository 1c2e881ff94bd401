"""Prompts: what fits is kept in order, what does not is counted."""

from instructloop.config import Text
from instructloop.data.prompts import load_prompts
from instructloop.records import Prompt
from instructloop.text.tokenizer import train_tokenizer

TOKENIZER = train_tokenizer(["a"], vocab=258)


def test_long_prompts_are_dropped_and_counted() -> None:
    records = [Prompt(id=str(n), text="p" * n, user_id="u") for n in (7, 8, 1)]
    prompts = load_prompts(records, TOKENIZER, Text(separator="\n", context=16, max_prompt=8, max_response=8))
    assert [TOKENIZER.decode(ids) for ids in prompts.ids] == ["ppppppp\n", "p\n"]
    assert prompts.records == [records[0], records[2]]
    assert (prompts.dropped.kept, prompts.dropped.long_prompts, len(prompts)) == (2, 1, 2)
