"""One way to bring files and folders to the disk, for every writer."""

import ast
import os
from pathlib import Path

import pytest

from house.sources import PACKAGE, parse, python_files
from instructloop.store.durable import sync


def test_a_file_and_a_folder_are_synced_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    for path in (tmp_path / "file", tmp_path):
        sync(path)
    assert synced == [(tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino]


def test_nothing_else_opens_a_path_to_sync_it() -> None:
    """Elsewhere `os.fsync` is only given the descriptor of a file that is being written."""
    opening = {
        str(path.relative_to(PACKAGE))
        for path in python_files("src")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "os.fsync" and not ast.unparse(node.args[0]).endswith(".fileno()")
    }
    assert opening == {"store/durable.py"}
