"""Training: recipes, cells, the loop."""
