"""The recipe of the demo: the small world of `lab/`, minutes on two CPU cores."""

from instructloop.config import PPO, SFT, Config, ModelShape, Optimizer, Pretrain, Reward, RewardKL, Run, Text


def demo() -> Config:
    """Two CPU cores and the small world of the lab, minutes for the whole loop (`instructloop demo`).

    Leaves the paper in: a 2 M model, with learning rates to match; contexts of 256 tokens; six epochs of SFT (16 of so few
    demonstrations only memorise) with residual dropout 0.3 instead of 0.2, and one SFT as opponent and as start of PPO; reward batches of
    16 prompts; 128 episodes an iteration in 4 minibatches, warmed up over 3, and two iterations in which the value network learns alone;
    one pretraining example per episode instead of 8, of 128 tokens, and a γ_ptx to match; β 0.2 instead of 0.02, since scores here lie
    within a few points and an answer is 20 tokens.
    """
    constant = {"decay": "constant", "warmup": 3, "eps": 1e-5}
    supervised = {"optimizer": Optimizer(lr=1e-3), "epochs": 6, "batch": 32, "residual_dropout": 0.3, "pack": True}
    return Config(
        text=Text(context=160, max_prompt=96, max_response=56),
        run=Run(precision="bf16", micro_batch=64, save_every=200),
        pretrain=Pretrain(
            shape=ModelShape(family="llama", layers=4, width=192, heads=6, vocab=1024, context=256),
            optimizer=Optimizer(lr=2e-3, warmup=200, weight_decay=0.05), batch=12, length=256, updates=9_000,
        ),
        sft=SFT(**supervised),
        sft_ptx_init=SFT(**supervised, pretraining_share=0.1, pretraining_length=128),
        reward=Reward(optimizer=Optimizer(lr=5e-4), epochs=1, batch=16),
        ppo=PPO(
            optimizer=Optimizer(lr=3e-4, **constant), value_optimizer=Optimizer(lr=1e-3, **constant),
            kl=RewardKL(coef=0.2), iterations=25, episodes=128, minibatches=4, value_warmup=2, ptx_coef=0.2, ptx_ratio=1, ptx_length=128,
            valid_every=5, valid_prompts=256, samples_every=5,
        ),
    )  # fmt: skip
