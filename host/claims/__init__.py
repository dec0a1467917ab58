"""The article's claims, measured: one module a claim, and what they share. `make claims`."""
