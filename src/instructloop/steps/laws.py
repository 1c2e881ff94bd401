"""The laws every run checks at its start and while it goes on, on the model it trains and not on a toy (docs/laws.md).

    A1  before the first update of an iteration, π / π_old is 1 on every sampled token
    A2  the engine's log-probabilities are the trainer's
    A7  weights that were handed to the engine have arrived
"""

import torch
from torch import nn

from instructloop.algo.seeds import generator
from instructloop.config import Config
from instructloop.errors import LawBroken
from instructloop.protocols import Engine
from instructloop.rollout.engine import LocalEngine
from instructloop.rollout.probe import probe_parity, refuse_unless_equal

RATIO_LIMIT = {"bf16": 1e-2, "fp32": 1e-4, "fp64": 1e-9}
"""Law A1: largest |ratio − 1| in the first minibatch of an iteration."""
