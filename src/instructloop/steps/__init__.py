"""The three training steps of the paper, and the base they start from; no step imports another."""
