"""Recipes for small machines; each says where it leaves the paper."""

from instructloop.config import PPO, SFT, Config, ModelShape, Optimizer, Pretrain, Reward, Run, Text


def tiny() -> Config:
    """Seconds on any machine: every mechanism of the paper, nothing learned worth having.

    Leaves the paper in every size: model, data, batches, updates and, for so few of them, larger learning rates.
    """
    constant = {"decay": "constant", "warmup": 1, "eps": 1e-5}
    return Config(
        text=Text(context=96, max_prompt=64, max_response=24, separator="\n"),
        run=Run(precision="fp32", micro_batch=8, save_every=10),
        pretrain=Pretrain(
            shape=ModelShape(layers=2, width=64, heads=2, vocab=512, context=96),
            optimizer=Optimizer(lr=3e-3, warmup=5), batch=8, length=64, updates=60,
        ),
        sft=SFT(optimizer=Optimizer(lr=2e-3), epochs=2, batch=8),
        sft_ptx_init=SFT(optimizer=Optimizer(lr=2e-3), epochs=1, batch=10, pretraining_share=0.1, pretraining_length=64),
        reward=Reward(optimizer=Optimizer(lr=1e-3), epochs=1, batch=8),
        ppo=PPO(
            optimizer=Optimizer(lr=1e-3, **constant), value_optimizer=Optimizer(lr=1e-3, **constant),
            iterations=8, episodes=16, minibatches=2, ptx_coef=0.5, ptx_ratio=1, ptx_length=64, valid_every=1, valid_prompts=16, samples_every=1,
        ),
    )  # fmt: skip


def real_small() -> Config:
    """Two CPU cores and real human data, half an hour for a base and about as long for a seed (runs/real_small.sh).

    Leaves the paper in: a 6 M model instead of 1.3 B, with learning rates to match; contexts of 256 tokens; 2 epochs of
    SFT (16 of so little text only memorise) and 1 for the start of PPO; reward batches of 16 prompts; 10 iterations of PPO
    on 128 episodes in 4 minibatches, warmed up over 2; one pretraining example per episode instead of 8, of 128 tokens.
    """
    constant = {"decay": "constant", "warmup": 2, "eps": 1e-5}
    return Config(
        text=Text(context=256, max_prompt=160, max_response=96),
        run=Run(precision="bf16", micro_batch=16, save_every=50),
        pretrain=Pretrain(
            shape=ModelShape(layers=5, width=288, heads=4, vocab=4096, context=512),
            optimizer=Optimizer(lr=2e-3, warmup=100, weight_decay=0.05), batch=8, length=512, updates=1800,
        ),
        sft=SFT(optimizer=Optimizer(lr=5e-4), epochs=2, batch=32, pack=True),
        sft_ptx_init=SFT(optimizer=Optimizer(lr=5e-4), epochs=1, batch=32, pretraining_share=0.1, pretraining_length=128, pack=True),
        reward=Reward(optimizer=Optimizer(lr=3e-4), epochs=1, batch=16),
        ppo=PPO(
            optimizer=Optimizer(lr=3e-4, **constant), value_optimizer=Optimizer(lr=5e-4, **constant),
            iterations=10, episodes=128, minibatches=4, ptx_coef=0.2, ptx_ratio=1, ptx_length=128, valid_every=3, valid_prompts=128, samples_every=5,
        ),
    )  # fmt: skip
