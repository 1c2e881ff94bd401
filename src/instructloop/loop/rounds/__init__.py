"""The loop through a store, round after round, with scripted people who do all they do through what the site and its pages offer.

people.py     three labelers who write prompts and demonstrations and rank, three users with API keys and passwords
asking.py     users who ask a site: through its API, and as its page does
figures.py    what came of each round
__main__.py   `python -m instructloop.loop.rounds ACT`: the parts of `runs/human_loop.sh` that no verb of instructloop does
"""
