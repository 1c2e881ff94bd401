"""Sentences around planted personal data, and sentences with what only looks like it."""

import string
import uuid
from collections.abc import Mapping

from curate.pii_values import HEX, NAMES, Maker, digits, grouped, iban, key, with_luhn

CARRIERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "tuning": {
        "email": ("Write a reply to {}.", "My address is {}, please shorten this letter.", "Contact: {}\nSubject: refund", "Send it to {} today"),
        "phone": ("Call me at {} tomorrow.", "Write a text to my landlord, his number is {}.", "Phone: {}\nMake a business card.", "ring {} and ask"),
        "card": ("My card number is {}, is it valid?", "Charge {} for the order.", "Visa {} exp 04/29", "pay with {} please"),
        "iban": ("Transfer the rent to {}.", "IBAN: {}\nWrite the invoice.", "Is {} a correct account?", "my account {} was closed"),
        "ssn": ("My SSN is {}, fill in the form.", "Social security number {}.", "SSN: {}\nDOB: 3 May", "the applicant ({}) wrote"),
        "ip": ("Why can I not reach {}?", "The server {} is down.", "ping {} gives a timeout", "Block {} in the firewall."),
        "api_key": ("My key is {}, why is it refused?", "curl -H 'Authorization: Bearer {}' ...", "export TOKEN={}", "Use {} in the script."),
        "clean": ("Write a poem about rain.", "Name three rivers in Africa.", "What makes bread rise?", "Summarize the plot of Hamlet."),
    },
    "held_out": {
        "email": ("Draft a complaint, cc <{}>, and sign it.", "mailto:{}", "From: {}\nTo: the team\nSummarize this thread.", "reach my boss: {}!"),
        "phone": (
            "Please phone {} before noon.",
            "You can reach Dr Haas on {}.",
            "Signature:\nLena\nMobile {}\nBerlin",
            "is {} a scam? It called me twice",
        ),
        "card": ("They stole my card {} last week, what now?", "Payment details: {} / 11-27 / cvc", "Format this credit card: {}", "({}) declined"),
        "iban": ("Please wire it to {}, thanks.", "Konto {} bei der Bank", "Check the IBAN {} for me.", "Beneficiary: {}; amount: 40"),
        "ssn": ("Tax form: SSN {} and income", "her social security number is {}.", "Explain why ssn {} was rejected", "SSN={}"),
        "ip": ("The log says {} tried to log in.", "ssh root@{} hangs", "Ban the player with address {}, please.", "Where is {} located?"),
        "api_key": ('client = Client(api_key="{}")', "I pushed {} by mistake, what do I do?", '"token": "{}"', "key: {}\nFix my YAML."),
        "clean": ("Tell me a joke about cats.", "How do vaccines work?", "Translate 'good night' into Spanish.", "Plan a week of dinners."),
    },
}

