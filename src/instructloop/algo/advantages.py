"""How much better each token turned out than the value network expected.

B rows, R response tokens; r = 0 is the first sampled token, and the mask is True from there to the last sampled one.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad


def gae(
    reward_BR: Float[Tensor, "B R"], value_BR: Float[Tensor, "B R"], mask_BR: Bool[Tensor, "B R"], *, gamma: float, lam: float
) -> tuple[Float[Tensor, "B R"], Float[Tensor, "B R"]]:
    """Generalised advantage estimation: (advantages, returns), zeros off the mask.

        δ_t = r_t + γ V_{t+1} − V_t
        A_t = δ_t + γλ A_{t+1}  =  Σ_l (γλ)^l δ_{t+l}
        R_t = A_t + V_t

    V_t is the value *before* token t. After the last sampled token V = 0 and A = 0, whether it was the end token or the
    cap on length: the episode is over either way (law B5), so nothing is bootstrapped.
    Source: Schulman et al. 2016 (arXiv 1506.02438), eq. 16; PPO (arXiv 1707.06347), eqs. 11–12.
    """
    value_BR = torch.where(mask_BR, value_BR, 0)
    next_value_BR = pad(value_BR[:, 1:], (0, 1))
    delta_BR = torch.where(mask_BR, reward_BR + gamma * next_value_BR - value_BR, 0)
    advantage_B = torch.zeros_like(delta_BR[:, 0])
    last_to_first: list[Tensor] = []
    for delta_B in reversed(delta_BR.unbind(dim=1)):
        advantage_B = delta_B + gamma * lam * advantage_B
        last_to_first.append(advantage_B)
    advantage_BR = torch.stack(last_to_first[::-1], dim=1)
    return advantage_BR, advantage_BR + value_BR
