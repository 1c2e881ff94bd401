"""Step 0 says how fast it was, on the terminal and in finished.json."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from instructloop.loop.toy_data import freeze_toy_data
from instructloop.recipes import RECIPES
from instructloop.steps.step0_pretrain import PretrainInputs, pretrain


def test_the_share_of_the_peak_is_printed_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    freeze_toy_data(tmp_path, 0)
    tiny = RECIPES["tiny"]()
    pretrain(replace(tiny, pretrain=replace(tiny.pretrain, updates=2)), PretrainInputs(documents=tmp_path / "documents"), tmp_path / "base")
    finished = json.loads((tmp_path / "base" / "finished.json").read_text())
    assert 0 < finished["time/share_of_peak"] < 1
    assert f"{finished['time/tokens_per_second']:,.0f} tokens/s: {finished['time/share_of_peak']:.0%} of the" in capsys.readouterr().out
