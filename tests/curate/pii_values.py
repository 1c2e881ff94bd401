"""Made-up personal data in many forms, and numbers that look like them and are none. Every value comes from a seeded generator.

Telephone numbers are from the ranges that regulators keep for fiction, domains and machines from those kept for examples
(RFC 2606, 5737, 3849) or invented; cards, IBANs and keys are random with right check digits.
"""

import string
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from random import Random

Maker = Callable[[Random], str]

NAMES = ("anna", "ben", "carlos", "dmitri", "emma", "fatima", "george", "hannah", "ivan", "julia", "kofi", "lena", "maria", "noah", "omar", "priya")
FAMILIES = ("smith", "garcia", "mueller", "okafor", "tanaka", "rossi", "novak", "larsen", "costa", "dubois", "haas", "ivanova", "jones", "khan")
DOMAINS = ("example.com", "example.org", "mail.example.net", "post.example.co.uk", "firma-test.de", "uni.example.edu", "blue-sky.io", "kleinpost.fr")
LETTERS, HEX = string.ascii_letters + string.digits, "0123456789abcdef"


def digits(rng: Random, count: int) -> str:
    """So many digits."""
    return "".join(rng.choices(string.digits, k=count))


def person(rng: Random) -> str:
    """The part of an address before the @."""
    name, family = rng.choice(NAMES), rng.choice(FAMILIES)
    return rng.choice((f"{name}.{family}", f"{name}{rng.randint(1, 99)}", f"{name[0]}{family}", f"{name}_{family}", f"{name}.{family}+news"))


def with_luhn(rng: Random, prefix: str, length: int) -> str:
    """A number of this beginning and length whose last digit is right."""
    body = prefix + digits(rng, length - len(prefix) - 1)
    total = sum(int(d) if i % 2 else sum(divmod(2 * int(d), 10)) for i, d in enumerate(reversed(body)))
    return body + str(-total % 10)


def grouped(number: str, sizes: Sequence[int], separator: str) -> str:
    """A number in groups."""
    places = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    return separator.join(number[a:b] for a, b in pairwise(places) if number[a:b])


def iban(rng: Random, country: str, body: str) -> str:
    """An IBAN with right check digits; in `body` 9 becomes a digit and A a letter."""
    filled = "".join(rng.choice(string.digits) if c == "9" else rng.choice(string.ascii_uppercase) for c in body)
    number = int("".join(str(int(c, 36)) for c in filled + country + "00"))
    return f"{country}{98 - number % 97:02d}{filled}"


def random_iban(rng: Random) -> str:
    """Of one of seven countries."""
    shapes = {"DE": "9" * 18, "GB": "AAAA" + "9" * 14, "FR": "9" * 10 + "A" + "9" * 12, "NL": "AAAA" + "9" * 10, "ES": "9" * 20, "CH": "9" * 17}
    country = rng.choice([*shapes, "BE"])
    return iban(rng, country, shapes.get(country, "9" * 12))


def ssn(rng: Random, separator: str) -> str:
    """A social security number that could exist."""
    area = rng.choice([n for n in range(1, 900) if n != 666])
    return separator.join((f"{area:03d}", f"{rng.randint(1, 99):02d}", f"{rng.randint(1, 9999):04d}"))


def key(rng: Random, prefix: str, count: int, letters: str = LETTERS) -> str:
    """A prefix and random characters, a digit among them."""
    return prefix + "".join(rng.choices(letters, k=count - 1)) + rng.choice(string.digits)


def spoken(rng: Random, at: str, dot: str) -> str:
    """An address in words."""
    name = rng.choice(NAMES) + rng.choice(("", "." + rng.choice(FAMILIES)))
    return f"{name}{at}{rng.choice(('example', 'blue-sky', 'firma-test'))}{dot}{rng.choice(('com', 'org', 'net'))}"


def ipv4(rng: Random) -> str:
    """Of the ranges for documentation, or a private one."""
    return rng.choice(("192.0.2.", "198.51.100.", "203.0.113.", "10.1.2.", "192.168.7.")) + str(rng.randint(1, 254))


def card(rng: Random) -> str:
    """Sixteen digits of Visa or Mastercard."""
    return with_luhn(rng, rng.choice(("4", "51", "55", "2221", "4539")), 16)


