"""Seconds of stages: kept when finished, added up over sittings, and counted up to the last trace that a killed sitting left."""

import json
import os
import time
from pathlib import Path

import pytest

from instructloop.loop.stages import Stages, peak_rss_mb


def opened(folder: Path) -> Stages:
    return Stages(folder, lambda: 700.0)


def test_a_finished_stage_is_not_timed_again(tmp_path: Path) -> None:
    stages = opened(tmp_path)
    assert stages.run("sft", lambda: time.sleep(0.02) or "model") == "model"
    seconds = stages.seconds["sft"]
    assert seconds >= 0.02
    again = Stages(tmp_path, lambda: pytest.fail("the speed is measured once"))
    assert again.gflops_bf16 == 700.0
    assert again.run("sft", lambda: time.sleep(0.02) or "found") == "found"
    assert again.seconds == {"sft": seconds}
    assert 10 < again.peak_rss_mb <= peak_rss_mb()


def test_an_interrupted_stage_goes_on_counting(tmp_path: Path) -> None:
    def interrupted() -> None:
        time.sleep(0.02)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path).run("ppo", interrupted)
    stages = opened(tmp_path)
    stages.run("ppo", lambda: time.sleep(0.02))
    assert 0.04 <= stages.seconds["ppo"] < 1


def test_a_killed_sitting_counts_up_to_what_it_last_wrote(tmp_path: Path) -> None:
    opened(tmp_path)
    stage = {"seconds": 5.0, "peak_rss_mb": 9e9, "begun_at": 1_000.0, "finished": False}
    (tmp_path / "stages.json").write_text(json.dumps({"gflops_bf16": 700.0, "stages": {"ppo": stage}}))
    (tmp_path / "metrics.jsonl").write_text("{}")
    os.utime(tmp_path / "stages.json", (1_000, 1_000))
    os.utime(tmp_path / "metrics.jsonl", (1_030, 1_030))
    stages = opened(tmp_path)
    stages.run("ppo", lambda: None)
    assert 35 <= stages.seconds["ppo"] < 36
    assert stages.peak_rss_mb == 9e9
