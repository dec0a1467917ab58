"""Engines that need no board: the reference, the C extension, pure Python, unix MicroPython."""
