"""Functions that return a complete Config."""
