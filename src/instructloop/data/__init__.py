"""Snapshot files to token batches; knows no model."""
