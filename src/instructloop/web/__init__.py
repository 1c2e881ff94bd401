"""The site: playground and API. Reaches the store and a `Completer`, never torch."""
