"""Recordings: sequences, data sets, scores."""
