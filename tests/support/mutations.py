# Mutated files, the same ones on CPython and on MicroPython: the board makes its own.
from binascii import crc32
from struct import pack_into, unpack_from


def _random(seed):
    state = seed * 2654435761 % 4294967296 or 1
    while True:
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        yield state


def mutated(data, seed):
    """A damaged copy of `data`: cut, lengthened, bits or fields changed; often with a good CRC."""
    draw = _random(seed)
    b = bytearray(data)
    kind = next(draw) % 8
    if kind == 0:
        b = b[: next(draw) % len(b)]
    elif kind == 1:
        b += bytes(next(draw) % 64)
    elif kind == 2:
        noise = bytes([next(draw) & 255 for _ in range(64)])
        b = bytearray((noise * (len(b) // 64 + 1))[: len(b)])
    else:
        for _ in range(1 + next(draw) % 4):
            at = next(draw) % (len(b) if kind < 5 else min(len(b), 400))
            b[at] = (b[at] ^ (1 << (next(draw) % 8))) if kind & 1 else next(draw) & 255
    if len(b) >= 64 and next(draw) % 4:
        if next(draw) % 2:
            pack_into("<I", b, 8, len(b))
        pack_into("<I", b, 12, crc32(memoryview(b)[16:]) & 0xFFFFFFFF)
    return b


def verdicts(load, data, first, count, step):
    """One text a file: why it is refused, or the output of one step of it."""
    texts = []
    for seed in range(first, first + count):
        b = mutated(data, seed)
        try:
            texts.append(step(load(b), unpack_from("<HH", b, 56)))
        except ValueError as error:
            texts.append(str(error))
    return texts
