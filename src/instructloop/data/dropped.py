"""How many examples were left out because of their length: nothing is truncated in silence."""

from dataclasses import asdict, dataclass

from instructloop.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Counts of what a loader kept and dropped; steps print it before they start."""

    kept: int
    long_prompts: int = 0
    """Examples whose prompt has more than `max_prompt` tokens [App. C.3]."""
    long_answers: int = 0
    """Demonstrations whose answer, or single answers of rankings that, with the end token, have more than `max_response`."""
    short_rankings: int = 0
    """Rankings with fewer than two answers left."""
    without_pairs: int = 0
    """Rankings in which all answers tie: they have no pair to learn from (law C6)."""

    def require_some(self, what: str) -> None:
        """Raise `DataError` if nothing of `what` was kept."""
        if not self.kept:
            raise DataError(f"none of the {what} can be used: {self}", expected="at least one", remedy="raise text.max_prompt and text.max_response")

    def __str__(self) -> str:
        counts = asdict(self)
        reasons = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if name != "kept" and count]
        return f"{self.kept} kept; dropped: {', '.join(reasons) if reasons else 'none'}"
