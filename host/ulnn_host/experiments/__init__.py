"""Many trainings: searches and comparisons."""
