"""ulnn in pure Python: reads .ulnn files (SPEC.md) and steps them, with the native module's bits.

For CircuitPython, for MicroPython without the native module, and for CPython; one source.
Small ints may have 31 bits: the arithmetic is split so that big ints are rare, never wrong.
Weights and tables stay in the file's buffer and are read from there.
"""

from array import array
from struct import calcsize, unpack_from

try:
    from micropython import const
except ImportError:

    def const(v):
        return v


try:
    from binascii import crc32
except ImportError:
    crc32 = None

try:
    from operator import index as _index  # type: ignore[import-not-found]
except ImportError:

    def _index(v):
        return int(v | 0)


__version__ = "0.2.0"
ENGINE = "pure"

# Limits of the format (SPEC 2)
_FILE_MAX = const(16777216)
_SECTIONS_MAX = const(64)
_TABLES_MAX = const(4)
_LAYERS_MAX = const(16)
_MATRICES_MAX = const(16)
_DIALECTS_MAX = const(6)
_SIZE_MAX = const(1024)
_ROWS_MAX = const(4096)
_SYNAPSES_MAX = const(1048576)
_UNFOLDS_MAX = const(64)
_TICKS_MAX = const(2147483647)
_GOLDEN_MAX = const(4096)

_DIALECTS = ("ncps.torch", "ncps.keras", "raminmh.torch", "raminmh.tf", "ulnn", "torch")


def _crc32(b, at, n):
    """CRC-32 from byte `at` on, for firmware without one: by nibbles, in 16-bit halves."""
    high = []
    low = []
    for i in range(16):
        h = 0
        for _ in range(4):
            odd = i & 1
            i = (i >> 1) | ((h & 1) << 15)
            h >>= 1
            if odd:
                h ^= 0xEDB8
                i ^= 0x8320
        high.append(h)
        low.append(i)
    h = lo = 0xFFFF
    for o in range(at, n, 32):
        for c in unpack_from("%dB" % min(32, n - o), b, o):
            lo ^= c
            k = lo & 15
            lo = ((lo >> 4) | ((h & 15) << 12)) ^ low[k]
            h = (h >> 4) ^ high[k]
            k = lo & 15
            lo = ((lo >> 4) | ((h & 15) << 12)) ^ low[k]
            h = (h >> 4) ^ high[k]
    return ((h ^ 0xFFFF) << 16) | (lo ^ 0xFFFF)


def _nbytes(m):
    """Bytes of the memoryview `m`; where it has no `nbytes`, by looking where reading fails."""
    try:
        return m.nbytes
    except AttributeError:
        pass
    n = len(m)
    for size in (1, 2, 4):
        try:
            unpack_from("b", m, n * size)
        except Exception:  # ValueError or RuntimeError, by interpreter
            return n * size
    return n * 8


# MicroPython's and CircuitPython's memoryviews do not tell their typecode. An array does, by the
# repr of an empty slice. For a memoryview without `format` the item size is measured (_nbytes)
# and the sign is tried: -1 written to `y` and read back; an `x` of unsigned items is seen by a
# value above 32767 (below, both types mean the same).
def _int16(name, b, write):
    """Returns `b`, or a flat view of it, for indexing. Raises TypeError, ValueError (SPEC 5)."""
    if type(b) is array:
        ok = repr(b[0:0])[7:8] == "h"
    else:
        m = memoryview(b)
        fmt = getattr(m, "format", None)
        if fmt is not None:
            if write and m.readonly:
                raise TypeError(name + ": the buffer is read-only")
            ok = fmt == "h"
            if ok and m.ndim != 1:
                m = m.cast("B").cast("h")
        else:
            n = len(m)
            if write and n:
                m[0] = m[0]  # the interpreter's TypeError, if read-only
            ok = type(b) not in (bytes, bytearray) and _nbytes(m) == 2 * n
            if ok and n and write:
                old = m[0]
                try:
                    m[0] = -1
                    ok = m[0] == -1
                except OverflowError:
                    ok = False
                m[0] = old
            elif ok:
                for v in m:
                    if v > 32767:
                        ok = False
        b = m
    if not ok:
        raise ValueError(name + ": expected int16 values (array 'h')")
    return b


def _int32(b):
    """The same for `dts`: 4-byte integers, signed or not."""
    if type(b) is array:
        code = repr(b[0:0])[7:8]
        ok = code in "iIlL" and calcsize(code) == 4
    else:
        m = memoryview(b)
        fmt = getattr(m, "format", None)
        if fmt is not None:
            ok = fmt in ("i", "I", "l", "L") and m.itemsize == 4
            if ok and m.ndim != 1:
                m = m.cast("B").cast(fmt)
        else:
            n = len(m)
            ok = type(b) not in (bytes, bytearray) and _nbytes(m) == 4 * n
            ok = ok and (n == 0 or isinstance(m[0], int))
        b = m
    if not ok:
        raise ValueError("dts: expected 32-bit values (array 'I')")
    return b


def _count(name, want, got):
    if got != want:
        raise ValueError("%s: expected %d values, got %d" % (name, want, got))


# -- arithmetic (SPEC 3) ------------------------------------------------------------------------


def _mulhi(a, h, lo):
    """(a * (h * 2^16 + lo) + 2^31) >> 32, in steps that stay below 2^30 for |a| < 2^28."""
    b = a >> 14
    a &= 16383
    return (b * h + ((a * h + ((b * lo + (a * lo >> 14) + 131072) >> 2)) >> 14)) >> 2


def _word(b, o):
    """The int32 at `o`."""
    return (((b[o + 3] ^ 128) << 8 | b[o + 2]) - 32768 << 16) + (b[o + 1] << 8 | b[o])


def _times(b, o, s):
    """(n * (s * 2^15) + 2^31) >> 32 for the int32 n at `o` and an int16 s."""
    high = (((b[o + 3] ^ 128) << 8 | b[o + 2]) - 32768) * s
    return (high + ((b[o + 1] * s + (b[o] * s >> 8) + 256) >> 8)) >> 1


