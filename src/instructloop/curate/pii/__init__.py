"""Personal data in text: what finds it, and what is done with what was found."""
