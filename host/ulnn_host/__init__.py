"""Liquid networks: trained on a PC, run in integers on microcontrollers, proven equal."""

from .base.version import __version__

__all__ = ["__version__"]
