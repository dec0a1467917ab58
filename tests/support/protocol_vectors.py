"""Writes protocol_vectors.json, from PROTOCOL.md alone: nothing of either end is imported.

    python tests/support/protocol_vectors.py

The dialogs are with a model of 2 inputs, 3 outputs and 2 words of state. A step adds dt and the
lower 12 bits of each input to its state, modulo 2**14; output k is the state + k - 2**13. The
board's clock stands still, so that every step time is 0. window 512, slots 4.

Those with a source are with one of 2 channels, which always has a sample: the k-th, from 1 on, is
k and -k, 5000 k microseconds after the one before. After so many `samples` it ends. The board's
ring has room for `ring` rows; where it `waits` samples stay in the source until there is room.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from zlib import crc32

FILE = Path(__file__).with_suffix(".json")
FLAG = b"\xfe"
TEXT = "model=vectors"


def host(kind: str, number: int, argument: int = 0, payload: bytes = b"") -> bytes:
    """PROTOCOL.md 2.1 and 2.2."""
    body = kind.encode() + bytes([number]) + argument.to_bytes(2, "little") + payload
    body += crc32(body).to_bytes(4, "little")
    frame = [0xFE, 0, 0, len(body) // 2, *body]
    for head, value in ((1, 3), (2, 0xFE)):
        places = [k for k in range(4, len(frame)) if frame[k] == value]
        for place, following in zip(places, [*places, 0][1:], strict=True):
            frame[place] = following
        frame[head] = places[0] if places else 0
    return bytes(frame)


def board(kind: str, number: int, argument: int = 0, payload: bytes = b"") -> bytes:
    """PROTOCOL.md 2.3."""
    body = kind.encode() + bytes([number]) + (argument & 0xFFFF).to_bytes(2, "little") + payload
    for turn in range(4):
        check = crc32(body + bytes([4 * turn, 0]))
        if check < 2**30:
            break
    body += (turn << 30 | check).to_bytes(4, "little")
    return bytes([0xA5, len(body) // 2]) + body


def words(*values: int) -> bytes:
    """Words, little-endian."""
    return b"".join((v & 0xFFFF).to_bytes(2, "little") for v in values)


def u32(*values: int) -> bytes:
    """Numbers of two words."""
    return struct.pack(f"<{len(values)}I", *values)


class Model:
    """The model of the dialogs."""

    def __init__(self) -> None:
        self.state = 0

    def steps(self, xs: list[tuple[int, int]], dts: list[int]) -> bytes:
        """The words of the outputs, step after step."""
        out = b""
        for x, dt in zip(xs, dts, strict=True):
            self.state = (self.state + dt + sum(v & 0xFFF for v in x)) & 0x3FFF
            out += words(*(self.state + k - 0x2000 for k in range(3)))
        return out


def host_frames() -> list[dict[str, object]]:
    """Requests and their bytes."""
    cases = [
        ("R", 0, 0, b""),
        ("H", 200, 0x1234, words(2, 0)),
        ("S", 1, 1, words(1, 2, 3, 4, 5, 6) + u32(40000)),
        ("S", 3, 1, words(1, 2, 0xFE03, 0x3FE, 5, 6) + u32(0xFEFEFE03)),
        ("S", 254, 2 + 256, words(3, 0xFE, 0x7FFF, 0x8000) + words(1000, 3, 0xFE)),
        ("S", 255, 2 + 512, words(1, 2, 3, 4) + u32(1, 2**31 - 1)),
        ("G", 7, 0, words(0, 120)),
        ("P", 8, 0, words(0, *range(119))),
        ("T", 9, 0, u32(3)),
        ("P", 3, 0xFE03, bytes([3]) * 240),
        ("P", 0xFE, 1, bytes([0xFE, 3]) * 120),
        ("A", 77, 0, b""),
        ("B", 3, 0, b""),
        ("F", 1, 2, b""),
    ]
    return [
        {
            "kind": k,
            "number": n,
            "argument": a,
            "payload": p.hex(),
            "frame": host(k, n, a, p).hex(),
        }
        for k, n, a, p in cases
    ]


def board_frames() -> list[dict[str, object]]:
    """Answers and their bytes, with every turn of the check among them."""
    cases = [("s", n, 1, words(n, -n, 5, 6, 7) + words(n)) for n in range(1, 9)]
    cases += [
        ("n", 0, 0, b""),
        ("n", 0, 254, b""),
        ("e", 54, 1, b"ValueError: dt: expected 1 or more ticks, got 0\0"),
        ("g", 3, 7, words(*range(-60, 60))),
        ("f", 1, 2, words(1, 0, 0, 0) + rows(1, 2)),
    ]
    frames = [board(*case) for case in cases]
    assert {frame[-1] >> 6 for frame in frames} == {0, 1, 2, 3}
    return [
        {"kind": k, "number": n, "argument": a, "payload": p.hex(), "frame": frame.hex()}
        for (k, n, a, p), frame in zip(cases, frames, strict=True)
    ]


def damaged_frames() -> list[dict[str, str]]:
    """Wires on which a board finds no whole frame, or only the second one (R with number 9)."""
    good, after = host("S", 1, 1, words(8, 10) + u32(8)), host("R", 9)
    swapped = bytearray(good)
    swapped[8:10], swapped[10:12] = good[10:12], good[8:10]
    turned = host("S", 1, 1, words(0x7FFF, 0) + u32(8)).replace(b"\xff\x7f", b"\x00\x80")
    high = bytearray(good)
    high[1] = 200
    return [
        {"what": "a byte lost, nothing follows", "wire": good[:-1].hex()},
        {"what": "a byte lost, a flag follows", "wire": (good[:-3] + good[-2:] + FLAG).hex()},
        {"what": "a byte added", "wire": (good[:9] + b"\x55" + good[9:]).hex()},
        {"what": "two words exchanged", "wire": bytes(swapped).hex()},
        {"what": "7fff became 8000", "wire": turned.hex()},
        {"what": "a link beyond the end", "wire": bytes(high).hex()},
        {"what": "size 3", "wire": (good[:3] + b"\x02" + good[4:]).hex()},
        {"what": "size 125", "wire": (good[:3] + b"\x7d" + good[4:]).hex()},
        {"what": "the start byte lost", "wire": good[1:].hex()},
        {"what": "cut off by the next frame", "wire": (good[:7] + after).hex(), "then": "R 9"},
        {"what": "noise before a frame", "wire": (b"\x00\xa5ab" + after).hex(), "then": "R 9"},
        {"what": "flags before a frame", "wire": (5 * FLAG + after).hex(), "then": "R 9"},
    ]


def dialog(name: str, *turns: tuple[bytes, bytes] | tuple[bytes, bytes, bool]) -> dict:
    """What goes over the wire in turn. pause: the line is quiet for longer than a gap."""
    steps = [{"to_board": t[0].hex(), "to_host": t[1].hex(), "pause": len(t) > 2} for t in turns]
    return {"name": name, "steps": steps}


def rows(first: int, count: int) -> bytes:
    """The words of samples, from the first-th on."""
    return b"".join(words(k, -k) + u32(5000 * k) for k in range(first, first + count))


def sources() -> list[dict[str, object]]:
    """Dialogs with a source."""
    hello = words(2, 1, 512, 4, 30, 2, 0, 0, 0, 0, 0, len(TEXT)) + u32(1000, 1000000, 1)
    start = (host("H", 0, 7, words(2, 1)), board("h", 0, 7, hello))
    f1, f2, f3, f4 = (host("F", k, 2) for k in (1, 2, 3, 4))
    a1 = board("f", 1, 2, words(1, 0, 0, 0) + rows(1, 2))
    a2 = board("f", 2, 2, words(1, 0, 0, 0) + rows(3, 2))
    a3 = board("f", 3, 1 + 256, words(0, 0, 0, 0) + rows(5, 1))
    a4 = board("f", 4, 256, words(0, 0, 0, 0))
    refused = b"S: the samples come from the source here"
    again = b"refused after an error: reset first\0"
    payload = b"ValueError: F: expected no payload, and the most rows as argument\0"
    found = [
        {"samples": 5, "ring": 3, "waits": True}
        | dialog(
            "rows until the source ends; a lost answer comes again, and nothing is fetched twice",
            start,
            (f1, a1),
            (f2 + f1, a2 + a1),
            (f3, a3),
            (host("A", 2), a2),
            (f4, a4),
            (host("B", 5), board("b", 5)),
        ),
        {"samples": 5, "ring": 3, "waits": False}
        | dialog(
            "two samples find no room, and are counted",
            start,
            (f1, board("f", 1, 2, words(1, 2, 0, 0) + rows(1, 2))),
            (f2, board("f", 2, 1 + 256, words(0, 2, 0, 0) + rows(3, 1))),
            (host("G", 3, 3, words(0, 60)), board("g", 3, 0, bytes(120))),
        ),
        {"samples": 0, "ring": 3, "waits": True}
        | dialog(
            "requests without sense",
            start,
            (host("S", 1, 1, words(1, 2) + u32(1)), board("e", 1, 0, refused)),
            (f2, board("e", 2, 0, again)),
            (host("R", 3), board("r", 3)),
            (host("F", 4, 2, words(0)), board("e", 4, 0, payload)),
        ),
    ]
    return found


def dialogs() -> list[dict[str, object]]:
    """Dialogs with the model."""
    hello = words(2, 1, 512, 4, 24, 2, 3, 2, 0, 0, 0, len(TEXT)) + u32(1000, 1000000, 1)
    m, found = Model(), []
    x3 = [(1, 2), (3, 4), (-1, 0x7FFF)]
    s1 = host("S", 1, 3, words(1, 2, 3, 4, -1, 0x7FFF) + u32(40))
    a1 = board("s", 1, 3, m.steps(x3, [40] * 3) + words(0, 0, 0))
    g2 = board("g", 2, 0, words(m.state, m.state))
    s3 = host("S", 3, 2 + 256, words(5, 6, 7, 8) + words(10, 3, 254))
    a3 = board("s", 3, 2, m.steps([(5, 6), (7, 8)], [30, 2540]) + words(0, 0))
    s4 = host("S", 4, 2 + 512, words(0, 0, 0, 0) + u32(70000, 1))
    a4 = board("s", 4, 2, m.steps([(0, 0), (0, 0)], [70000, 1]) + words(0, 0))
    found.append(
        dialog(
            "a run: hello, samples in each form of dt, the state, goodbye",
            (host("H", 0, 0x5EED, words(2, 0)), board("h", 0, 0x5EED, hello)),
            (s1 + FLAG, a1),
            (host("G", 2, 0, words(0, 2)), g2),
            (s3 + s4, a3 + a4),
            (host("B", 5), board("b", 5)),
        )
    )
    m = Model()
    s1 = host("S", 1, 1, words(9, 9) + u32(3))
    s2 = host("S", 2, 1, words(9, 8) + u32(3))
    a1 = board("s", 1, 1, m.steps([(9, 9)], [3]) + words(0))
    a2 = board("s", 2, 1, m.steps([(9, 8)], [3]) + words(0))
    found.append(
        dialog(
            "a lost answer: the same frame, or A, brings it again; nothing is done twice",
            (host("R", 0), board("r", 0)),
            (s1, a1),
            (s1, a1),
            (host("A", 1), a1),
            (host("A", 0), board("r", 0)),
            (host("A", 2), board("n", 0, 2)),
            (s2, a2),
        )
    )
    s3 = host("S", 3, 1, words(9, 9) + u32(3))
    found.append(
        dialog(
            "a lost frame: one NAK, then silence until it comes",
            (host("R", 0), board("r", 0)),
            (s2, board("n", 0, 1)),
            (s3, b""),
            (s1 + s2, a1 + a2),
        )
    )
    found.append(
        dialog(
            "a frame that breaks off: NAK at the next start, or after the gap",
            (host("R", 0), board("r", 0)),
            (s1[:9] + FLAG, board("n", 0, 1)),
            (s1[:9], board("n", 0, 1), True),
            (s1[:4] + s1, board("n", 0, 1) + a1),
            (b"noise", board("n", 0, 2), True),
            (s2, a2),
        )
    )
    bad = host("S", 1, 2, words(1, 1, 1, 1) + u32(0))
    refused = b"refused after an error: reset first\0"
    error = b"ValueError: dt: expected 1 or more ticks, got 0\0"
    m = Model()
    found.append(
        dialog(
            "an error: every step is refused until a reset",
            (host("R", 0), board("r", 0)),
            (bad + s2, board("e", 1, 0, error) + board("e", 2, 0, refused)),
            (host("G", 3, 0, words(0, 2)), board("e", 3, 0, refused)),
            (host("R", 4), board("r", 4)),
            (
                host("S", 5, 1, words(9, 9) + u32(3)),
                board("s", 5, 1, m.steps([(9, 9)], [3]) + words(0)),
            ),
        )
    )
    m.state = 0x1234
    found.append(
        dialog(
            "a state put back, and a run that goes on from it",
            (host("H", 9, 3, words(2, 0)), board("h", 9, 3, hello)),
            (host("P", 10, 0, words(0, 0x1234)), board("p", 10)),
            (host("P", 11, 0, words(1, 0x1234)), board("p", 11)),
            (
                host("S", 12, 1, words(1, 1) + u32(1)),
                board("s", 12, 1, m.steps([(1, 1)], [1]) + words(0)),
            ),
        )
    )
    senseless = (
        ("R", 1, b"", b"ValueError: R: expected no payload and argument 0"),
        ("Q", 0, words(1), b"ValueError: Q: expected no payload and argument 0"),
        ("S", 0, b"", b"S: 0 samples in form 0, expected 1 to 24"),
        ("S", 25, b"", b"S: 25 samples in form 0, expected 1 to 24"),
        ("S", 1 + 768, words(1, 1) + u32(1), b"S: 1 samples in form 3, expected 1 to 24"),
        ("S", 2, words(1, 1) + u32(1), b"S: 4 words do not fit 2 samples"),
        ("G", 9, words(0, 1), b"ValueError: G: region 9 has -1 words, and 120 fit"),
        ("G", 0, words(1, 2), b"ValueError: G: region 0 has 2 words, and 120 fit"),
        ("G", 0, words(0, 200), b"ValueError: G: region 0 has 2 words, and 120 fit"),
        (
            "G",
            0,
            words(1, 1),
            b"ValueError: G: the state is taken when its first word is asked for",
        ),
        ("P", 0, words(1, 5), b"ValueError: P: word 1 of region 0 is not the next"),
        ("P", 1, words(0, 5), b"ValueError: P: word 0 of region 1 is not the next"),
        (
            "T",
            0,
            u32(1),
            b"ValueError: T: expected a dt, after the last word of a sample in parts",
        ),
        ("z", 0, b"", b"ValueError: message 122 not known"),
        ("H", 5, words(1, 0), b"ValueError: H: this board speaks protocol 2.1"),
    )
    turns = []
    for k, (kind, argument, payload, text) in enumerate(senseless):
        turns.append((host("R", 2 * k), board("r", 2 * k)))
        answer = board("e", 2 * k + 1, 0, text + bytes(len(text) % 2))
        turns.append((host(kind, 2 * k + 1, argument, payload), answer))
    found.append(dialog("requests without sense", *turns))
    return found


def main() -> None:
    """Write the file."""
    content = {
        "text": TEXT,
        "host_frames": host_frames(),
        "board_frames": board_frames(),
        "damaged_frames": damaged_frames(),
        "dialogs": dialogs(),
        "sources": sources(),
    }
    FILE.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
