"""Pure formulas: tensors in, tensors out; the formula stands in the docstring.

    masking      means and moments over the sampled tokens
    rewards      KL estimates, the score at the end, the charge on the way
    advantages   GAE
    ppo          policy and value losses
    ranking      the reward model's loss
    language     log-probabilities of tokens, the language-modelling loss
    kl_control   the two controllers of the two KL coefficients
    schedules    the learning rate
    seeds        randomness by name

Counts and moments of the global batch come in as arguments: nothing here knows how a batch was cut or where it runs.
"""
