"""ulnn in pure Python: reads .ulnn files (SPEC.md) and steps them, with the native module's bits.

For CircuitPython, for MicroPython without the native module, and for CPython; one source.
Small ints may have 31 bits: the arithmetic is split so that big ints are rare, never wrong.
Weights and tables stay in the file's buffer and are read from there.
"""

from array import array
from struct import calcsize, unpack_from

try:
    from binascii import crc32
except ImportError:
    try:
        from zlib import crc32
    except ImportError:
        crc32 = None

try:
    from operator import index as _index
except ImportError:

    def _index(v):
        return int(v | 0)


__version__ = "0.1.0"
ENGINE = "pure"

_DIALECTS = ("ncps.torch", "ncps.keras", "raminmh.torch", "raminmh.tf", "ulnn")


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


# Reading with struct or with slices would allocate at every call, and a step allocates nothing
# (but the rare big int). So weights are read as plain bytes: (byte ^ 128) is weight + 128, and
# 128 times the sum of the vector is taken off again. 16-bit weights are two such bytes.
def _group(b, o, v, n, total, wide, m):
    """Four rows of the stream at `o` over v[0..n-1], into m[0..3]; total = 128 * sum(v)."""
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
        # Bias and multiplier by halves: 31 bits at once are a big int on most boards.
        bias = (((b[first + 3] ^ 128) << 8 | b[first + 2]) - 32768 << 16) + (
            b[first + 1] << 8 | b[first]
        )
        first += 4
        m[r] = _mulhi(m[r] + bias, b[o + 3] << 8 | b[o + 2], b[o + 1] << 8 | b[o])
        o += 4


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


def _total(v, n):
    total = 0
    for i in range(n):
        total += v[i]
    return total << 7


def _rows(b, mat, v, out, p, m):
    """A dense or backbone matrix over `v`, into out[p...]; `m` is scratch for four values."""
    o, size, n, wide, _, _, _, _, rows = mat
    total = _total(v, n)
    for r in range(rows):
        k = r & 3
        if k == 0:
            _group(b, o, v, n, total, wide, m)
            o += size
        out[p + r] = _activate(b, mat, m[k])


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
    """The heads over `v`, new states into `h` (SPEC 3.3). frac = fh * 2^16 + fl."""
    o, size, n, wide, _, shift, _, table, rows = mat
    total = _total(v, n)
    half = 131072 >> gate
    lookup = _lookup
    for i in range(rows >> 2):
        _group(b, o, v, n, total, wide, m)
        o += size
        f1 = lookup(b, table, m[0], shift)
        f2 = lookup(b, table, m[1], shift)
        t = m[2]
        c = t >> 14
        t &= 16383
        # _mulhi with the result 2^gate times larger
        t = t * fh + ((c * fl + (t * fl >> 14) + half) >> 2)
        if gate <= 2:
            t = (c * fh + (t >> 14)) >> (2 - gate)
        else:
            t = (c * fh << (gate - 2)) + (t >> (16 - gate))
        s = lookup(b, table, m[3] + t, shift)
        h[i] = _new_state(mode, f1, f2, s)


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
    if n > 16777216:  # 4
        _fail("file too large: %d bytes, expected at most 16777216", n)
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
            most = 4
        elif kind == 5:
            most = 16
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


def _check_stream(b, o, rows, columns, wide, where):
    """Checks 42 to 44 of the stream at `o`."""
    # Where the weights of a row stand in a block, in the order of the columns
    places = (0, 2, 16, 18) if wide else (0, 2, 1, 3)
    size = 32 if wide else 16
    used = (columns - 1) & 3  # the last column in use of the last block
    sums = [0, 0, 0, 0]
    fill = [0, 0, 0, 0]
    for row in range(0, rows, 4):
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
            if high > 32767:  # 42
                _fail("%srow %d: multiplier is negative", where, row + r)
            if row + r >= rows:
                fill[r] = bias or low or high or sums[r]
            if fill[r]:  # 43
                _fail("%srow %d: filling is not 0", where, row + r)
            if sums[r] > 65535 or 32768 * sums[r] + abs(bias) > 2147483647:  # 44
                _fail("%srow %d: accumulator can overflow", where, row + r)
            first += 4
            o += 4


