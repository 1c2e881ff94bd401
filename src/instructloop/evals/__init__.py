"""Judging models: accuracies, baselines, intervals, reports; trains nothing."""
