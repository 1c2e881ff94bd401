"""The built-in detector: known numbers, what only looks like one, masking, and any text whatever."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.curate.pii.builtin import BuiltinDetector
from instructloop.curate.pii.numbers import has_luhn, has_mod97
from instructloop.curate.pii.spans import KINDS, Span, Together, apart, mask, overwrite

DETECTOR = BuiltinDetector(("US", "GB", "DE"))


def found(text: str) -> list[tuple[str, str]]:
    """(kind, what) of everything found that is acted on."""
    return [(span.kind, text[span.start : span.end]) for span in DETECTOR.find(text) if span.score >= 0.5]


@pytest.mark.parametrize("number", ["4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "3530111333300000", "79927398713"])
def test_luhn_holds_for_published_test_numbers_and_for_no_neighbour(number: str) -> None:
    assert has_luhn(number)
    assert not any(has_luhn(number[:-1] + str((int(number[-1]) + step) % 10)) for step in range(1, 10))


@pytest.mark.parametrize(
    "iban", ["GB82WEST12345698765432", "DE89370400440532013000", "FR1420041010050500013M02606", "NO9386011117947", "MT84MALT011000012345MTLCAST001S"]
)
def test_mod_97_holds_for_published_ibans_and_for_no_neighbour(iban: str) -> None:
    assert has_mod97(iban)
    assert found(f"pay to {iban.lower()}, please") == [("iban", iban.lower())]
    assert not any(has_mod97(iban[:2] + f"{(int(iban[2:4]) + step) % 100:02d}" + iban[4:]) for step in range(1, 97))


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("Write to anna.b+x@mail.example.co.uk.", "email", "anna.b+x@mail.example.co.uk"),
        ("<jürgen@münchen-post.de>", "email", "jürgen@münchen-post.de"),
        ("na\u200bme@example.com", "email", "na\u200bme@example.com"),
        ("ｎａｍｅ＠example.com", "email", "ｎａｍｅ＠example.com"),
        ("j.doe [at] example [dot] org", "email", "j.doe [at] example [dot] org"),
        ("it is anna at example dot com", "email", "anna at example dot com"),
        ("call (212) 555-0142 ext 5 now", "phone", "(212) 555-0142 ext 5"),
        ("tel ٠٢٠ ٧٩٤٦ ٠٩٥٨", "phone", "٠٢٠ ٧٩٤٦ ٠٩٥٨"),
        ("+44\u00a020\u00a07946\u00a00958", "phone", "+44\u00a020\u00a07946\u00a00958"),
        ("my number is 555-0123, text me at 555-0123", "phone", "555-0123"),
        ("card 4111 1111-1111 1111!", "card", "4111 1111-1111 1111"),
        ("GB82 WEST 1234 5698 7654 32 please", "iban", "GB82 WEST 1234 5698 7654 32"),
        ("(078-05-1120)", "ssn", "078-05-1120"),
        ("my ssn: 219099999", "ssn", "219099999"),
        ("http://203.0.113.7:80/", "ip", "203.0.113.7"),
        ("[2001:db8::8a2e:370:7334]:443", "ip", "2001:db8::8a2e:370:7334"),
        ("AKIAIOSFODNN7EXAMPLE", "api_key", "AKIAIOSFODNN7EXAMPLE"),
        ("postgres://bob:hunter22@db.example.com/x", "api_key", "bob:hunter22"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- done",
            "api_key",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        ),
    ],
)
def test_it_is_found_whole(text: str, kind: str, what: str) -> None:
    assert (kind, what) in found(text)
    assert {found_kind for found_kind, _ in found(text)} == {kind}


@pytest.mark.parametrize(
    "text",
    [
        "visit us at example dot com", "@app.route('/x')", "icon@2x.png", "git@github.com:a/b.git", "react@18.2.0", "a@b",
        "2017-06-20 00:58", "1939-1945", "2 4 6 8 10 12 14 16", "$1000-2000-3000", "978-3-16-148410-0", "3.141592653589", "order 2125550142",
        "4111 1111 1111 1112", "0000 0000 0000 0000", "DE89370400440532013001", "000-12-3456", "666-12-3456", "900-12-3456", "12-345-6789",
        "127.0.0.1", "::1", "255.255.255.0", "10.0.1.0/24", "version 1.2.3.4", "256.1.1.1", "1.2.3.4.5", "std::vector", "12:30:45",
        "00:1B:44:11:3A:B7", "sk-learn-compatible-estimators-are-nice", "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx", "https://example.com/a:b", "", "\ud800 @",
    ],
)  # fmt: skip
def test_it_only_looks_so(text: str) -> None:
    assert found(text) == []


pieces = st.sampled_from(
    ["a@b.co", "@", ".", "x.y", " at ", " dot com", "(at)", "+1 ", "(212) ", "555-0142", "4111 1111 1111 1111", "12", "7", " ", "-",
     ":", "::1f", "10.1.2.3",
     "GB82WEST12345698765432", "078-05-1120", "ssn ", "call ", "sk-abcdEFGH1234ijklMNOP", "://u:pw1@h",
     "\u200b", "＠", "é", "[email]", "[", "]", "🙂", "x" * 70]
)  # fmt: skip
texts = st.one_of(st.text(max_size=60), st.lists(pieces, max_size=14).map("".join))


@given(texts)
def test_spans_lie_inside_the_text_apart_and_in_order(text: str) -> None:
    spans = DETECTOR.find(text)
    reached = 0
    for span in spans:
        assert reached <= span.start < span.end <= len(text)
        assert span.kind in KINDS
        assert 0 < span.score <= 1
        reached = span.end


@given(texts)
def test_masking_leaves_nothing_and_again_changes_nothing(text: str) -> None:
    masked = mask(text, DETECTOR, KINDS, least_score=0.5)
    assert found(masked) == []
    assert mask(masked, DETECTOR, KINDS, least_score=0.5) == masked


def test_masking_leaves_other_kinds_and_everything_around() -> None:
    text = "a@b.co, 10.1.2.3 and (212) 555-0142!"
    assert mask(text, DETECTOR, ("email", "phone"), least_score=0.5) == "[email], 10.1.2.3 and [phone]!"
    assert mask(text, DETECTOR, KINDS, least_score=0.99) == text


def test_of_overlapping_spans_the_surer_stays_then_the_longer() -> None:
    short, long, sure, beside = (Span(*given, "t") for given in (("ip", 2, 5, 0.6), ("phone", 2, 9, 0.6), ("card", 8, 12, 0.9), ("ssn", 12, 14, 0.5)))
    assert apart([beside, short, long]) == [long, beside]
    assert apart([short, long, sure, beside]) == [short, sure, beside]
    assert overwrite("0123456789abcd", [short, sure]) == "01[ip]567[card]cd"


def test_two_detectors_are_one() -> None:
    class Names:
        def find(self, text: str) -> list[Span]:
            return [Span("ssn", 0, 4, 1.0, "names")]

    both = Together((DETECTOR, Names()))
    assert [(span.kind, span.source) for span in both.find("anna a@b.co")] == [("ssn", "names"), ("email", "builtin")]


@pytest.mark.parametrize(
    "piece", ["a", "1", "a@", "@a.", "1 ", "1-", "a at ", "a dot ", "AA11 ", ":", "1.", "ssn 1", "://a:", "(", "sk-a", "eyJ", "\u200b1", "call 12"]
)
def test_a_long_text_takes_time_in_proportion(piece: str) -> None:
    DETECTOR.find("warm 212-555-0142")
    seconds = []
    for length in (20_000, 80_000):
        text = piece * (length // len(piece))
        start = time.process_time()
        DETECTOR.find(text)
        seconds.append(time.process_time() - start)
    assert seconds[1] < 8 * seconds[0] + 0.3, "four times the text; a search that tries every pair would take sixteen times as long"
