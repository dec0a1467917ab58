"""Checkpoints: ours, and those of other libraries."""
