"""Guides: those that ship with the package, and any guide as parts of a page.

A guide is plain text with headings (`#`, `##`), lists (`- `) and paragraphs between blank lines. Nothing else has a meaning, so whatever
a lead writes is shown as text.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from instructloop.store.database.queues import Mode

Part = Literal["title", "heading", "list", "paragraph"]


@dataclass(frozen=True)
class Block:
    """A part of a guide: one line of text, or the items of a list."""

    part: Part
    lines: tuple[str, ...]


def shipped_guide(mode: Mode) -> str:
    """The guide for an instruction mode that comes with the package: for leads to publish as it is, or to begin from."""
    return files("instructloop.web").joinpath("guides", f"{mode}.md").read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """The parts of a guide, in order."""
    found: list[Block] = []
    for chunk in text.replace("\r\n", "\n").split("\n\n"):
        lines = [line.strip() for line in chunk.splitlines() if line.strip()]
        while lines and lines[0].startswith("#"):
            heading = lines.pop(0)
            found.append(Block("title" if heading.startswith("# ") else "heading", (heading.lstrip("#").strip(),)))
        if lines:
            found += _body(lines)
    return found


def _body(lines: list[str]) -> list[Block]:
    """The lines before the first item are a paragraph; a line after an item that is none goes on with it."""
    paragraph: list[str] = []
    items: list[str] = []
    for line in lines:
        if line.startswith("- "):
            items.append(line[2:].strip())
        elif items:
            items[-1] += f" {line}"
        else:
            paragraph.append(line)
    return ([Block("paragraph", (" ".join(paragraph),))] if paragraph else []) + ([Block("list", tuple(items))] if items else [])
