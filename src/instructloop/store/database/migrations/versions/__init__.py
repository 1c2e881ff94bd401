"""One file per revision; each says which it follows."""
