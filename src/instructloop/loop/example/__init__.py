"""A small project that fills a fresh store, so that a stranger can try every page at once: `instructloop serve --example`."""
