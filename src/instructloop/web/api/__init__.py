"""The OpenAI-compatible API under /v1: what it accepts, what it answers, how it streams."""