def _layer(b, base, size, number, width, tables, dt_max):
    """Checks 24 to 45. Returns (cfc, mode, gate_shift, input_size, output_size, matrices, bits,
    macs, dt_fixed)."""
    where = "layer %d: " % number
    head = unpack_from("<HBBHHHHI", b, base)
    kind, mode, gate, input_size, output_size, count, reserved, fixed = head
    if kind != 1 and kind != 2:  # 24
        _fail("%skind %d not supported", where, kind)
    cfc = kind == 1
    if mode > (3 if cfc else 0):  # 25
        _fail("%smode %d not supported", where, mode)
    if gate > (12 if cfc and mode < 2 else 0):  # 26
        _fail("%sgate shift %d not supported", where, gate)
    if input_size != width:  # 27
        _fail("%sinput size %d, expected %d", where, input_size, width)
    if output_size < 1 or output_size > 1024:  # 28
        _fail("%soutput size %d, expected 1 to 1024", where, output_size)
    if count < 1 or count > (16 if cfc else 1):  # 29
        _fail("%smatrix count %d not supported", where, count)
    if reserved or (fixed and mode < 2):  # 30
        _fail("%sreserved field is not 0", where)
    if mode > 1 and (fixed < 1 or fixed > dt_max):  # 30a
        _fail("%sfixed dt %d, expected 1 to %d", where, fixed, dt_max)
    end = 16 + 16 * count
    if size < end:  # 31
        _fail("%sdescriptors do not fit in the section", where)
    matrices = []
    most = macs = 0
    if cfc:
        width += output_size
    for j in range(count):
        where = "layer %d matrix %d: " % (number, j)
        head = unpack_from("<BBBBBBHHHI", b, base + 16 + 16 * j)
        bits, act, shift, oshift, table, reserved, rows, columns, reserved2, offset = head
        if bits != 8 and bits != 16:  # 32
            _fail("%sweight bits %d not supported", where, bits)
        last = cfc and j == count - 1
        if act > 3 or (last and act != 2) or (cfc and act < 1):  # 33
            _fail("%sactivation %d not supported", where, act)
        if shift > 8:  # 34
            _fail("%sshift %d not supported", where, shift)
        if oshift > (14 if act == 3 else 0):  # 35
            _fail("%soutput shift %d not supported", where, oshift)
        if table >= (len(tables) if act > 1 else 1):  # 36
            _fail("%stable %d not supported", where, table)
        if reserved or reserved2:  # 37
            _fail("%sreserved field is not 0", where)
        if last:
            bad = rows != (4 if mode < 2 else 3) * output_size
        elif cfc:
            bad = rows < 1 or rows > 4096
        else:
            bad = rows != output_size
        if bad:  # 38
            _fail("%srows %d not supported", where, rows)
        if columns != width:  # 39
            _fail("%scolumns %d, expected %d", where, columns, width)
        if offset != end:  # 40
            _fail("%soffset %d, expected %d", where, offset, end)
        wide = bits >> 4
        record = 32 + ((columns + 3) >> 2) * (16 << wide)
        end += ((rows + 3) >> 2) * record
        if end > size:  # 41
            _fail("%sweights do not fit in the section", where)
        _check_stream(b, base + offset, rows, columns, wide, where)
        at = tables[table] if act > 1 else 0
        n = (columns + 3) & ~3
        matrices.append((base + offset, record, n, wide, act, shift, oshift, at, rows))
        most = max(most, bits)
        macs += rows * columns
        width = rows
    if size != end:  # 45
        _fail("layer %d: section size %d, expected %d", number, size, end)
    return cfc, mode, gate, input_size, output_size, matrices, most, macs, fixed


