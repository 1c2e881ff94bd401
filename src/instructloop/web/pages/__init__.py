"""The pages for people: accounts, playground, own data. Each module has a `router`."""
