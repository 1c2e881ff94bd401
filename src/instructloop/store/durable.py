"""What is on disk to stay: writes and renames that survive a power cut."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Bring a file's bytes, or the names inside a folder, to the disk itself: after a rename, sync the folder it happened in."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
