"""The paper's settings (InstructGPT App. C), at its three policy sizes.

The reward and value networks are the 6 B model at every size [App. C.2]: their learning rates do not follow the policy's.
What the paper does not state is the default of `config.py`, with its source there.
"""

from instructloop.config import PPO, SFT, Config, ModelShape, Optimizer, Pretrain, Reward, Text

RESPONSE_LR = 8e-6
"""Policy rate of PPO: the paper prints no final value; above 8.05e-6 runs without ptx diverged [App. E.9]."""
PTX_COEF = 0.5
"""γ_ptx in our normalisation; the paper's 27.8 cannot be carried over (docs/decisions.md), this is where a sweep starts."""


def paper_1p3b() -> Config:
    """The paper's settings for its 1.3 B policy."""
    return _paper(
        sft_lr=9.65e-6, init_lr=5e-6, batch=32, value_lr=9e-6, shape=ModelShape(layers=24, width=2048, heads=16, vocab=50_258, context=2048)
    )


def paper_6b() -> Config:
    """The paper's settings for its 6 B policy."""
    return _paper(
        sft_lr=9.65e-6, init_lr=1.04e-5, batch=32, value_lr=9e-6, shape=ModelShape(layers=32, width=4096, heads=32, vocab=50_258, context=2048)
    )


def paper_175b() -> Config:
    """The paper's settings for its 175 B policy."""
    shape = ModelShape(layers=96, width=12_288, heads=96, vocab=50_258, context=2048)
    return _paper(sft_lr=5.03e-6, init_lr=2.45e-6, batch=8, value_lr=5e-6, shape=shape)


def _paper(*, sft_lr: float, init_lr: float, batch: int, value_lr: float, shape: ModelShape) -> Config:
    ppo = {"decay": "constant", "warmup": 10, "eps": 1e-5}
    return Config(
        text=Text(context=2048, max_prompt=1024, max_response=1024),
        pretrain=Pretrain(shape=shape, optimizer=Optimizer(lr=2e-4, warmup=200), batch=512, length=2048, updates=100_000),
        sft=SFT(optimizer=Optimizer(lr=sft_lr), epochs=16, batch=batch),
        sft_ptx_init=SFT(optimizer=Optimizer(lr=init_lr), epochs=2, batch=batch, pretraining_share=0.1),
        reward=Reward(optimizer=Optimizer(lr=9e-6), epochs=1, batch=64),
        ppo=PPO(optimizer=Optimizer(lr=RESPONSE_LR, **ppo), value_optimizer=Optimizer(lr=value_lr, **ppo), ptx_coef=PTX_COEF),
    )
