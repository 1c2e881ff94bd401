"""Whoever conducts: the demo, the real run, sweeps, selection, sampling for people."""
