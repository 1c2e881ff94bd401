"""The small simulated world: its truth, its people, their prompts, demonstrations and judgements. Standard library only."""