def _check_golden(b, o, size, values, state_size):
    """Checks 47 to 50. Returns the number of steps."""
    if size < 8:  # 47
        _fail("golden vectors: size %d, expected at least 8", size)
    steps, reserved = unpack_from("<II", b, o)
    if steps < 1 or steps > 4096:  # 48
        _fail("golden vectors: steps %d, expected 1 to 4096", steps)
    if reserved:  # 49
        _fail("golden vectors: reserved field is not 0")
    want = 8 + steps * (4 + 2 * values) + 2 * state_size
    if size != want:
        _fail("golden vectors: size %d, expected %d", size, want)
    for k in range(steps):
        low, high = unpack_from("<HH", b, o + 8 + 4 * k)
        if high > 32767 or not (low or high):  # 50
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
        if self._dialect < 1 or self._dialect > 5:  # 8
            _fail("dialect %d not supported", self._dialect)
        if count < 1 or count > 64:  # 9
            _fail("section count %d, expected 1 to 64", count)
        if self._in < 1 or self._in > 1024:  # 10
            _fail("input size %d, expected 1 to 1024", self._in)
        if self._out < 1 or self._out > 1024:  # 11
            _fail("output size %d, expected 1 to 1024", self._out)
        if size < 64 + 16 * count:  # 12
            _fail("section table does not fit in the file")
        time, tables, layers, golden = _sections(b, size, count, self._in, self._out)
        self._tick, self._dt_max = unpack_from("<II", b, time)
        if self._tick < 1:  # 21
            _fail("tick of 0 ns")
        if self._dt_max < 1 or self._dt_max > 2147483647:  # 22
            _fail("dt_max %d, expected 1 to 2147483647", self._dt_max)
        for t in range(len(tables)):
            _check_table(b, tables[t], t)

        self._layers = []
        self._states = self._bits = self._macs = self._golden = 0
        # The only dt that a step does not count: 0 for any, -1 for none (layers that differ)
        self._fixed = self._uncounted = 0
        width = self._in
        wide = hidden = 0
        words = 0
        for k in range(len(layers)):
            offset, length = layers[k]
            cfc, mode, gate, i, o, matrices, bits, macs, fixed = _layer(
                b, offset, length, k, width, tables, self._dt_max
            )
            width = o
            self._bits = max(self._bits, bits)
            self._macs += macs
            if cfc:
                self._states += o
                hidden = max(hidden, 3 * o if fixed else o)
            if fixed:
                self._fixed = self._fixed or fixed
                self._uncounted = fixed if fixed == self._fixed and self._uncounted >= 0 else -1
            for matrix in matrices[:-1]:
                wide = max(wide, (matrix[8] + 3) & ~3)
            # x and, behind it, the state; filled up to whole blocks
            vector = array("h", bytes(2 * matrices[0][2]))
            words += matrices[0][2]
            self._layers.append((cfc, mode, gate, i, o, matrices, vector))
        if width != self._out:  # 46
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
        self._h = array("h", bytes(2 * hidden))
        self._even = array("h", bytes(2 * wide))
        self._odd = array("h", bytes(2 * wide))
        self._m = [0, 0, 0, 0]
        self._words = words + hidden + 2 * wide
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
        vector = layers[0][6]
        for i in range(self._in):
            vector[i] = x[xp + i]
        for k in range(len(layers)):
            cfc, mode, gate, start, size, matrices, vector = layers[k]
            if k + 1 < len(layers):
                out = layers[k + 1][6]
                p = 0
            else:
                out = y
                p = yp
            if not cfc:
                _rows(b, matrices[0], vector, out, p, m)
                continue
            src = vector
            dst = self._even
            for j in range(len(matrices) - 1):
                _rows(b, matrices[j], src, dst, 0, m)
                src = dst
                dst = self._even if j & 1 else self._odd
            h = self._h
            if mode > 1:
                _fixed_heads(b, matrices[-1], src, h, m, mode)
            else:
                _heads(b, matrices[-1], src, h, m, mode, gate, fh, fl)
            for i in range(size):
                vector[start + i] = out[p + i] = h[i]

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
        for cfc, _, _, start, size, _, vector in self._layers:
            if cfc:
                for i in range(size):
                    vector[start + i] = 0
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
        for cfc, _, _, start, size, _, vector in self._layers:
            if cfc:
                for i in range(size):
                    v = vector[start + i]
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
        for cfc, _, _, start, size, _, vector in self._layers:
            if cfc:
                for i in range(size):
                    (vector[start + i],) = unpack_from("<h", value, k)
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
            matrices += len(layer[5])
        # Values of 2 bytes; of 4 bytes (a board's word) the tuples of _layer and _m
        ram = 2 * self._words + 4 * (9 * matrices + 7 * len(self._layers) + 4)
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
