"""Numbers that prove themselves: cards, IBANs, social security numbers, addresses of machines.

Each function takes plain text (see `view`) and yields (start, end, score).
"""

import ipaddress
import re
from collections.abc import Iterator

Found = tuple[int, int, float]

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28,
    "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18,
    "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32,
    "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25,
    "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""Country -> characters of an IBAN there (SWIFT's registry)."""

_CARD = re.compile(r"(?<![0-9A-Za-z])(?<![0-9][.,])[0-9](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z])(?!\.[0-9])")
_BRAND = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[689]\d)\d{11}|62\d{14,17}",
    re.ASCII,
)
"""Beginnings and lengths of the issuers: Visa, Mastercard, American Express, Discover, JCB, Diners, UnionPay."""
_CARD_CUE = re.compile(r"\b(?:card|visa|mastercard|amex|debit|credit)\b", re.IGNORECASE)

_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}(?=[ -]?[0-9A-Za-z])")

_SSN = re.compile(r"(?<![0-9A-Za-z])(?<![-.,/][0-9])(?<![-$#])(?!000|666|9)[0-9]{3}([- ])(?!00)[0-9]{2}\1(?!0000)[0-9]{4}(?![0-9A-Za-z]|[-.,/][0-9])")
_PLAIN_SSN = re.compile(r"(?<![0-9A-Za-z])(?!000|666|9)[0-9]{3}(?!00)[0-9]{2}(?!0000)[0-9]{4}(?![0-9A-Za-z])")
_SSN_CUE = re.compile(r"\bssn\b|social[ -]security", re.IGNORECASE)

_IPV4 = re.compile(
    r"(?<![0-9A-Za-z.])(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?![0-9A-Za-z]|\.[0-9])"
)
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4})?(?![0-9A-Za-z:])")
_NETWORK = re.compile(r"/[0-9]{1,2}(?![0-9])")
_NOT_AN_ADDRESS = re.compile(r"(?:\bv|version|ver\.|release|build|section|chapter|§|firmware|oid)[ :=]{0,2}$", re.IGNORECASE)
"""What stands before a version or a section of a text, which may have four numbers as well."""

CUE_REACH = 40
"""Characters before a number in which a word says what it is."""


def cards(text: str) -> Iterator[Found]:
    """Card numbers: 13 to 19 digits with a valid check digit, of an issuer's beginning and length or after a word like "card"."""
    for match in _CARD.finditer(text):
        digits = re.sub(r"[ -]", "", match[0])
        if not has_luhn(digits) or len(set(digits)) == 1:
            continue
        if _BRAND.fullmatch(digits):
            yield match.start(), match.end(), 0.95
        elif _CARD_CUE.search(text, max(match.start() - CUE_REACH, 0), match.start()):
            yield match.start(), match.end(), 0.7


def ibans(text: str) -> Iterator[Found]:
    """IBANs: a country, its length, and remainder 1 modulo 97; spaces or hyphens may stand between groups."""
    for match in _IBAN.finditer(text):
        end = _iban_end(text, match.start(), IBAN_LENGTHS.get(match[0][:2].upper(), 0))
        if end and has_mod97(re.sub(r"[ -]", "", text[match.start() : end])):
            yield match.start(), end, 0.98


def social_security_numbers(text: str) -> Iterator[Found]:
    """US social security numbers that can exist: three groups, or nine digits after a word that says so."""
    for match in _SSN.finditer(text):
        named = _SSN_CUE.search(text, max(match.start() - CUE_REACH, 0), match.start())
        if named or match[1] == "-":
            yield match.start(), match.end(), 0.9 if named else 0.75
    if _SSN_CUE.search(text):
        for match in _PLAIN_SSN.finditer(text):
            if _SSN_CUE.search(text, max(match.start() - CUE_REACH, 0), match.start()):
                yield match.start(), match.end(), 0.7


def ip_addresses(text: str) -> Iterator[Found]:
    """IPv4 and IPv6 addresses, but for those that name no machine: loopback, unspecified, masks, multicast, networks ("10.0.1.0/24")."""
    for match in _IPV4.finditer(text):
        named_otherwise = _NOT_AN_ADDRESS.search(text, max(match.start() - CUE_REACH, 0), match.start())
        is_network = match[0].endswith(".0") and _NETWORK.match(text, match.end())
        if not named_otherwise and not is_network and _names_a_machine(match[0]):
            yield match.start(), match.end(), 0.9
    for match in _IPV6.finditer(text):
        if any(character.isdigit() for character in match[0]) and _names_a_machine(match[0]):
            yield match.start(), match.end(), 0.9


def has_luhn(digits: str) -> bool:
    """True if the last digit is the check digit of those before it (ISO/IEC 7812)."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0


def has_mod97(iban: str) -> bool:
    """True if the number has remainder 1 modulo 97 (ISO 13616), its first four characters moved to its end and A read as 10."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _iban_end(text: str, start: int, length: int) -> int | None:
    """Where an IBAN of so many characters ends; None if the text ends before, or goes on like a word."""
    place, read = start, 0
    while read < length and place < len(text):
        if text[place].isascii() and text[place].isalnum():
            read += 1
        elif text[place] not in " -" or not text[place - 1].isalnum():
            return None
        place += 1
    goes_on = place < len(text) and text[place].isalnum()
    return None if not length or read < length or goes_on else place


def _names_a_machine(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    is_mask = parsed.version == 4 and address.startswith("255.")
    return not (parsed.is_loopback or parsed.is_unspecified or parsed.is_multicast or is_mask)
