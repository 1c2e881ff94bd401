"""What a worker can do: each kind of job is a payload, checked before anything is done, and a function that does it."""
