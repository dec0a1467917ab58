"""MicroPython's source, and native modules built with it."""
