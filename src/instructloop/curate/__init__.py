"""From people's prompts to prompts that may be shown and trained on: pure functions over records, and the funnel that applies them."""