NEGATIVES: Mapping[str, Mapping[str, Maker]] = {
    "tuning": {
        "email, a handle": lambda rng: f"Follow @{rng.choice(NAMES)}_{rng.randint(1, 99)} on social media.",
        "email, a decorator": lambda rng: f"What does @app.route('/{rng.choice(NAMES)}') do in Flask?",
        "email, a website": lambda rng: f"Look at {rng.choice(NAMES)}shop dot com or visit us at example dot org.",
        "email, a repository": lambda rng: f"git clone git@github.com:{rng.choice(NAMES)}/tool.git fails",
        "phone, a date": lambda rng: f"What happened on {rng.randint(1900, 2024)}-{rng.randint(1, 12):02d}-{rng.randint(10, 28)}?",
        "phone, a price": lambda rng: f"Is ${rng.randint(1, 9)},{digits(rng, 3)},{digits(rng, 3)} a fair price for {rng.randint(2, 9)} houses?",
        "phone, an order": lambda rng: f"Where is my order {digits(rng, 10)}?",
        "phone, a book": lambda rng: f"Summarize the book with ISBN 978-3-16-{digits(rng, 6)}-{digits(rng, 1)}.",
        "phone, years": lambda rng: f"Compare {rng.randint(1900, 1950)}-{rng.randint(1951, 1999)} with today.",
        "card, wrong digit": lambda rng: f"Reference {_wrong(with_luhn(rng, '4', 16))} is on the parcel.",
        "iban, wrong digits": lambda rng: f"Is {_wrong(iban(rng, 'DE', '9' * 18))} well formed?",
        "ssn, impossible": lambda rng: f"Can 000-{digits(rng, 2)}-{digits(rng, 4)} exist?",
        "ip, a version": lambda rng: (
            f"Upgrade from version {rng.randint(1, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 99)} to the next."
        ),
        "api key, a placeholder": lambda rng: f"Put sk-{'x' * rng.randint(20, 40)} where your key belongs.",
        "api key, a library": lambda rng: f"Is sk-{rng.choice(('learn', 'image'))}-compatible code faster in {rng.randint(2000, 2024)}?",
    },
    "held_out": {
        "email, a package": lambda rng: f"npm install react@{rng.randint(10, 19)}.{rng.randint(0, 9)}.{rng.randint(0, 9)} breaks the build",
        "email, an image": lambda rng: f"Resize icon@{rng.randint(2, 3)}x.png to {rng.randint(16, 64)} pixels.",
        "email, a score": lambda rng: f"Lakers @ Celtics tonight, {rng.randint(80, 120)}-{rng.randint(80, 120)}?",
        "email, a place": lambda rng: f"Meet {rng.choice(NAMES)} at the dot on the map, at {rng.randint(1, 9)} dot thirty.",
        "phone, a time": lambda rng: (
            f"Convert 2023-{rng.randint(1, 12):02d}-{rng.randint(10, 28)} {rng.randint(10, 23)}:{rng.randint(10, 59)}:00 to UTC."
        ),
        "phone, an epoch": lambda rng: f"What date is the timestamp {rng.randint(1_500_000_000, 1_700_000_000)}?",
        "phone, people": lambda rng: f"A city of {rng.randint(1, 9)} {digits(rng, 3)} {digits(rng, 3)} inhabitants, is that large?",
        "phone, a sequence": lambda rng: f"Continue: {' '.join(str(rng.randint(1, 9) * n) for n in range(1, 9))}",
        "phone, pi": lambda rng: f"Is 3.14159265{digits(rng, 4)} equal to pi?",
        "phone, a tracking number": lambda rng: f"Track 1Z999AA1{digits(rng, 10)} for me.",
        "phone, a part": lambda rng: f"Which bolt is part no. {digits(rng, 3)}-{digits(rng, 3)}-{digits(rng, 4)}?",
        "phone, coordinates": lambda rng: f"What is at {rng.randint(10, 80)}.{digits(rng, 6)}, -{rng.randint(10, 99)}.{digits(rng, 6)}?",
        "phone, a sum": lambda rng: f"Calculate {digits(rng, 4)} - {digits(rng, 3)} - {digits(rng, 3)}.",
        "phone, a bare number": lambda rng: f"Factor {rng.randint(10**9, 10**10 - 1)} into primes.",
        "card, a barcode": lambda rng: f"Product EAN {_wrong(with_luhn(rng, '4', 13))} costs how much?",
        "card, a random number": lambda rng: f"Sort {grouped(_wrong(with_luhn(rng, '5', 16)), (4, 4, 4, 4), ' ')} by digit.",
        "iban, a serial": lambda rng: f"Laptop serial {_wrong(iban(rng, 'GB', 'AAAA' + '9' * 14))}, still under guarantee?",
        "ssn, a zip code": lambda rng: f"Ship to Springfield, IL {digits(rng, 5)}-{digits(rng, 4)}.",
        "ssn, a score": lambda rng: f"The sets ended {rng.randint(101, 299)}-{rng.randint(1, 99)} and 7-{rng.randint(0, 5)}.",
        "ip, a mask": lambda rng: f"What does 255.255.{rng.choice((255, 0))}.0 mean, and why is 127.0.0.1 special on port {rng.randint(80, 9000)}?",
        "ip, a section": lambda rng: (
            f"Explain section {rng.randint(1, 9)}.{rng.randint(1, 9)}.{rng.randint(1, 9)}.{rng.randint(1, 9)} of the standard."
        ),
        "ip, C++": lambda rng: (
            f"Why is std::vector<{rng.choice(NAMES)}::Node> slow at {rng.randint(10, 12)}:{rng.randint(10, 59)}:{rng.randint(10, 59)}?"
        ),
        "api key, a hash": lambda rng: f"Which file has MD5 {''.join(rng.choices(HEX, k=32))}?",
        "api key, a UUID": lambda rng: f"Delete the row {uuid.UUID(int=rng.getrandbits(128))}.",
        "api key, a commit": lambda rng: f"Revert {''.join(rng.choices(HEX, k=40))} on main.",
        "api key, an image": lambda rng: f"data:image/png;base64,{key(rng, '', 60, string.ascii_letters)} shows what?",
    },
}
"""Part -> what it looks like, and what it is -> a sentence."""


def _wrong(number: str) -> str:
    """The number with its last digit changed, so that its check fails."""
    return number[:-1] + str((int(number[-1]) + 1) % 10)
