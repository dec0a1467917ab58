"""The version of ulnn, the same in every part (tests hold them equal)."""

__version__ = "0.2.0"
