"""The exponential moving average of a model's weights: the paper evaluates PPO models by it, decay 0.992 (App. C.4)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from instructloop.errors import ResumeError


class Ema:
    """Averaged copies of the parameters, in their own precision (float32 masters), starting at their present values."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._average = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """average ← decay · average + (1 − decay) · weights, after an optimizer step."""
        for name, parameter in model.named_parameters():
            self._average[name].lerp_(parameter, 1 - self.decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Within the context the model has the averaged weights; afterwards its own again, to the bit."""
        own = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        _assign(model, self._average)
        try:
            yield
        finally:
            _assign(model, own)

    def state_dict(self) -> dict[str, Any]:
        """Decay and averages, for resuming."""
        return {"decay": self.decay, "average": dict(self._average)}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Take up the averages of `state`; raises `ResumeError` when it belongs to another model or decay."""
        average: Mapping[str, Tensor] = state["average"]
        if state["decay"] != self.decay or average.keys() != self._average.keys():
            raise ResumeError(
                f"a saved average of {len(average)} tensors with decay {state['decay']}",
                expected=f"{len(self._average)} tensors of this model's names with decay {self.decay}",
                remedy="resume with the model and the decay that the run was started with",
            )
        for name, tensor in self._average.items():
            tensor.copy_(average[name])


@torch.no_grad()
def _assign(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])
