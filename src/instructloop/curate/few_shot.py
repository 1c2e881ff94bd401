"""Few-shot prompts: one instruction and several answered examples become as many demonstrations (paper A.1).

    Say whether the tweet is happy.

    Query: I passed!
    Response: happy

    Query: It rained again.
    Response: unhappy

K examples become K prompts: each example once as the question, its answer left out, the other K − 1 before it in their order.
The answer that was left out is the demonstration, by whoever wrote the few-shot prompt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from instructloop.errors import DataError
from instructloop.records import Demonstration, Prompt

MARKERS: Sequence[tuple[str, str]] = (("Query:", "Response:"), ("Input:", "Output:"), ("Q:", "A:"))
"""What may stand before the two halves of an example."""
PART = "/shot-"
"""What stands in the id of a part between the id of the whole and the number of the example that it asks."""


@dataclass(frozen=True)
class FewShot:
    """An instruction, and examples of it: (query, response)."""

    instruction: str
    examples: tuple[tuple[str, str], ...]
    markers: tuple[str, str] = MARKERS[0]

    def __str__(self) -> str:
        """The prompt as people see it; `parse_few_shot` reads it back."""
        return "\n\n".join([self.instruction, *(f"{self._asked(query)} {response}" for query, response in self.examples)])

    def without(self, index: int) -> str:
        """The prompt that asks for the response of one example, the others before it."""
        others = replace(self, examples=(*self.examples[:index], *self.examples[index + 1 :]))
        return f"{others}\n\n{self._asked(self.examples[index][0])}"

    def _asked(self, query: str) -> str:
        before, after = self.markers
        return f"{before} {query}\n{after}"


def write_few_shot(instruction: str, examples: Sequence[tuple[str, str]]) -> str:
    """The text of a few-shot prompt; raises `DataError` for parts that could not be told apart when it is read again."""
    shots = FewShot(instruction, tuple(examples))
    if parse_few_shot(str(shots)) != shots:
        raise DataError(
            f"a few-shot prompt of {len(examples)} examples cannot be told apart into its parts",
            expected="an instruction and examples without spaces at their ends, none empty, none with lines that begin with "
            + " or ".join(repr(marker) for marker in MARKERS[0]),
            remedy="reword it",
        )
    return str(shots)


def parse_few_shot(text: str) -> FewShot | None:
    """The parts of a few-shot prompt; None for a text of another form, or whose last example waits for its answer."""
    return next((shots for markers in MARKERS if (shots := _parse(text.strip(), markers))), None)


def expand(prompt: Prompt) -> list[Demonstration]:
    """One demonstration for each example of a few-shot prompt; none where its text has another form."""
    shots = parse_few_shot(prompt.text)
    return [] if shots is None else list(_leave_one_out(prompt, shots))


def whole_of(prompt_id: str) -> str | None:
    """The id of the few-shot prompt of which this one is a part; None for a prompt that is no part."""
    whole, part, _ = prompt_id.rpartition(PART)
    return whole if part else None


def _leave_one_out(prompt: Prompt, shots: FewShot) -> Iterator[Demonstration]:
    for index, (_, response) in enumerate(shots.examples):
        asked = replace(prompt, id=f"{prompt.id}{PART}{index + 1}", text=shots.without(index))
        yield Demonstration(prompt=asked, text=response, labeler_id=prompt.user_id, provenance=prompt.provenance)


def _parse(text: str, markers: tuple[str, str]) -> FewShot | None:
    before, after = markers
    instruction, *blocks = text.split(f"\n\n{before} ")
    halves = [tuple(block.split(f"\n{after} ")) for block in blocks]
    parts = [instruction, *(part for pair in halves for part in pair)]
    if not halves or any(len(pair) != 2 for pair in halves) or any(not part or part != part.strip() for part in parts):
        return None
    return FewShot(instruction, tuple((pair[0], pair[1]) for pair in halves), markers)
