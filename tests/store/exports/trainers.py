"""Reads the exports of the example as other people's trainers do: `PYTHONPATH=src python trainers.py` in an environment of its own.

pip install . pyarrow datasets==5.2.0 transformers==5.24.0 && pip install --no-deps trl==1.16.0

Every data set is loaded by Hugging Face `datasets`, from JSON lines, plain and compressed, and from Parquet. In the layout of TRL the
columns must be those of one of its types of data sets, TRL must take conversations for conversations, and put them through a chat template.
Without PyTorch: the functions that look at data do not need it.
"""

import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import datasets
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast
from trl.data_utils import is_conversational, maybe_apply_chat_template, maybe_extract_prompt, unpair_preference_dataset

from instructloop.loop.example.filling import fill
from instructloop.store.database.data_export import EXPORTS, export_data
from instructloop.store.database.opening import open_store

COLUMNS = {"prompts": {"prompt"}, "demonstrations": {"messages"}, "pairs": {"prompt", "chosen", "rejected"}}
"""Data set -> columns by which TRL knows it: prompt-only, language modeling, preference with an explicit prompt."""
TEMPLATE = "{% for turn in messages %}[{{ turn.role }}] {{ turn.content }}\n{% endfor %}"
READERS = {".jsonl": "json", ".jsonl.gz": "json", ".parquet": "parquet"}


def exports(folder: Path) -> Iterator[tuple[str, str, str, int, Path]]:
    """(data set, layout, suffix, rows, file) of everything that can be exported."""
    store = open_store(folder / "example.db")
    fill(store)
    for what, layout in EXPORTS:
        for suffix in READERS:
            file = folder / f"{what}-{layout}{suffix}"
            yield what, layout, suffix, export_data(store, None, what, file, layout=layout), file
    store.close()


def check_for_trl(what: str, data: datasets.Dataset) -> str:
    """What TRL takes the data set for; raises `AssertionError` if that is not what it is."""
    assert set(data.column_names) == COLUMNS[what], data.column_names
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"x": 0}, unk_token="x")), chat_template=TEMPLATE)
    conversational = is_conversational(data[0])
    assert conversational == (what == "demonstrations")
    applied = data.map(lambda row: maybe_apply_chat_template(row, tokenizer))
    if what == "demonstrations":
        assert applied[0]["text"] == "".join(f"[{turn['role']}] {turn['content']}\n" for turn in data[0]["messages"])
    if what == "pairs":
        assert maybe_extract_prompt(data[0]) == data[0]
        assert len(unpair_preference_dataset(data)) == 2 * len(data)
    return "conversational" if conversational else "standard"


def main() -> None:
    """Say what was loaded, and with which versions."""
    print(" ".join(f"{name} {version(name)}" for name in ("datasets", "pyarrow", "transformers", "trl")))
    with tempfile.TemporaryDirectory() as name:
        for what, layout, suffix, rows, file in exports(Path(name)):
            data = datasets.load_dataset(READERS[suffix], data_files=str(file), split="train", cache_dir=f"{name}/cache")
            assert len(data) == rows
            print(f"{what:15} {layout:7} {suffix:10} {rows:4} rows  {check_for_trl(what, data) if layout == 'trl' else ''}".rstrip())


if __name__ == "__main__":
    main()
