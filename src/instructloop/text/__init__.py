"""Text to token ids and back: the sole owner of special tokens and loss masks."""
