"""Rules that a PC and a board both follow: plain integer Python, the same bits on both.

Nothing here imports `ulnn`; a rule gets the model, or a file of one, as an argument.
"""

__version__ = "0.2.0"
