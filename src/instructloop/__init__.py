"""Training language models to follow instructions with human feedback: the whole InstructGPT loop.

    prompts -> demonstrations -> step1_sft -> K answers to rank -> step2_reward -> step3_ppo -> people judge -> prompts

Steps meet only through snapshots (frozen, hashed data files) and checkpoints (Hugging Face directories).
"""

__version__ = "0.1.0"
