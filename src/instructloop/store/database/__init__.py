"""The feedback database: people, what they asked, what they were asked to judge, and what they said.

`opening.open_store` opens it; every other module is a set of functions whose first argument is the open `Store`.
"""