def _elapsed(t, gate, fh, fl):
    """(t * frac + 2^(31-gate)) >> (32-gate), as _mulhi. frac = fh * 2^16 + fl."""
    c = t >> 14
    t &= 16383
    t = t * fh + ((c * fl + (t * fl >> 14) + (131072 >> gate)) >> 2)
    if gate <= 2:
        return (c * fh + (t >> 14)) >> (2 - gate)
    return (c * fh << (gate - 2)) + (t >> (16 - gate))


# Scratch `m` of the rows: four results, the place in the stream, 128 times the sum of the vector;
# and for sparse matrices the places of the group's number of columns and of its offsets, and an
# array for the values of these columns.
def _begin(b, mat, v, m):
    """Before the first group of a matrix over `v`."""
    m[4] = mat[0]
    at = mat[1]
    if at:
        m[6] = at
        m[7] = at + 2 * ((mat[8] + 3) >> 2)
    else:
        total = 0
        for i in range(mat[2]):
            total += v[i]
        m[5] = total << 7


def _gather(b, v, m):
    """The values of the columns of the next group of a sparse matrix into m[8]; their number."""
    o = m[6]
    n = ((b[o + 1] << 8 | b[o]) + 3) & ~3
    m[6] = o + 2
    o = m[7]
    g = m[8]
    total = 0
    for c in range(n):
        x = v[(b[o + 1] << 8 | b[o]) >> 1]
        total += x
        g[c] = x
        o += 2
    m[5] = total << 7
    m[7] = o
    return n


# Reading with struct or with slices would allocate at every call, and a step allocates nothing
# (but the rare big int). So weights are read as plain bytes: (byte ^ 128) is weight + 128, and
# 128 times the sum of the vector is taken off again. 16-bit weights are two such bytes.
def _group(b, mat, v, m):
    """The next four rows of a matrix over `v`, into m[0..3]."""
    _, at, n, wide, _, _, _, _, _ = mat
    if at:
        n = _gather(b, v, m)
        v = m[8]
    o = m[4]
    total = m[5]
    a0 = a1 = a2 = a3 = -total
    first = o
    o += 16
    if wide:
        l0 = l1 = l2 = l3 = 0
        for c in range(0, n, 4):
            x0 = v[c]
            x1 = v[c + 1]
            x2 = v[c + 2]
            x3 = v[c + 3]
            l0 += b[o] * x0 + b[o + 2] * x1 + b[o + 16] * x2 + b[o + 18] * x3
            l1 += b[o + 4] * x0 + b[o + 6] * x1 + b[o + 20] * x2 + b[o + 22] * x3
            l2 += b[o + 8] * x0 + b[o + 10] * x1 + b[o + 24] * x2 + b[o + 26] * x3
            l3 += b[o + 12] * x0 + b[o + 14] * x1 + b[o + 28] * x2 + b[o + 30] * x3
            a0 += (b[o + 1] ^ 128) * x0 + (b[o + 3] ^ 128) * x1
            a0 += (b[o + 17] ^ 128) * x2 + (b[o + 19] ^ 128) * x3
            a1 += (b[o + 5] ^ 128) * x0 + (b[o + 7] ^ 128) * x1
            a1 += (b[o + 21] ^ 128) * x2 + (b[o + 23] ^ 128) * x3
            a2 += (b[o + 9] ^ 128) * x0 + (b[o + 11] ^ 128) * x1
            a2 += (b[o + 25] ^ 128) * x2 + (b[o + 27] ^ 128) * x3
            a3 += (b[o + 13] ^ 128) * x0 + (b[o + 15] ^ 128) * x1
            a3 += (b[o + 29] ^ 128) * x2 + (b[o + 31] ^ 128) * x3
            o += 32
        a0 = (a0 << 8) + l0
        a1 = (a1 << 8) + l1
        a2 = (a2 << 8) + l2
        a3 = (a3 << 8) + l3
    else:
        for c in range(0, n, 4):
            x0 = v[c]
            x1 = v[c + 1]
            x2 = v[c + 2]
            x3 = v[c + 3]
            a0 += (b[o] ^ 128) * x0 + (b[o + 2] ^ 128) * x1
            a0 += (b[o + 1] ^ 128) * x2 + (b[o + 3] ^ 128) * x3
            a1 += (b[o + 4] ^ 128) * x0 + (b[o + 6] ^ 128) * x1
            a1 += (b[o + 5] ^ 128) * x2 + (b[o + 7] ^ 128) * x3
            a2 += (b[o + 8] ^ 128) * x0 + (b[o + 10] ^ 128) * x1
            a2 += (b[o + 9] ^ 128) * x2 + (b[o + 11] ^ 128) * x3
            a3 += (b[o + 12] ^ 128) * x0 + (b[o + 14] ^ 128) * x1
            a3 += (b[o + 13] ^ 128) * x2 + (b[o + 15] ^ 128) * x3
            o += 16
    m[0] = a0
    m[1] = a1
    m[2] = a2
    m[3] = a3
    for r in range(4):
        # By halves, as _word does: 31 bits at once are a big int on most boards.
        bias = (((b[first + 3] ^ 128) << 8 | b[first + 2]) - 32768 << 16) + (
            b[first + 1] << 8 | b[first]
        )
        first += 4
        m[r] = _mulhi(m[r] + bias, b[o + 3] << 8 | b[o + 2], b[o + 1] << 8 | b[o])
        o += 4
    m[4] = o


def _lookup(b, o, m, shift):
    """lookup(T, sat22(m * 2^shift)) for the table at `o`; (u * slope) >> 16 in two steps."""
    top = 2097152 >> shift
    if m >= top:
        m = 2097151
    elif m < -top:
        m = -2097152
    else:
        m <<= shift
    k = m >> 13
    o += 1024 + 4 * k
    slope = ((b[o + 1] ^ 128) << 8 | b[o]) - 32768
    offset = ((b[o + 3] ^ 128) << 8 | b[o + 2]) - 32768
    return ((k * slope + ((m & 8191) * slope >> 13)) >> 3) + offset


