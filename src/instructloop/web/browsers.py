"""What a browser calls itself, in words its owner knows."""

BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
"""The first that occurs counts: browsers also claim to be those that came before them."""
SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "macOS"), ("Linux", "Linux"))


def browser_name(client: str) -> str | None:
    """ "Firefox on Linux"; None where neither is known."""
    names = [next((name for sign, name in known if sign in client), None) for known in (BROWSERS, SYSTEMS)]
    return " on ".join(name for name in names if name) or None
