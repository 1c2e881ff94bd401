"""What people said, frozen: JSON lines, foreign layouts, snapshots. Never reaches torch."""
