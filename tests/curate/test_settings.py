"""The knobs: checked at birth, and every one is read."""

import ast
from dataclasses import fields

import pytest

from house.sources import PACKAGE, parse, python_files
from instructloop.curate.settings import Curation
from instructloop.errors import ConfigError


def test_every_knob_is_read_outside_its_own_checks() -> None:
    others = [path for path in python_files("src/instructloop/curate", "src/instructloop/loop") if path != PACKAGE / "curate" / "settings.py"]
    nodes = [node for path in others for node in ast.walk(parse(path))]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    through_methods = {"valid", "test", "pii_drop", "pii_hold"}
    assert {field.name for field in fields(Curation)} - read - through_methods == set()
    assert {"fractions", "action"} <= read


@pytest.mark.parametrize(
    ("knobs", "came"),
    [
        ({"valid": 0.6, "test": 0.4}, "valid 0.6, test 0.4"),
        ({"per_user": 0}, "per_user is 0"),
        ({"prefix_share": 1.5}, "prefix_share is 1.5"),
        ({"languages": ()}, "no language is to stay"),
        ({"pii_hold": ("email",)}, "'email' has two actions"),
        ({"pii_mask": ("e-mail",)}, "'e-mail' is not known"),
    ],
)
def test_a_knob_that_cannot_be_is_refused(knobs: dict[str, object], came: str) -> None:
    with pytest.raises(ConfigError, match=came):
        Curation(**knobs)  # type: ignore[arg-type]


def test_shares_of_zero_are_no_splits() -> None:
    assert Curation(valid=0.25, test=0.0).fractions == {"train": 0.75, "valid": 0.25}


def test_a_kind_without_an_action_is_let_be() -> None:
    settings = Curation(pii_mask=("email",), pii_drop=("card",), pii_hold=("ssn",))
    assert [settings.action(kind) for kind in ("email", "card", "ssn", "ip")] == ["mask", "drop", "hold", None]
