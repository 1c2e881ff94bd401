"""Secrets of machines: API keys by the prefixes of those who issue them, tokens, private keys, passwords in addresses."""

import re
from collections.abc import Iterator

from instructloop.curate.pii.numbers import Found

_PREFIXED = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-(?:proj-|ant-|or-|svcacct-)?[A-Za-z0-9_-]{20,200}"  # OpenAI, Anthropic, OpenRouter
    r"|gh[opusr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{22,244}|glpat-[A-Za-z0-9_-]{20,50}"  # GitHub, GitLab
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # Amazon
    r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,500}"  # Google
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,250}|hf_[A-Za-z0-9]{30,60}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,250}"  # Slack, Hugging Face, npm, PyPI
    r"|[srp]k_(?:live|test)_[A-Za-z0-9]{16,250}|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}|SK[0-9a-f]{32}"  # Stripe, SendGrid, Twilio
    r"|eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}"  # JSON Web Token
    r")(?![A-Za-z0-9_-])"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----(?:[A-Za-z0-9+/=\s:,-]{0,6000}?-----END (?:[A-Z]+ ){0,3}PRIVATE KEY-----)?")
_PASSWORD_IN_ADDRESS = re.compile(r"(?<=://)[^\s/:@\"'<>\[\]{}$]{1,64}:[^\s/@\"'<>\[\]{}$]{3,128}(?=@[A-Za-z0-9])")
HINT = re.compile(r"sk-|gh[opusr]_|github_pat_|glpat-|AKIA|ASIA|AIza|ya29|xox|hf_|npm_|pypi-|[srp]k_|SG\.|SK|eyJ|PRIVATE|://", re.ASCII)
"""What a text holds at least if any secret is in it."""


def api_keys(text: str) -> Iterator[Found]:
    """Keys, tokens and passwords that show by their form what they are."""
    if not HINT.search(text):
        return
    for match in _PREFIXED.finditer(text):
        if _looks_random(match[0]):
            yield match.start(), match.end(), 0.95
    for pattern in (_PRIVATE_KEY, _PASSWORD_IN_ADDRESS):
        for match in pattern.finditer(text):
            yield match.start(), match.end(), 0.97


def _looks_random(key: str) -> bool:
    """Digits and letters mixed, many different ones: "sk-xxxxxxxxxxxxxxxxxxxxxxxx" and "sk-learn-compatible-estimators" are no keys."""
    body = re.split(r"[-_.]", key, maxsplit=1)[-1] if not key.startswith(("AKIA", "ASIA", "AIza", "eyJ")) else key[4:]
    return len(set(body)) >= 8 and any(character.isdigit() for character in body)
