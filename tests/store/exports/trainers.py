"""Reads the exports of the example as other people's trainers do: `PYTHONPATH=src python trainers.py` where the package is, and

pip install datasets==5.2.0 pyarrow==26.0.1 && pip install --no-deps trl==1.16.0

Hugging Face `datasets` loads each file, JSON lines and Parquet. TRL's own functions say what they take a row for, and put it through a
chat template; they are read from its file `data_utils.py`, since the package as a whole brings PyTorch.
"""

import importlib.util
import sys
import tempfile
import types
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import datasets

from instructloop.loop.example.filling import fill
from instructloop.store.database.data_export import EXPORTS, export_data
from instructloop.store.database.opening import open_store

COLUMNS = {"prompts": ["prompt"], "demonstrations": ["messages"], "pairs": ["chosen", "prompt", "rejected"]}