def _activate(b, mat, m):
    """SPEC 3.2 for one row."""
    _, _, _, _, activation, shift, output_shift, table, _ = mat
    if activation == 2:
        return _lookup(b, table, m, shift)
    if activation == 3:
        g = (32768 + _lookup(b, table, m, shift)) << output_shift
        beyond = m >> (31 - shift)
        if beyond > 0:
            m = 2147483647
        elif beyond < -1:
            m = -2147483648
        else:
            m <<= shift
        m = _mulhi(m, g >> 16, g & 65535)
        shift = 0
    top = 32768 >> shift
    if m >= top:
        return 32767
    if m < 0 and activation == 1:
        return 0
    if m < -top:
        return -32768
    return m << shift


def _rows(b, mat, v, out, p, m):
    """All rows of a matrix over `v`, with their activation, into out[p...]; `m` is scratch."""
    _begin(b, mat, v, m)
    for r in range(mat[8]):
        k = r & 3
        if k == 0:
            _group(b, mat, v, m)
        out[p + r] = _activate(b, mat, m[k])


# -- cells (SPEC 3.3 to 3.8) --------------------------------------------------------------------


def _sat16(v):
    return max(-32768, min(32767, v))


def _new_state(mode, f1, f2, s):
    if mode & 1:
        return (f1 + (f2 >> 1) + (f2 * s >> 16) + 1) >> 1
    return ((f1 + f2) >> 1) + ((f2 - f1) * s >> 16)


