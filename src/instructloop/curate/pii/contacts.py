"""Ways to reach a person: e-mail addresses, written plainly or in words, and telephone numbers.

Each function takes plain text (see `view`) and yields (start, end, score).
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from instructloop.curate.pii.numbers import CUE_REACH, Found

_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}(?![\w@-])")
_LOCAL = frozenset("!#$%&'*+-/=?^_`{|}~.")
LONGEST_LOCAL = 64
"""Characters before the @ (RFC 5321)."""
FILE_ENDINGS = frozenset(
    ("png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "css", "js", "ts", "json", "xml", "html", "md", "txt", "py", "java", "class")
)
"""What stands after the last full stop of "icon@2x.png"."""

_TLD = "com|org|net|edu|gov|io|co|ai|info|biz|me|uk|us|de|fr|es|it|nl|ch|at|eu|in|au|ca|br|jp|ru|se|no|pl|mx"
_NAME, _LABEL = r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}", r"[A-Za-z0-9][A-Za-z0-9-]{0,62}"
_BRACKETED = re.compile(
    rf"(?<![\w.@])(?P<name>{_NAME})\s*[\[({{<]\s*(?:at|@)\s*[\])}}>]\s*{_LABEL}(?:\s*(?:[\[({{<]\s*(?:dot|\.)\s*[\])}}>]|\.|\bdot\b)\s*{_LABEL})+(?![\w@])",
    re.IGNORECASE,
)
_SPOKEN = re.compile(
    rf"(?<![\w.@])(?P<name>{_NAME}(?:\sdot\s{_NAME})?)\s+at\s+{_LABEL}(?:\s+dot\s+{_LABEL})*?\s+dot\s+(?:{_TLD})(?:\s+dot\s+uk)?(?!\w)", re.IGNORECASE
)
_WORDS = frozenset(
    (
        "us", "me", "it", "is", "are", "was", "be", "am", "look", "looks", "looking", "visit", "find", "found", "site", "website", "online",
        "available", "hosted", "here", "there", "them", "him", "her", "you", "we", "all", "shop", "buy", "order", "live", "works", "working",
        "stay", "meet", "see", "check", "book", "read", "more", "out", "and", "or", "page", "pages", "store", "located", "registered", "sold",
        "arrive",
    )
)  # fmt: skip
"""Words before "at example dot com" that make it a website."""
_OBFUSCATED = re.compile(r"\bdot\b|[\[({<]\s*(?:at|@|\.)\s*[\])}>]", re.IGNORECASE)

_PHONE = re.compile(
    r"(?<![0-9A-Za-z_+])(?:\+\s?|00)?\(?[0-9](?:[ .\-/()]{0,2}[0-9]){6,16}(?![0-9A-Za-z_]|[.,:][0-9])(?:\s?(?:x|ext\.?)\s?[0-9]{1,5}\b)?"
)
_EXTENSION = re.compile(r"\s?(?:x|ext)")
_NANP = re.compile(r"(?:\+?1[ .-]?)?(?:\([2-9][0-9]{2}\)[ .-]?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}")
_SEVEN = re.compile(r"[2-9][0-9]{2}[ .-][0-9]{4}")
_DATE = re.compile(
    r"(?:1[0-9]|20)[0-9]{2}[-./ ](?:0?[1-9]|1[0-2])[-./ ][0-3]?[0-9](?![0-9])|[0-3]?[0-9][-./ ][0-3]?[0-9][-./ ](?:19|20)[0-9]{2}(?![0-9])"
)
_YEARS = re.compile(r"(?:1[0-9]|20)[0-9]{2}\s?[-/ ]\s?(?:1[0-9]|20)[0-9]{2}(?![0-9])")
_SSN_SHAPE = re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}")
_PHONE_CUE = re.compile(
    r"\b(?:phone|telephone|tel|mobile|cell|call|calling|called|dial|ring|rang|text|texted|sms|whatsapp|signal|fax|reach|contact|hotline|landline)\b",
    re.IGNORECASE,
)
_OTHER_CUE = re.compile(
    r"(?:isbn|issn|order|invoice|ticket|sku|part|serial|model|version|tracking|case|account|acct|routing|doi|patent|upc|ean|barcode|product|item"
    r"|policy|reference|ref|id|po|build|timestamp|epoch|seed|coordinates|lat|lon)\b[^.!?\n]{0,14}$",
    re.IGNORECASE,
)
"""What else long numbers are."""


def emails(text: str) -> Iterator[Found]:
    """Addresses with an @; time grows with the length of the text, whatever it holds."""
    place = text.find("@")
    while place >= 0:
        if (domain := _DOMAIN.match(text, place + 1)) and _can_be_mail(domain[0]):
            start = _local_start(text, place)
            is_repository = text[start:place] == "git" and text[domain.end() : domain.end() + 1] == ":"
            if start < place and not is_repository:
                yield start, domain.end(), 0.95
        place = text.find("@", place + 1)


def obfuscated_emails(text: str) -> Iterator[Found]:
    """Addresses in words: "name (at) example (dot) com" in any mixture, "name at example dot com" where it cannot be a website."""
    if not _OBFUSCATED.search(text):
        return
    for match in _BRACKETED.finditer(text):
        yield match.start(), match.end(), 0.85
    for match in _SPOKEN.finditer(text):
        if match["name"].lower() not in _WORDS:
            yield match.start(), match.end(), 0.7


def phones(text: str, regions: Sequence[str]) -> Iterator[Found]:
    """Telephone numbers of seven digits or more, with + or as they are written in `regions`; dates, prices and other numbers are not."""
    for match in _PHONE.finditer(text):
        opens = match[0].startswith("(") and ")" not in match[0]  # a bracket around more than the number is none of its
        start = match.start() + opens
        if score := _phone_score(text, start, match.end(), regions):
            yield start, match.end(), score


def _can_be_mail(domain: str) -> bool:
    *labels, last = domain.split(".")
    all_numbers = len(labels) > 1 and all(label.isdigit() for label in labels)
    return last.lower() not in FILE_ENDINGS and not all_numbers


def _local_start(text: str, at: int) -> int:
    """Where the local part before the @ begins; at the @ itself if there is none."""
    start = at
    while start > max(at - LONGEST_LOCAL, 0) and (text[start - 1].isalnum() or text[start - 1] in _LOCAL):
        start -= 1
    while start < at and not (text[start].isalnum() or text[start] == "_"):
        start += 1
    return start if at > start and text[at - 1] != "." else at


def _phone_score(text: str, start: int, end: int, regions: Sequence[str]) -> float | None:
    """How sure it is that a run of digits is a telephone number; None if it is something else."""
    shown, before = _EXTENSION.split(text[start:end])[0], text[max(start - CUE_REACH, 0) : start]
    if shown.startswith(("+", "00")):
        return _international_score(shown)
    cued = bool(_PHONE_CUE.search(before))
    if _is_something_else(shown, before, cued=cued):
        return None
    if _NANP.fullmatch(shown):
        return 0.85 if cued or _is_valid(shown, ("US",)) else 0.7 if "555" in shown else None
    if _SEVEN.fullmatch(shown):
        return 0.6 if cued else None
    separated = not shown.isdigit()
    if shown.startswith(("0", "(0")) and separated and _is_valid(shown, regions):
        return 0.8
    return 0.65 if cued and _is_valid(shown, regions) else None


def _is_something_else(shown: str, before: str, *, cued: bool) -> bool:
    """A date, years, a social security number, a row of numbers, a price, the rest of a decimal number; after another word, what that says."""
    otherwise_named = not cued and bool(_OTHER_CUE.search(before))
    known_shape = _DATE.match(shown) or _YEARS.match(shown) or _SSN_SHAPE.fullmatch(shown) or re.search(r"[0-9][.,:/]$|[#$€£¥]\s?$", before)
    return otherwise_named or bool(known_shape) or not _is_grouped(shown)


def _international_score(shown: str) -> float | None:
    phonenumbers, number = _parsed("+" + shown[2:] if shown.startswith("00") else shown, None)
    if number is None:
        return None
    if phonenumbers.is_valid_number(number):
        return 0.95
    return 0.75 if shown.startswith("+") and phonenumbers.is_possible_number(number) else None


def _is_grouped(shown: str) -> bool:
    """Groups of a number that is dialled have two digits or more, but for the first: "2 4 6 8 10 12" is a row of numbers."""
    groups = re.findall(r"[0-9]+", shown)
    return all(len(group) > 1 for group in groups[1:])


def _is_valid(shown: str, regions: Sequence[str]) -> bool:
    for region in regions:
        phonenumbers, number = _parsed(shown, region)
        if number is not None and phonenumbers.is_valid_number(number):
            return True
    return False


def _parsed(shown: str, region: str | None) -> tuple[Any, Any]:
    """The library and the number it reads, None where it reads none. Imported here: it takes a tenth of a second."""
    import phonenumbers

    try:
        return phonenumbers, phonenumbers.parse(shown, region)
    except phonenumbers.NumberParseException:
        return phonenumbers, None