TUNING: Mapping[str, Mapping[str, Maker]] = {
    "email": {
        "plain": lambda rng: f"{person(rng)}@{rng.choice(DOMAINS)}",
        "capitals": lambda rng: f"{person(rng)}@{rng.choice(DOMAINS)}".upper(),
        "(at)": lambda rng: spoken(rng, " (at) ", " (dot) "),
        "[at]": lambda rng: spoken(rng, "[at]", "."),
        "words": lambda rng: spoken(rng, " at ", " dot "),
    },
    "phone": {
        "us": lambda rng: f"({rng.choice((212, 312, 415))}) 555-01{digits(rng, 2)}",
        "us dashes": lambda rng: f"{rng.choice((212, 312, 415))}-555-01{digits(rng, 2)}",
        "+1": lambda rng: f"+1 {rng.choice((212, 312, 415))} 555 01{digits(rng, 2)}",
        "uk": lambda rng: f"020 7946 0{digits(rng, 3)}",
        "+44": lambda rng: f"+44 20 7946 0{digits(rng, 3)}",
    },
    "card": {"spaces": lambda rng: grouped(card(rng), (4, 4, 4, 4), " "), "bare": card},
    "iban": {"groups": lambda rng: grouped(random_iban(rng), (4,) * 9, " "), "bare": random_iban},
    "ssn": {"dashes": lambda rng: ssn(rng, "-")},
    "ip": {"v4": ipv4, "v6": lambda rng: f"2001:db8:{rng.randint(1, 9999):x}::{rng.randint(1, 9999):x}"},
    "api_key": {
        "openai": lambda rng: key(rng, "sk-", 48),
        "github": lambda rng: key(rng, "ghp_", 36),
        "amazon": lambda rng: key(rng, "AKIA", 16, string.ascii_uppercase + string.digits),
    },
}
"""Kind -> form -> maker, for the part that patterns may be tuned on."""

HELD_OUT: Mapping[str, Mapping[str, Maker]] = {
    "email": {
        "plain": lambda rng: f"{person(rng)}@{rng.choice(DOMAINS)}",
        "digits": lambda rng: f"{digits(rng, 6)}@{rng.choice(('163.com', 'example.info', 'web.example.org'))}",
        "umlaut": lambda rng: f"jürgen.{rng.choice(FAMILIES)}@münchen-post.de",
        "{at}": lambda rng: spoken(rng, " {at} ", " {dot} "),
        "AT": lambda rng: spoken(rng, " AT ", " DOT "),
        "(at) .": lambda rng: spoken(rng, "(at)", "."),
        "zero width": lambda rng: "\u200b@".join((person(rng), rng.choice(DOMAINS))),
        "fullwidth": lambda rng: f"{person(rng)}＠{rng.choice(DOMAINS)}",
    },
    "phone": {
        "dots": lambda rng: f"{rng.choice((303, 617, 206))}.555.01{digits(rng, 2)}",
        "extension": lambda rng: f"({rng.choice((303, 617, 206))}) 555-01{digits(rng, 2)} ext. {rng.randint(10, 999)}",
        "bare": lambda rng: f"{rng.choice((303, 617, 206))}55501{digits(rng, 2)}",
        "uk mobile": lambda rng: f"07700 900{digits(rng, 3)}",
        "de": lambda rng: f"030 23125 {digits(rng, 3)}",
        "+49": lambda rng: f"+49 (0)30 23125 {digits(rng, 3)}",
        "au": lambda rng: f"+61 2 5550 {digits(rng, 4)}",
        "fr": lambda rng: f"01 99 00 {digits(rng, 2)} {digits(rng, 2)}",
        "00": lambda rng: f"0044 20 7946 0{digits(rng, 3)}",
    },
    "card": {
        "dashes": lambda rng: grouped(card(rng), (4, 4, 4, 4), "-"),
        "amex": lambda rng: grouped(with_luhn(rng, rng.choice(("34", "37")), 15), (4, 6, 5), " "),
        "discover": lambda rng: with_luhn(rng, "6011", 16),
    },
    "iban": {
        "small letters": lambda rng: random_iban(rng).lower(),
        "hyphens": lambda rng: grouped(random_iban(rng), (4,) * 9, "-"),
        "bare": random_iban,
    },
    "ssn": {"dashes": lambda rng: ssn(rng, "-"), "spaces": lambda rng: ssn(rng, " "), "bare": lambda rng: ssn(rng, "")},
    "ip": {
        "v4": ipv4,
        "v6 full": lambda rng: ":".join(["2001", "0db8", *(f"{rng.randint(0, 65535):04x}" for _ in range(6))]),
        "v6 link": lambda rng: f"fe80::{rng.randint(4096, 65535):x}:{rng.randint(4096, 65535):x}",
    },
    "api_key": {
        "openai project": lambda rng: key(rng, "sk-proj-", 64, LETTERS + "_-"),
        "anthropic": lambda rng: key(rng, "sk-ant-api03-", 80, LETTERS + "_-"),
        "github new": lambda rng: key(rng, "github_pat_", 60),
        "google": lambda rng: key(rng, "AIza", 35),
        "slack": lambda rng: f"xoxb-{digits(rng, 11)}-{digits(rng, 12)}-{key(rng, '', 24)}",
        "stripe": lambda rng: key(rng, "sk_live_", 24),
        "hugging face": lambda rng: key(rng, "hf_", 34),
        "token": lambda rng: f"{key(rng, 'eyJ', 30)}.{key(rng, 'eyJ', 60)}.{key(rng, '', 40)}",
        "unknown issuer": lambda rng: key(rng, "", 40),
    },
}
"""The same for the part on which recall and precision are stated: mostly other forms."""
