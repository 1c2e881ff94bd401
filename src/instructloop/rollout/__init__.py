"""The engine: token ids in, sampled ids and log-probabilities out; knows no loss."""
