"""Liquid networks: trained on a PC, run in integers on microcontrollers, proven equal."""

__version__ = "0.1.0"
