"""The report of the demo: one self-contained page, its charts, and the record of what it shows."""