def _fixed_heads(b, mat, v, h, m, mode):
    """The heads with a fixed dt (SPEC 3.4): `h` has room for all three of every neuron."""
    _rows(b, mat, v, h, 0, m)
    k = 0
    for i in range(mat[8] // 3):
        h[i] = _new_state(mode, h[k], h[k + 1], h[k + 2])
        k += 3


def _heads(b, mat, v, h, m, mode, gate, fh, fl):
    """The heads over `v`, new states into `h` (SPEC 3.3)."""
    _, _, _, _, activation, shift, _, table, rows = mat
    lookup = _lookup
    _begin(b, mat, v, m)
    for i in range(rows >> 2):
        _group(b, mat, v, m)
        if activation:
            f1 = lookup(b, table, m[0], shift)
            f2 = lookup(b, table, m[1], shift)
        else:
            f1 = _activate(b, mat, m[0])
            f2 = _activate(b, mat, m[1])
        s = lookup(b, table, m[3] + _elapsed(m[2], gate, fh, fl), shift)
        new = _new_state(mode, f1, f2, s)
        h[i] = new if new >= -32768 else -32768  # linear f1, f2 may give -32769


def _pure(b, mat, v, h, m, o, gate, fh, fl):
    """The heads of mode `pure` (SPEC 3.5); the neurons' numbers stand at `o`."""
    _rows(b, mat, v, h, 0, m)
    for i in range(mat[8]):
        z = h[i]
        e = _lookup(b, mat[7], _elapsed(abs(z) + _word(b, o), gate, fh, fl), 0)
        e = (e * e + 16384) >> 15
        h[i] = _sat16(_word(b, o + 4) + _times(b, o + 8, (e * z + 16384) >> 15))
        o += 16


def _lstm(b, mat, v, start, size, h, m, shift):
    """SPEC 3.6: new hidden states in v[start...], cell states behind them. `h` is scratch."""
    _rows(b, mat, v, h, 0, m)
    k = 0
    for p in range(start, start + size):
        i = h[k]
        g = h[k + 2]
        c = v[p + size]
        t = c * h[k + 1]
        # (32768 + i) * g, halved so that it stays below 2^30; without a shift, g apart
        if shift:
            t = (t + (((g << 14) + (i * g >> 1)) >> (shift - 1))) >> 15
        else:
            t = g + ((t + i * g) >> 15)
        c = v[p + size] = _sat16((c + 1 + t) >> 1)
        c = _lookup(b, mat[7], c, 3 + shift)
        v[p] = (c + 1 + (c * h[k + 3] >> 15)) >> 1
        k += 4


def _gru(b, matrices, v, tail, start, size, h, m, shift):
    """SPEC 3.7: new states in v[start...], of which `tail` is a view. `h` is scratch."""
    gates, hidden, inputs = matrices
    _rows(b, gates, v, h, 0, m)
    _rows(b, hidden, tail, h, 2 * size, m)
    _rows(b, inputs, v, h, 3 * size, m)
    for i in range(size):
        z = h[2 * i + 1]
        q = h[2 * size + i]
        n = (h[3 * size + i] << 11) + (((q << 14) + (h[2 * i] * q >> 1)) >> 4)
        n = _lookup(b, gates[7], n >> (8 - shift), 0)
        o = v[start + i]
        v[start + i] = (n + o + 1 + (z * (o - n) >> 15)) >> 1


# Sums of an LTC neuron are int32: kept as m[0] * 2^8 + m[1] (denominator), m[2] * 2^8 + m[3].
def _synapses(b, table, v, p, count, at, o, m):
    """Adds `count` synapses at `o`, whose sources at `at` are values of v[p...], to the sums."""
    total = 0
    dh = m[0]
    dl = m[1]
    nh = m[2]
    nl = m[3]
    for _ in range(count):
        u = _times(b, o, v[p + ((b[at + 1] << 8 | b[at]) >> 1)]) + _word(b, o + 4)
        u = _lookup(b, table, u, 0)
        total += u
        dl += b[o + 8] * u
        dh += (b[o + 9] ^ 128) * u
        nl += b[o + 10] * u
        nh += (b[o + 11] ^ 128) * u
        at += 2
        o += 12
    total <<= 7
    m[0] = dh - total + (dl >> 8)
    m[1] = dl & 255
    m[2] = nh - total + (nl >> 8)
    m[3] = nl & 255


def _share(high, low, fh, f1, f0):
    """((high * 2^8 + low) * frac) >> 31. frac = fh * 2^16 + f1 * 2^8 + f0."""
    c = (high & 127) << 8 | low
    high >>= 7
    t = (c * f1 + (c * f0 >> 8)) >> 7
    t = ((high * f0 + t >> 1) + c * fh) >> 7
    return high * fh + ((high * f1 + t) >> 8)


def _potential(b, o, v, n, d):
    """New potential of an LTC neuron, capacity at `o`; n, d: its sums, times frac >> 31."""
    high = b[o + 3] << 9 | b[o + 2] << 1 | b[o + 1] >> 7
    low = (b[o + 1] & 127) << 8 | b[o]
    t = low * v
    n += high * v + (t >> 15)  # n' is n * 2^15 + (t & 32767)
    low += d & 32767
    high += (d >> 15) + (low >> 15)  # d' is high * 2^15 + (low & 32767)
    k = 0
    d = high >> 1
    while d:
        d >>= 1
        k += 1
    d = (high << (16 - k) >> 1) + ((low & 32767) >> k)
    # (n" + (d >> 1)) // d, with n" in two parts: all but its last bit, and that
    t = (n & 3) << 15 | t & 32767
    n = (n >> 2 << (16 - k)) + (t >> (k + 1))
    q = n // d
    return _sat16(2 * q + (2 * (n - q * d) + (t >> k & 1) + (d >> 1)) // d)


def _ltc(b, ltc, v, start, h, m, fh, fl):
    """SPEC 3.8: potentials in v[start...], behind the inputs. `h` is scratch."""
    size, unfolds, table, counts, sources, neurons, synapses, sums = ltc
    at = sources
    o = synapses
    for i in range(size):
        n = neurons + 16 * i
        m[0] = ((b[n + 7] ^ 128) << 16 | b[n + 6] << 8 | b[n + 5]) - 8388608
        m[1] = b[n + 4]
        m[2] = ((b[n + 3] ^ 128) << 16 | b[n + 2] << 8 | b[n + 1]) - 8388608
        m[3] = b[n]
        n = b[counts + 1] << 8 | b[counts]
        counts += 2
        _synapses(b, table, v, 0, n, at, o, m)
        at += 2 * n
        o += 12 * n
        for k in range(4):
            sums[4 * i + k] = m[k]
    f1 = fl >> 8
    f0 = fl & 255
    for _ in range(unfolds):
        source = at
        synapse = o
        for i in range(size):
            for k in range(4):
                m[k] = sums[4 * i + k]
            n = b[counts + 2 * i + 1] << 8 | b[counts + 2 * i]
            _synapses(b, table, v, start, n, source, synapse, m)
            source += 2 * n
            synapse += 12 * n
            d = _share(m[0], m[1], fh, f1, f0)
            n = _share(m[2], m[3], fh, f1, f0)
            h[i] = _potential(b, neurons + 16 * i + 8, v[start + i], n, d)
        for i in range(size):
            v[start + i] = h[i]


# -- loading (SPEC 4; the numbers are those of its checks) --------------------------------------


def _fail(text, *args):
    raise ValueError(text % args)


def _head(b, n):
    """Checks 1 to 5 on the first 64 bytes of a file of `n` bytes."""
    if n < 64:  # 1
        _fail("file too short: %d bytes, expected at least 64", n)
    magic, major, _, _, size = unpack_from("<4sBBHI", b, 0)
    if magic != b"ULNN":  # 2
        _fail("not a ulnn file: it does not start with ULNN")
    if major != 1:  # 3
        _fail("format version %d not supported, expected 1", major)
    if n > _FILE_MAX:  # 4
        _fail("file too large: %d bytes, expected at most %d", n, _FILE_MAX)
    if size != n:  # 5
        _fail("file size %d bytes, expected %d", n, size)


def _sections(b, n, count, input_size, output_size):
    """Checks 13 to 20. Returns the offsets of TIME and of the tables, (offset, size) of layers
    and of GOLDEN (None without)."""
    end = 64 + 16 * count
    before = (-1, 0)
    found = [0, 0, 0, 0, 0, 0, 0]
    tables = []
    layers = []
    golden = None
    time = 0
    for k in range(count):
        kind, index, offset, size, reserved = unpack_from("<HHIII", b, 64 + 16 * k)
        if reserved or offset & 15:  # 13
            _fail("section %d: bad entry", k)
        if offset < end or offset + size > n:  # 14
            _fail("section %d: does not fit in the file", k)
        if (kind, index) <= before:  # 15
            _fail("section %d: out of order", k)
        before = (kind, index)
        end = offset + size
        if kind >= 0x8000:
            continue
        if kind < 1 or kind > 6:  # 16
            _fail("section %d: type %d not supported", k, kind)
        most = 1
        if kind == 4:
            most = _TABLES_MAX
        elif kind == 5:
            most = _LAYERS_MAX
        if index != found[kind] or index >= most:  # 17
            _fail("section %d: bad index", k)
        found[kind] += 1
        want = (0, 8, 8 * input_size, 8 * output_size, 2048, 0, 0)[kind]
        if want and size != want:  # 18
            _fail("section %d: size %d, expected %d", k, size, want)
        if kind == 5 and size < 16:  # 19
            _fail("section %d: size %d, expected at least 16", k, size)
        if kind == 1:
            time = offset
        elif kind == 4:
            tables.append(offset)
        elif kind == 5:
            layers.append((offset, size))
        elif kind == 6:
            golden = (offset, size)
    for kind, name in ((1, "TIME"), (2, "INPUT"), (3, "OUTPUT"), (5, "LAYER")):  # 20
        if not found[kind]:
            _fail("section %s is missing", name)
    return time, tables, layers, golden


def _check_table(b, o, t):
    """Check 23. A segment is a line, so its two ends bound it."""
    for k in range(-256, 256):
        slope, offset = unpack_from("<hh", b, o + 1024 + 4 * k)
        first = (k * slope >> 3) + offset
        last = ((k * slope + (8191 * slope >> 13)) >> 3) + offset
        if first > 32767 or first < -32767 or last > 32767 or last < -32767:
            _fail("table %d: segment %d leaves the range", t, k + 256)


def _check_list(b, o, end, groups, columns, wide, where):
    """Checks 45 to 49 of the sparse stream at `o`; the section ends at `end`. Returns the
    places of the first record and of the stream's end, and the most columns of a group."""
    offsets = o + 2 * groups
    if offsets > end:  # 45
        _fail("%sweights do not fit in the section", where)
    at = offsets
    most = size = 0
    for r in range(groups):
        (n,) = unpack_from("<H", b, o + 2 * r)
        if n < 1 or n > columns:  # 46
            _fail("%sgroup %d: columns %d, expected 1 to %d", where, r, n, columns)
        most = max(most, n)
        n = (n + 3) & ~3
        at += 2 * n
        size += 32 + (n << (2 + wide))
    first = at + (-(at - o) & 15)
    if first + size > end:  # 47
        _fail("%sweights do not fit in the section", where)
    at = offsets
    entry = 0
    for r in range(groups):
        (n,) = unpack_from("<H", b, o + 2 * r)
        for c in range((n + 3) & ~3):
            (v,) = unpack_from("<H", b, at)
            if v & 1 or v >= 2 * columns or (v and c >= n):  # 48
                _fail("%sentry %d: offset %d not supported", where, entry, v)
            entry += 1
            at += 2
    _check_zeros(b, at, first, where)  # 49
    return first, first + size, most


def _check_zeros(b, o, end, where):
    for k in range(o, end):
        if b[k]:
            _fail("%sreserved field is not 0", where)


def _check_stream(b, o, at, rows, columns, wide, where):
    """Checks 50 to 52 of the records at `o`; the sparse list's place, or 0. Returns the
    connections and, of its rows, the products."""
    # Where the weights of a row stand in a block, in the order of the columns
    places = (0, 2, 16, 18) if wide else (0, 2, 1, 3)
    size = 32 if wide else 16
    sums = [0, 0, 0, 0]
    fill = [0, 0, 0, 0]
    synapses = macs = 0
    for row in range(0, rows, 4):
        if at:
            (columns,) = unpack_from("<H", b, at)
            at += 2
        synapses += columns
        macs += columns * min(4, rows - row)
        used = (columns - 1) & 3  # the last column in use of the last block
        first = o
        o += 16
        for r in range(4):
            sums[r] = fill[r] = 0
        for c in range(0, columns, 4):
            for r in range(4):
                for k in range(4):
                    p = o + places[k]
                    w = (b[p + wide] ^ 128) - 128
                    if wide:
                        w = (w << 8) + b[p]
                    if w:
                        sums[r] += abs(w)
                        if k > used and c + 4 >= columns:
                            fill[r] = 1
                o += 4
            o += size - 16
        for r in range(4):
            (bias,) = unpack_from("<i", b, first)
            low, high = unpack_from("<HH", b, o)
            if high > 32767:  # 50
                _fail("%srow %d: multiplier is negative", where, row + r)
            if row + r >= rows:
                fill[r] = bias or low or high or sums[r]
            if fill[r]:  # 51
                _fail("%srow %d: filling is not 0", where, row + r)
            if sums[r] > 65535 or 32768 * sums[r] + abs(bias) > 2147483647:  # 52
                _fail("%srow %d: accumulator can overflow", where, row + r)
            first += 4
            o += 4
    return synapses, macs


def _check_neurons(b, o, end, size, number):
    """Checks 53, 54 of the neurons' numbers of mode `pure` at `o`. Returns their end."""
    if o + 16 * size > end:  # 53
        _fail("layer %d: neurons do not fit in the section", number)
    for r in range(size):
        tau, a, _, reserved = unpack_from("<iiii", b, o)
        if tau < 0 or tau > 1073741824 or a < -32768 or a > 32767 or reserved:  # 54
            _fail("layer %d: neuron %d: bad numbers", number, r)
        o += 16
    return o


def _check_ltc(b, base, size, number, inputs, outputs, tables):
    """Checks 56 to 65. Returns what a step needs (see _ltc), the number of synapses, and the
    products of a step."""
    where = "layer %d: " % number
    n, unfolds, table, count, reserved, reserved2 = unpack_from("<HBBIII", b, base + 16)
    if n < outputs or n > _SIZE_MAX:  # 56
        _fail("%sneurons %d, expected %d to %d", where, n, outputs, _SIZE_MAX)
    if unfolds < 1 or unfolds > _UNFOLDS_MAX:  # 57
        _fail("%sunfolds %d not supported", where, unfolds)
    if table >= len(tables):  # 58
        _fail("%stable %d not supported", where, table)
    if reserved or reserved2:  # 59
        _fail("%sreserved field is not 0", where)
    if count > _SYNAPSES_MAX:  # 60
        _fail("%ssynapses %d, expected at most %d", where, count, _SYNAPSES_MAX)
    sources = 32 + 4 * n
    neurons = (sources + 2 * count + 15) & ~15
    synapses = neurons + 16 * n
    want = (synapses + 12 * count + 15) & ~15
    if size != want:  # 61
        _fail("%ssection size %d, expected %d", where, size, want)
    sensory = total = 0
    for r in range(2 * n):
        if r == n:
            sensory = total
        total += unpack_from("<H", b, base + 32 + 2 * r)[0]
    if total != count:  # 62
        _fail("%ssynapses %d, expected %d", where, total, count)
    for r in range(count):
        (v,) = unpack_from("<H", b, base + sources + 2 * r)
        if v & 1 or v >= 2 * (inputs if r < sensory else n):  # 63
            _fail("%sentry %d: offset %d not supported", where, r, v)
    _check_zeros(b, base + sources + 2 * count, base + neurons, where)  # 64
    _check_zeros(b, base + synapses + 12 * count, base + size, where)
    # Where the next sensory and the next internal synapse stand
    at = [base + synapses, base + synapses + 12 * sensory]
    for r in range(n):
        num, den, capacity, reserved = unpack_from("<iiii", b, base + neurons + 16 * r)
        bad = reserved or den < 0 or capacity < 1 or capacity > 1073741824
        dens = nums = 0
        for k in range(2):
            o = at[k]
            at[k] += 12 * unpack_from("<H", b, base + 32 + 2 * (r + k * n))[0]
            while o < at[k]:
                offset, w_den, w_num = unpack_from("<ihh", b, o + 4)
                bad = bad or offset < -1073741824 or offset > 1073741824
                dens += abs(w_den)
                nums += abs(w_num)
                o += 12
        dens *= 32768
        bad = bad or dens > den or dens + den > 2147483647
        if bad or 32768 * nums + abs(num) > 2147483647:  # 65
            _fail("%sneuron %d: bad numbers", where, r)
    ltc = (
        n, unfolds, tables[table], base + 32, base + sources, base + neurons, base + synapses,
        array("i", bytes(16 * n)),
    )  # fmt: skip
    return ltc, count, 3 * sensory + 3 * unfolds * (count - sensory)


def _wanted(kind, mode, j, last, size, inputs, width):
    """What matrix `j` of a layer must be: activations (bit a: a is allowed), rows (0: up to
    _ROWS_MAX) and columns. inputs: values before the state; width: what comes out of the matrix
    before."""
    if kind == 2:
        return 15, size, width
    if kind == 4:
        if j == 0:
            return 4, 2 * size, inputs + size
        return 1, size, size if j == 1 else inputs
    if kind == 3 or (kind == 6 and j == 0):
        return 4, 4 * size, inputs + size
    if j < last:
        return 14, 0, width
    return (5, 5, 4, 4, 1)[mode], (4, 4, 3, 3, 1)[mode] * size, width


def _layer(model, base, size, number, width, tables):
    """Checks 24 to 65. Adds the layer to the model; returns its output size."""
    b = model._b
    where = "layer %d: " % number
    head = unpack_from("<HBBHHHBBI", b, base)
    kind, mode, gate, input_size, output_size, count, state_shift, cell_shift, fixed = head
    if kind < 1 or kind > 6:  # 24
        _fail("%skind %d not supported", where, kind)
    cfc = kind == 1 or kind == 6
    if mode > (0, 4, 0, 1, 1, 0, 4)[kind]:  # 25
        _fail("%smode %d not supported", where, mode)
    constant = cfc and (mode == 2 or mode == 3)
    pure = mode == 4
    if gate > (12 if cfc and not constant else 0):  # 26
        _fail("%sgate shift %d not supported", where, gate)
    if input_size != width:  # 27
        _fail("%sinput size %d, expected %d", where, input_size, width)
    if output_size < 1 or output_size > _SIZE_MAX:  # 28
        _fail("%soutput size %d, expected 1 to %d", where, output_size, _SIZE_MAX)
    most = _MATRICES_MAX if cfc else (0, 0, 1, 1, 3, 0)[kind]
    if count < (0, 1, 1, 1, 3, 0, 2)[kind] or count > most:  # 29
        _fail("%smatrix count %d not supported", where, count)
    if state_shift > (8 if kind == 4 or pure else 0):  # 30
        _fail("%sstate shift %d not supported", where, state_shift)
    if cell_shift > (8 if kind == 3 or kind == 6 else 0):  # 31
        _fail("%scell shift %d not supported", where, cell_shift)
    if fixed and not constant:  # 32
        _fail("%sreserved field is not 0", where)
    if constant and (fixed < 1 or fixed > model._dt_max):  # 33
        _fail("%sfixed dt %d, expected 1 to %d", where, fixed, model._dt_max)
    end = 16 + 16 * count
    if size < (32 if kind == 5 else end):  # 34
        _fail("%sdescriptors do not fit in the section", where)

    # Where the state begins in the layer's vector, and how many neurons and values it has
    start = input_size
    if mode == 1 and not cfc:
        start += 1
    if kind == 4:
        start = (start + 3) & ~3
    neurons = 0 if kind == 2 else output_size
    numbers = 0
    matrices = []
    if kind == 5:
        matrices, synapses, macs = _check_ltc(
            b, base, size, number, input_size, output_size, tables
        )
        neurons = matrices[0]
        end = size
        model._bits = 16
        model._synapses += synapses
        model._macs += macs
        model._words += 8 * neurons
    elif cfc:
        width += output_size
    for j in range(count):
        where = "layer %d matrix %d: " % (number, j)
        last = cfc and j == count - 1
        acts, want, width = _wanted(kind, mode, j, count - 1, output_size, start, width)
        head = unpack_from("<BBBBBBHHHI", b, base + 16 + 16 * j)
        bits, act, shift, oshift, table, sparse, rows, columns, reserved, offset = head
        if bits != 8 and bits != 16:  # 35
            _fail("%sweight bits %d not supported", where, bits)
        if act > 3 or not acts >> act & 1:  # 36
            _fail("%sactivation %d not supported", where, act)
        if shift > 8:  # 37
            _fail("%sshift %d not supported", where, shift)
        if oshift > (14 if act == 3 else 0):  # 38
            _fail("%soutput shift %d not supported", where, oshift)
        looks = act > 1 or last
        if table >= (len(tables) if looks else 1):  # 39
            _fail("%stable %d not supported", where, table)
        if sparse > 1:  # 40
            _fail("%sstorage %d not supported", where, sparse)
        if reserved:  # 41
            _fail("%sreserved field is not 0", where)
        if rows != want if want else rows < 1 or rows > _ROWS_MAX:  # 42
            _fail("%srows %d not supported", where, rows)
        if columns != width:  # 43
            _fail("%scolumns %d, expected %d", where, columns, width)
        if offset != end:  # 44
            _fail("%soffset %d, expected %d", where, offset, end)
        wide = bits >> 4
        groups = (rows + 3) >> 2
        n = (columns + 3) & ~3
        first = base + end
        if sparse:
            sparse = first
            first, end, most = _check_list(b, first, base + size, groups, columns, wide, where)
            end -= base
            model._listed = max(model._listed, (most + 3) & ~3)
        else:
            end += groups * (32 + (n << (2 + wide)))
            if end > size:  # 47
                _fail("%sweights do not fit in the section", where)
        synapses, macs = _check_stream(b, first, sparse, rows, columns, wide, where)
        at = tables[table] if looks else 0
        matrices.append((first, sparse, n, wide, act, shift, oshift, at, rows))
        model._bits = max(model._bits, bits)
        model._synapses += synapses
        model._macs += macs
        if kind != 6 or j:
            width = rows
        if not want:
            model._wide = max(model._wide, (rows + 3) & ~3)
    if pure:
        numbers = base + end
        end = _check_neurons(b, numbers, base + size, output_size, number) - base
    if size != end:  # 55
        _fail("layer %d: section size %d, expected %d", number, size, end)

    states = 2 * neurons if kind == 3 or kind == 6 else neurons
    # The input and, behind it, the state; filled up to whole blocks, whose weights are 0
    vector = array("h", bytes(2 * ((start + states + 3) & ~3)))
    if kind == 4:
        numbers = memoryview(vector)[start:]
    model._neurons += neurons
    model._states += states
    model._words += len(vector)
    scratch = 3 if constant else 1
    if kind == 3 or kind == 4 or kind == 6:
        scratch = 4
    model._scratch = max(model._scratch, neurons * scratch)
    if fixed:
        model._fixed = model._fixed or fixed
        same = fixed == model._fixed and model._uncounted >= 0
        model._uncounted = fixed if same else -1
    model._layers.append(
        (
            kind,
            mode,
            gate,
            state_shift if kind == 4 else cell_shift,
            start,
            output_size,
            states,
            matrices,
            vector,
            numbers,
        )
    )
    return output_size


def _check_golden(b, o, size, values, state_size):
    """Checks 67 to 71. Returns the number of steps."""
    if size < 8:  # 67
        _fail("golden vectors: size %d, expected at least 8", size)
    steps, reserved = unpack_from("<II", b, o)
    if steps < 1 or steps > _GOLDEN_MAX:  # 68
        _fail("golden vectors: steps %d, expected 1 to %d", steps, _GOLDEN_MAX)
    if reserved:  # 69
        _fail("golden vectors: reserved field is not 0")
    want = 8 + steps * (4 + 2 * values) + 2 * state_size
    if size != want:  # 70
        _fail("golden vectors: size %d, expected %d", size, want)
    for k in range(steps):
        low, high = unpack_from("<HH", b, o + 8 + 4 * k)
        if high > 32767 or not (low or high):  # 71
            _fail("golden vectors: bad dt at step %d", k)
    return steps


# -- interface (SPEC 5) -------------------------------------------------------------------------


class Model:
    """A loaded model with its state. Made by `load`."""

    def __init__(self, buffer, size, copied):
        b = self._b = buffer
        self._size = size
        self._copied = copied
        _head(b, size)
        self._version, self._dialect, count, self._in, self._out, reserved = unpack_from(
            "<IHHHHI", b, 48
        )
        if crc32:
            m = memoryview(b)
            crc = crc32(m[16 * len(m) // size :]) & 0xFFFFFFFF
        else:
            crc = _crc32(b, 16, size)
        if crc != unpack_from("<I", b, 12)[0]:  # 6
            _fail("CRC32 does not match: the file is damaged")
        if reserved or unpack_from("<H", b, 6)[0]:  # 7
            _fail("header: reserved field is not 0")
        if self._dialect < 1 or self._dialect > _DIALECTS_MAX:  # 8
            _fail("dialect %d not supported", self._dialect)
        if count < 1 or count > _SECTIONS_MAX:  # 9
            _fail("section count %d, expected 1 to %d", count, _SECTIONS_MAX)
        if self._in < 1 or self._in > _SIZE_MAX:  # 10
            _fail("input size %d, expected 1 to %d", self._in, _SIZE_MAX)
        if self._out < 1 or self._out > _SIZE_MAX:  # 11
            _fail("output size %d, expected 1 to %d", self._out, _SIZE_MAX)
        if size < 64 + 16 * count:  # 12
            _fail("section table does not fit in the file")
        time, tables, layers, golden = _sections(b, size, count, self._in, self._out)
        self._tick, self._dt_max = unpack_from("<II", b, time)
        if self._tick < 1:  # 21
            _fail("tick of 0 ns")
        if self._dt_max < 1 or self._dt_max > _TICKS_MAX:  # 22
            _fail("dt_max %d, expected 1 to %d", self._dt_max, _TICKS_MAX)
        for t in range(len(tables)):
            _check_table(b, tables[t], t)

        self._layers = []
        self._states = self._neurons = self._synapses = self._macs = self._bits = 0
        self._words = self._scratch = self._wide = self._listed = 0
        # The only dt that a step does not count: 0 for any, -1 for none (layers that differ)
        self._fixed = self._uncounted = 0
        self._golden = 0
        width = self._in
        for k in range(len(layers)):
            offset, length = layers[k]
            width = _layer(self, offset, length, k, width, tables)
        if width != self._out:  # 66
            _fail("output size %d, expected %d", width, self._out)
        if golden:
            self._golden = _check_golden(
                b, golden[0], golden[1], self._in + self._out, self._states
            )
            self._golden_at = golden[0] + 8

        self._shift = 31
        n = self._dt_max
        while n:
            n >>= 1
            self._shift -= 1
        self._h = array("h", bytes(2 * self._scratch))
        self._even = array("h", bytes(2 * self._wide))
        self._odd = array("h", bytes(2 * self._wide))
        self._m = [0, 0, 0, 0, 0, 0, 0, 0, array("h", bytes(2 * self._listed))]
        self._words += self._scratch + 2 * self._wide + self._listed
        self._x = self._y = None
        self._clamped = 0

    def _step(self, x, xp, y, yp, dt):
        top = self._dt_max
        if dt > top or (self._uncounted and dt != self._uncounted):
            if self._clamped < 0xFFFFFFFF:
                self._clamped += 1
            if dt > top:
                dt = top
        s = self._shift
        if s >= 16:
            fh = dt << (s - 16)
            fl = 0
        else:
            fh = dt >> (16 - s)
            fl = (dt & (65535 >> s)) << s
        b = self._b
        m = self._m
        layers = self._layers
        h = self._h
        n = self._in
        vector = layers[0][8]
        for i in range(n):
            vector[i] = x[xp + i]
        for k in range(len(layers)):
            kind, mode, gate, shift, start, size, _, matrices, vector, numbers = layers[k]
            if k + 1 < len(layers):
                out = layers[k + 1][8]
                p = 0
            else:
                out = y
                p = yp
            if kind == 2:
                _rows(b, matrices[0], vector, out, p, m)
                n = size
                continue
            if mode == 1 and (kind == 3 or kind == 4):
                vector[n] = fh
            n = size
            if kind == 3 or kind == 6:
                _lstm(b, matrices[0], vector, start, size, h, m, shift)
            elif kind == 4:
                _gru(b, matrices, vector, numbers, start, size, h, m, shift)
            elif kind == 5:
                _ltc(b, matrices, vector, start, h, m, fh, fl)
            if kind == 1 or kind == 6:
                src = vector
                dst = self._even
                for j in range(1 if kind == 6 else 0, len(matrices) - 1):
                    _rows(b, matrices[j], src, dst, 0, m)
                    src = dst
                    dst = self._odd if dst is self._even else self._even
                if mode == 4:
                    _pure(b, matrices[-1], src, h, m, numbers, gate, fh, fl)
                elif mode > 1:
                    _fixed_heads(b, matrices[-1], src, h, m, mode)
                else:
                    _heads(b, matrices[-1], src, h, m, mode, gate, fh, fl)
                for i in range(size):
                    vector[start + i] = h[i]
            for i in range(size):
                out[p + i] = vector[start + i]

    def step(self, x, y, dt):
        """One step: reads `x`, writes `y`, `dt` ticks after the step before."""
        # Only arrays are remembered: their typecode is fixed, and no view of them is held.
        if x is not self._x:
            a = x
            x = _int16("x", x, False)
            if x is a:
                self._x = x
        _count("x", self._in, len(x))
        if y is not self._y:
            a = y
            y = _int16("y", y, True)
            if y is a:
                self._y = y
        _count("y", self._out, len(y))
        dt = _index(dt)
        if dt < 1:
            _fail("dt: expected 1 or more ticks, got %d", dt)
        self._step(x, 0, y, 0, dt)

    def run(self, xs, ys, dts):
        """len(dts) steps; `xs` and `ys` hold the steps one after the other."""
        dts = _int32(dts)
        n = len(dts)
        xs = _int16("xs", xs, False)
        _count("xs", n * self._in, len(xs))
        ys = _int16("ys", ys, True)
        _count("ys", n * self._out, len(ys))
        for k in range(n):
            if dts[k] < 1:
                _fail("dts: expected 1 or more ticks, got %d at step %d", dts[k], k)
        for k in range(n):
            self._step(xs, k * self._in, ys, k * self._out, dts[k])

    def reset(self):
        """State and counter of clamped steps to 0."""
        for _, _, _, _, start, _, states, _, vector, _ in self._layers:
            for i in range(start, start + states):
                vector[i] = 0
        self._clamped = 0

    @property
    def clamped(self):
        """Steps so far in which dt was replaced by dt_max or by a fixed dt."""
        return self._clamped

    @property
    def state(self):
        """The state as bytes: int16, little-endian."""
        out = bytearray(2 * self._states)
        k = 0
        for _, _, _, _, start, _, states, _, vector, _ in self._layers:
            for i in range(start, start + states):
                v = vector[i]
                out[k] = v & 255
                out[k + 1] = (v >> 8) & 255
                k += 2
        return bytes(out)

    @state.setter
    def state(self, value):
        value = memoryview(value)
        n = _nbytes(value)
        if n != 2 * self._states:
            _fail("state: expected %d bytes, got %d", 2 * self._states, n)
        k = 0
        for _, _, _, _, start, _, states, _, vector, _ in self._layers:
            for i in range(start, start + states):
                (vector[i],) = unpack_from("<h", value, k)
                k += 2

    def info(self):
        """What the file and the engine are, as a dict (SPEC 5)."""
        b = self._b
        major, minor = unpack_from("<BB", b, 4)
        name = ""
        for c in unpack_from("<32B", b, 16):
            name += "%02x" % c
        matrices = 0
        for layer in self._layers:
            matrices += len(layer[7])
        # Values of 2 bytes; of 4 bytes (a board's word) the tuples of _layer and _m
        ram = 2 * self._words + 4 * (9 * matrices + 10 * len(self._layers) + 9)
        return {
            "format": "%d.%d" % (major, minor),
            "engine": ENGINE,
            "kernel": "python",
            "model_version": self._version,
            "dialect": _DIALECTS[self._dialect - 1],
            "sha256": name,
            "file_size": self._size,
            "input_size": self._in,
            "output_size": self._out,
            "state_size": self._states,
            "layers": len(self._layers),
            "neurons": self._neurons,
            "synapses": self._synapses,
            "weight_bits": self._bits,
            "dt_fixed": self._fixed,
            "macs": self._macs,
            "tick_ns": self._tick,
            "dt_max": self._dt_max,
            "golden_steps": self._golden,
            "ram": ram + (self._size if self._copied else 0),
            "in_place": not self._copied,
        }

    def self_test(self):
        """Replays the golden vectors from the file; returns the number of steps compared."""
        n = self._golden
        if not n:
            return 0
        b = self._b
        at = self._golden_at
        x = array("h", bytes(2 * self._in))
        y = array("h", bytes(2 * self._out))
        xp = at + 4 * n
        yp = xp + 2 * n * self._in
        self.reset()
        try:
            for k in range(n):
                for i in range(self._in):
                    (x[i],) = unpack_from("<h", b, xp)
                    xp += 2
                self._step(x, 0, y, 0, unpack_from("<I", b, at + 4 * k)[0])
                for v in y:
                    if v != unpack_from("<h", b, yp)[0]:
                        _fail("self test: step %d differs", k)
                    yp += 2
            state = self.state
            for i in range(len(state)):
                if state[i] != unpack_from("<B", b, yp + i)[0]:
                    _fail("self test: state differs")
        finally:
            self.reset()
        return n


def load(source):
    """A Model from a path (str) or from a buffer that holds the file and is kept."""
    if isinstance(source, str):
        with open(source, "rb") as f:
            size = f.seek(0, 2)
            f.seek(0)
            _head(f.read(64), size)
            f.seek(0)
            data = bytearray(size)
            f.readinto(data)
        return Model(data, size, True)
    m = memoryview(source)
    size = _nbytes(m)
    copied = False
    if type(source) in (bytes, bytearray):
        m = source
    elif size and hasattr(m, "nbytes"):  # CPython
        m = m.cast("B")
    elif size and (size != len(m) or min(m) < 0):  # not unsigned bytes, and no way to view it so
        m = bytes(m)
        copied = True
    return Model(m, size, copied)


def bands(track):
    """Features of a stream of samples by a track (SPEC 5)."""
    from ulnn_rules.bands import Bands

    return Bands(track)
