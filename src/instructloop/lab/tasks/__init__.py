"""What can be asked in the small world: one file for each task, with how it is asked, written and read."""

from collections.abc import Mapping

from instructloop.lab.asking import Task
from instructloop.lab.tasks.extract import EXTRACT
from instructloop.lab.tasks.letter import LETTER
from instructloop.lab.tasks.listing import LISTING
from instructloop.lab.tasks.question import QUESTION
from instructloop.lab.tasks.reading import READING
from instructloop.lab.tasks.reply import REPLY
from instructloop.lab.tasks.rewriting import REWRITING
from instructloop.lab.tasks.sorting import SORTING
from instructloop.lab.tasks.story import STORY, TALE
from instructloop.lab.tasks.summary import SUMMARY

TASKS: Mapping[str, Task] = {
    task.name: task for task in (STORY, TALE, LETTER, QUESTION, READING, LISTING, REPLY, REWRITING, SUMMARY, SORTING, EXTRACT)
}
"""Name -> task."""

SHARES: Mapping[str, float] = {
    "story": 0.14, "tale": 0.08, "letter": 0.1, "question": 0.16, "listing": 0.11, "reply": 0.1, "rewriting": 0.08,
    "summary": 0.06, "sorting": 0.06, "reading": 0.07, "extract": 0.04,
}  # fmt: skip
"""How often each is asked: in the order of the paper's Table 1, less uneven."""
