"""The doctor is right about what it finds, and works where nothing is installed."""

import http.server
import json
import os
import threading
from collections.abc import Iterator

import pytest
import torch
import transformers

from bare_python import run_without
from instructloop.cli.main import main
from instructloop.loop import machine


@pytest.fixture
def failing_server() -> Iterator[str]:
    """A server on this machine that answers every request with 501."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.RequestHandlerClass.log_message = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_it_reports_this_machine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "is_reachable", lambda _: False)
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["versions"]["transformers"] == transformers.__version__
    assert found["threads"] == torch.get_num_threads()
    assert found["cores"] == len(os.sched_getaffinity(0))
    assert len(found["gpus"]) == torch.cuda.device_count()
    assert 0.001 < found["fp32_tflops"] < 100
    assert "train" not in found["missing"]


def test_its_table_says_what_to_do_without_a_hub(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "is_reachable", lambda _: False)
    assert main(["doctor"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "is not reachable: models must be local directories" in shown


def test_it_works_without_the_training_packages() -> None:
    absent = ("torch", "transformers", "huggingface_hub")
    finished = run_without(absent, "from instructloop.cli.main import main; main(['doctor', '--json'])")
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    assert (found["fp32_tflops"], found["hub"], found["hub_reachable"]) == (None, None, False)
    assert found["missing"]["train"] == ["torch", "transformers"]


def test_a_hub_that_answers_is_reachable_and_a_closed_port_is_not(failing_server: str) -> None:
    assert machine.is_reachable(failing_server)
    assert not machine.is_reachable("http://127.0.0.1:9")
    assert not machine.is_reachable("nonsense")
