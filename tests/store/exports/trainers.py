"""Reads every export of the example as other people's trainers would: `python trainers.py` where datasets and trl are installed.

pip install datasets==4.4.1 pyarrow; pip install --no-deps trl==0.25.1

Hugging Face `datasets` loads each file, JSON lines and Parquet; TRL's own checks say what it takes each row for. The package itself must be
importable too: PYTHONPATH=src.
"""

COLUMNS = {"prompts": {"prompt"}, "demonstrations": {"messages"}, "pairs": {"prompt", "chosen", "rejected"}}
READERS = {".jsonl": "json", ".jsonl.gz": "json", ".parquet": "parquet"}
