"""What is at a port that gives no REPL, in words for its user."""

from __future__ import annotations

import re

_MICROPYTHON = rb"MicroPython|CircuitPython|MPY: |>>> |Traceback|KeyboardInterrupt|raw REPL"
_READABLE = bytes(range(32, 127)) + b"\t\r\n\x1b\x08"


def unknown_port(heard: bytes) -> str:
    """Why there is no REPL, from what was heard while it was asked for."""
    sent = heard.replace(b"\n", b"").strip()
    if not sent:
        return (
            "no answer at all; is it the right port, is MicroPython on the board, and does it "
            "own this port?"
        )
    last = repr(_last_line(heard))
    if re.search(rb"\$(G[PNLAB]|BD)[A-Z]{3},", heard):
        return f"a GPS receiver talks here (last seen: {last}), no MicroPython; name another port"
    if re.search(rb"(login|[Pp]assword): ?", heard):
        return f"another computer asks for a login here ({last}), no MicroPython"
    if not heard.strip(b"\r\x01\x02\x03\x04^ABCD"):
        return "this port sends back what it gets: a loopback or a modem, no MicroPython"
    if re.search(_MICROPYTHON, heard):
        return (
            "a program on the board keeps the REPL busy and ignores Ctrl-C "
            f"(last seen: {last}); reset the board, or remove its main.py"
        )
    if len(heard.translate(None, _READABLE)) > len(heard) // 4:
        return (
            "what comes in is not readable, so that the baud rate may be wrong (--baud), or the "
            "line is bad, or this is no MicroPython"
        )
    return (
        f"something sends text here but gives no REPL (last seen: {last}): other firmware than "
        "MicroPython (an Arduino?), or a program that ignores Ctrl-C; reset the board, or remove "
        "its main.py"
    )


def _last_line(heard: bytes) -> str:
    lines = heard.decode(errors="replace").strip().splitlines()
    return lines[-2:][0][-60:]
