"""The OpenAPI description, taken at its word: whatever it allows or forbids, the API answers as it declares, and never breaks."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from instructloop.web.settings import SiteSettings
from web.scripted import Script, served, stage

OPERATIONS = ("GET /v1/models", "GET /v1/models/{model}", "POST /v1/completions", "POST /v1/chat/completions")
BEYOND_THE_SCHEMA = {"POST /v1/chat/completions", "POST /v1/completions"}
"""That a conversation ends with a question, and that prompts and choices together are few, no schema can say."""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], str]]:
    """Operations by name, and a key."""
    models = {"0": Script(words=3), "": Script(words=3), "away!": Script()}
    made = stage(tmp_path_factory.mktemp("schema"), models=models, settings=SiteSettings(answers_per_minute=1_000_000))
    with served(made.app) as url:
        found = [result.ok() for result in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations()]
        yield {operation.label: operation for operation in found}, made.key("ada", store=True)
    made.store.close()


def test_every_operation_is_tried(described: tuple[dict[str, Any], str]) -> None:
    assert set(described[0]) == set(OPERATIONS)


@pytest.mark.parametrize(
    ("label", "mode"),
    [(label, mode) for label in OPERATIONS for mode in GenerationMode if mode.is_positive or label.startswith("POST")],
)
def test_the_api_does_what_it_declares(described: tuple[dict[str, Any], str], label: str, mode: GenerationMode) -> None:
    operation, key = described[0][label], described[1]
    left_out = [ignored_auth, *([positive_data_acceptance] if label in BEYOND_THE_SCHEMA else [])]

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        response = case.call(headers={"Authorization": f"Bearer {key}"})
        assert response.status_code < 500 or (response.status_code == 503 and int(response.headers["retry-after"][0]) >= 1)
        # That a body was too large to be looked at is a rejection too.
        case.validate_response(response, excluded_checks=[*left_out, *([negative_data_rejection] if response.status_code == 413 else [])])

    holds()


def test_every_refusal_is_declared(described: tuple[dict[str, Any], str]) -> None:
    for operation in described[0].values():
        declared = operation.definition.raw["responses"]
        assert {"200", "400", "401", "403", "404", "408", "413", "421", "429", "500", "503"} <= set(declared)
        assert {"Retry-After"} == set(declared["503"]["headers"]) == set(declared["429"]["headers"])
