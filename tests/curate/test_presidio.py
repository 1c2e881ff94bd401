"""Presidio behind the same seam: offline, and one clear error where it is not installed."""

import pickle
import socket

import pytest

from bare_python import run_without
from instructloop.curate.pii.presidio import PresidioDetector

needs_presidio = pytest.mark.skipif(
    pytest.importorskip("importlib.util").find_spec("presidio_analyzer") is None, reason="presidio is absent: pip install 'instructloop[pii]'"
)


@needs_presidio
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_it_finds_the_same_kinds_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("Presidio went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    detector: PresidioDetector = pickle.loads(pickle.dumps(PresidioDetector(("US",))))
    text = "anna@example.com, 4111 1111 1111 1111, DE89370400440532013000, 203.0.113.7, (415) 555-2671"
    kinds = {span.kind: text[span.start : span.end] for span in detector.find(text) if span.score >= 0.5}
    assert kinds["email"] == "anna@example.com"
    assert kinds["card"] == "4111 1111 1111 1111"
    assert kinds["iban"] == "DE89370400440532013000"
    assert kinds["ip"] == "203.0.113.7"
    assert kinds["phone"] == "(415) 555-2671"


def test_where_it_is_absent_one_error_names_the_extra() -> None:
    code = (
        "from instructloop.curate.settings import Curation\nfrom instructloop.curate.personal_data import detector_of\n"
        "detector_of(Curation())\ntry: detector_of(Curation(detector='both'))\nexcept Exception as error: print(type(error).__name__, error)"
    )
    finished = run_without(["presidio_analyzer"], code)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("MissingExtra")
    assert "pip install 'instructloop[pii]'" in finished.stdout
