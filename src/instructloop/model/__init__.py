"""Hugging Face checkpoints in every role: policy, reward, value; knows not how they are parallelised."""
