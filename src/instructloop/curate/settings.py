"""Every knob of curation: frozen, keyword-only, checked at birth, each with its source.

Sources: [§n], [App. n] the InstructGPT paper (arXiv 2203.02155); [ours] chosen here, with the measurement in docs/curation.md.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from instructloop.curate.pii.spans import KINDS, PiiKind
from instructloop.errors import ConfigError

StageName = Literal["consent", "language", "pii", "exact", "prefix", "cap", "length", "split", "few_shot"]
STAGES: tuple[StageName, ...] = get_args(StageName)
"""The stages in the order in which they act."""

Action = Literal["mask", "drop", "hold"]
"""What happens to a prompt with personal data: the place is overwritten, the prompt is dropped, or it waits for a person."""

Detection = Literal["builtin", "presidio", "both"]


@dataclass(frozen=True, kw_only=True)
class Curation:
    """What may stay of people's prompts, and in which split."""

    languages: tuple[str, ...] = ("en",)
    """Languages that stay, as ISO 639-1 codes. The paper measured 96 % English and kept everything [App. A.4]; here others go [ours]."""
    language_confidence: float = 0.5
    """A prompt goes for its language only where the classifier gives another language this probability; "Hi." is no evidence [ours]."""
    language_characters: int = 800
    """Characters the classifier reads from the start of a prompt; the verdict of longer readings was the same [ours]."""
    detector: Detection = "builtin"
    """Who looks for personal data: the built-in patterns, Presidio's (extra [pii]), or both."""
    pii_mask: tuple[PiiKind, ...] = ("email", "phone", "ip", "api_key")
    """Kinds of personal data that are overwritten by their name in brackets [ours; the paper filters its training split, §3.2]."""
    pii_drop: tuple[PiiKind, ...] = ("card", "iban", "ssn")
    """Kinds for which the whole prompt is dropped: money and identity papers."""
    pii_hold: tuple[PiiKind, ...] = ()
    """Kinds for which the prompt waits until a person releases it."""
    pii_score: float = 0.5
    """Findings below this score are ignored."""
    phone_regions: tuple[str, ...] = ("US", "GB", "IN", "AU", "DE", "FR", "ES", "IT")
    """Countries, as ISO 3166 codes, whose numbers are known without a +."""
    prefix_characters: int = 100
    """Two prompts that begin with this many equal characters may be near-duplicates; the paper gives no number [§3.2, ours]."""
    prefix_share: float = 0.8
    """They are if the common beginning is also this share of the shorter one; 0 leaves only the rule above [ours]."""
    per_user: int = 200
    """Prompts of one user that stay [§3.2]: those whose ids hash smallest."""
    max_tokens: int = 1024
    """Longer prompts are dropped [App. C.3]."""
    valid: float = 0.1
    """Share of the users in the validation split; the paper's customers give about a third of their RM prompts to it [Table 6]."""
    test: float = 0.1
    """Share of the users in the test split."""
    seed: int = 0
    """Another seed is another split."""

    def __post_init__(self) -> None:
        self._check_numbers()
        actions = [kind for kinds in (self.pii_mask, self.pii_drop, self.pii_hold) for kind in kinds]
        if repeated := sorted({kind for kind in actions if actions.count(kind) > 1}):
            raise ConfigError(f"{repeated[0]!r} has two actions", expected="each kind in one of pii_mask, pii_drop, pii_hold", remedy="name it once")
        if unknown := sorted(set(actions) - set(KINDS)):
            raise ConfigError(f"the kind {unknown[0]!r} is not known", expected=f"some of {', '.join(KINDS)}", remedy="correct the name")
        if not self.languages:
            raise ConfigError("no language is to stay", expected="at least one", remedy="name some, or omit the stage `language`")

    @property
    def fractions(self) -> dict[str, float]:
        """Split -> its share of the users."""
        shares = {"train": 1 - self.valid - self.test, "valid": self.valid, "test": self.test}
        return {split: share for split, share in shares.items() if share > 0}

    def action(self, kind: PiiKind) -> Action | None:
        """What happens to prompts in which `kind` is found; None lets them be."""
        lists: tuple[tuple[Action, tuple[PiiKind, ...]], ...] = (("mask", self.pii_mask), ("drop", self.pii_drop), ("hold", self.pii_hold))
        return next((action for action, kinds in lists if kind in kinds), None)

    def _check_numbers(self) -> None:
        for name in ("language_confidence", "pii_score", "prefix_share"):
            _require(0 <= getattr(self, name) <= 1, f"{name} is {getattr(self, name)}", "between 0 and 1")
        for name in ("language_characters", "prefix_characters", "per_user", "max_tokens"):
            _require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}", "at least 1")
        shares = f"valid {self.valid}, test {self.test}"
        _require(self.valid >= 0 and self.test >= 0 and self.valid + self.test < 1, shares, "0 or more each, and less than 1 together")


def _require(held: bool, came: str, expected: str) -> None:
    if not held:
        raise ConfigError(came, expected=expected, remedy="see `instructloop curate --help`")
