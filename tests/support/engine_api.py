"""The interface of SPEC.md section 5, checked on one engine; runs on CPython and on MicroPython.

The file must have golden vectors and more than one input and output. As a program: argument 1 is
the file, argument 2 (optional) a folder in which `ulnn` is looked for first.
"""

# ruff: noqa: UP031, PTH123, SIM113, SIM905 (what MicroPython does not have)
import sys
from array import array

KEYS = (
    "format engine kernel model_version dialect sha256 file_size input_size output_size "
    "state_size layers neurons synapses weight_bits dt_fixed macs tick_ns dt_max golden_steps ram "
    "in_place"
).split()


def raises(error, text, call, *args):
    try:
        call(*args)
    except error as e:
        if text is not None and str(e) != text:
            raise AssertionError("got %r, expected %r" % (str(e), text)) from e
        return
    raise AssertionError("no %s: %r" % (error.__name__, text))


def set_state(m, value):
    m.state = value


def check_info(ulnn, data):
    m = ulnn.load(data)
    info = m.info()
    assert sorted(info) == sorted(KEYS), sorted(info)
    for key in KEYS:
        kind = str if key in ("format", "engine", "kernel", "dialect", "sha256") else int
        assert isinstance(info[key], bool if key == "in_place" else kind), key
    assert info["format"] == "%d.%d" % (data[4], data[5])
    assert info["engine"] == ulnn.ENGINE
    assert isinstance(ulnn.__version__, str)
    assert info["file_size"] == len(data)
    assert info["sha256"] == "".join("%02x" % c for c in data[16:48])
    assert info["in_place"] is True
    assert len(m.state) == 2 * info["state_size"]
    assert m.self_test() == info["golden_steps"] > 0
    return m, info


def check_step(m, info):
    i, o = info["input_size"], info["output_size"]
    x, y = array("h", [7] * i), array("h", [99] * o)
    assert m.step(x, y, 1) is None
    assert list(y) != [99] * o
    y = array("h", [99] * o)
    h = "x: expected int16 values (array 'h')"
    count = "x: expected %d values, got %d"
    for code in "HbBiIf":
        raises(ValueError, h, m.step, array(code, [1] * i), y, 1)
    raises(ValueError, h, m.step, array("i", [1] * (i + 1)), y, 1)  # the type before the length
    raises(ValueError, h, m.step, bytes(2 * i), y, 1)
    raises(ValueError, h, m.step, bytearray(2 * i), y, 1)
    raises(ValueError, h, m.step, memoryview(array("i", [1] * i)), y, 1)
    raises(ValueError, h, m.step, memoryview(array("H", [65535] * i)), y, 1)
    for n in (0, i - 1, i + 1):
        raises(ValueError, count % (i, n), m.step, array("h", [1] * n), y, 1)
        part = memoryview(array("h", [1] * (i + 3)))[2 : 2 + n]
        if n:
            raises(ValueError, count % (i, n), m.step, part, y, 1)
    for bad in ([1] * i, None, 3, 1.5):
        raises(TypeError, None, m.step, bad, y, 1)
    h = "y: expected int16 values (array 'h')"
    count = "y: expected %d values, got %d"
    for code in "HbBiIf":
        raises(ValueError, h, m.step, x, array(code, [1] * o), 1)
    unsigned = array("H", [1] * o)
    raises(ValueError, h, m.step, x, memoryview(unsigned), 1)
    assert list(unsigned) == [1] * o
    raises(ValueError, h, m.step, x, bytearray(2 * o), 1)
    for n in (0, o - 1, o + 1):
        raises(ValueError, count % (o, n), m.step, x, array("h", [1] * n), 1)
    for bad in (bytes(2 * o), memoryview(bytes(2 * o)), [1] * o, None):
        raises(TypeError, None, m.step, x, bad, 1)
    for bad in (1.0, "1", None, [1]):
        raises(TypeError, None, m.step, x, y, bad)
    for bad in (0, -1, -(2**31), -(2**70)):
        raises(ValueError, "dt: expected 1 or more ticks, got %d" % bad, m.step, x, y, bad)
    # x before y before dt
    raises(ValueError, "x: expected %d values, got 0" % i, m.step, array("h"), None, 0)
    raises(TypeError, None, m.step, x, None, 0)
    assert list(y) == [99] * o, "y written in spite of an error"


def check_clamping(m, info):
    i, o, top = info["input_size"], info["output_size"], info["dt_max"]
    fixed = info["dt_fixed"]
    assert 0 <= fixed <= top
    x, y, z = array("h", [7] * i), array("h", [0] * o), array("h", [0] * o)
    m.reset()
    m.step(x, y, fixed or top)
    assert m.clamped == 0
    k = 0
    others = [top + 1, 2**31 - 1, 2**31, 2**32, 2**70]
    if fixed > 1:
        others += [1, fixed - 1, fixed + 1]
    for dt in others:
        m.state = bytes(2 * info["state_size"])
        m.step(x, z, dt)
        k += 1
        assert m.clamped == k, (dt, m.clamped)
        assert z == y
    m.reset()
    assert m.clamped == 0


def check_state(m, info):
    i, o, n = info["input_size"], info["output_size"], 2 * info["state_size"]
    x, y, z = array("h", [9] * i), array("h", [0] * o), array("h", [0] * o)
    m.reset()
    assert m.state == bytes(n)
    m.step(x, y, 5)
    saved = m.state
    assert isinstance(saved, bytes)
    assert saved != bytes(n)
    m.step(x, y, 6)
    after = m.state
    for source in (saved, bytearray(saved), memoryview(saved), array("h", saved)):
        m.state = source
        assert m.state == saved
        m.step(x, z, 6)
        assert z == y
        assert m.state == after
    for got in (0, n - 1, n + 1):
        text = "state: expected %d bytes, got %d" % (n, got)
        raises(ValueError, text, set_state, m, bytes(got))
    raises(ValueError, "state: expected %d bytes, got %d" % (n, n + 2), set_state, m,
           array("h", bytes(n + 2)))  # fmt: skip
    for bad in (None, 5, [0] * n):
        raises(TypeError, None, set_state, m, bad)
    assert m.state == after
    m.reset()
    assert m.state == bytes(n)


def check_run(m, info):
    i, o = info["input_size"], info["output_size"]
    n = 5
    xs = array("h", [(k * 7919) % 65536 - 32768 for k in range(n * i)])
    ys, want = array("h", [0] * (n * o)), array("h")
    dts = array("I", [1, 2**31, 2**32 - 1, 300, 5])
    fixed = info["dt_fixed"]
    late = 0
    for dt in dts:
        late += dt > info["dt_max"] or (fixed > 0 and dt != fixed)
    m.reset()
    y = array("h", [0] * o)
    for k in range(n):
        m.step(xs[k * i : (k + 1) * i], y, dts[k])
        want.extend(y)
    state, clamped = m.state, m.clamped
    m.reset()
    assert m.run(xs, ys, dts) is None
    assert ys == want
    assert m.state == state
    assert m.clamped == clamped == late
    m.reset()
    wide = memoryview(array("h", [0] * (n * o + 2)))
    m.run(memoryview(xs), wide[1 : 1 + n * o], memoryview(dts))
    assert list(wide[1 : 1 + n * o]) == list(want)
    assert wide[0] == wide[n * o + 1] == 0
    m.run(array("h"), array("h"), array("I"))
    assert m.state == state

    ys = array("h", [99] * (n * o))
    h = "%s: expected int16 values (array 'h')"
    count = "%s: expected %d values, got %d"
    for bad in (array("h", [1] * n), array("q", [1] * n), array("f", [1] * n), bytes(4 * n)):
        text = "dts: expected 32-bit values (array 'I')"
        raises(ValueError, text, m.run, xs, ys, bad)
        raises(ValueError, text, m.run, xs, ys, memoryview(bad))
    raises(TypeError, None, m.run, xs, ys, [1] * n)
    raises(TypeError, None, m.run, None, None, 3)
    raises(ValueError, h % "xs", m.run, array("H", xs[0:0]), ys, dts)
    raises(ValueError, count % ("xs", n * i, n * i - 1), m.run, xs[1:], ys, dts)
    raises(ValueError, count % ("xs", n * i - i, n * i), m.run, xs, ys, dts[1:])
    raises(ValueError, h % "ys", m.run, xs, array("H", [1] * (n * o)), dts)
    raises(TypeError, None, m.run, xs, bytes(2 * n * o), dts)
    raises(ValueError, count % ("ys", n * o, n * o - 1), m.run, xs, ys[1:], dts)
    text = "dts: expected 1 or more ticks, got %d at step %d"
    raises(ValueError, text % (0, 3), m.run, xs, ys, array("I", [1, 2, 3, 0, 0]))
    raises(ValueError, text % (-5, 4), m.run, xs, ys, array("i", [1, 2, 3, 4, -5]))
    # dts type, xs, ys, dts values
    raises(ValueError, h % "xs", m.run, array("b"), array("b"), array("I", [0]))
    raises(ValueError, h % "ys", m.run, xs, array("b"), array("I", [0] * n))
    assert list(ys) == [99] * (n * o), "ys written in spite of an error"
    assert m.state == state, "state changed in spite of an error"


def check_load(ulnn, data):
    for source in (data, bytearray(data), memoryview(data)):
        assert ulnn.load(source).self_test() > 0
    inside = memoryview(b"x" + data + b"y")[1 : 1 + len(data)]  # odd address
    assert ulnn.load(inside).self_test() > 0
    for code in "bBhi":
        m = ulnn.load(array(code, data))
        assert m.self_test() > 0
        assert m.info()["file_size"] == len(data)
    for bad in (None, 3, 1.5, [1, 2]):
        raises(TypeError, None, ulnn.load, bad)
    raises(OSError, None, ulnn.load, "no such file.ulnn")
    raises(ValueError, "file too short: 0 bytes, expected at least 64", ulnn.load, b"")
    raises(
        ValueError,
        "file too short: 6 bytes, expected at least 64",
        ulnn.load,
        array("h", b"ULNN.."),
    )


def check_self_test(ulnn, data, broken):
    """`broken`: (file with a wrong golden vector, text)."""
    for file, text in broken:
        m = ulnn.load(file)
        raises(ValueError, text, m.self_test)
        assert m.state == bytes(len(m.state))
        assert m.clamped == 0


def check(ulnn, data, copies=True):
    """copies: whether there is memory for some copies of the file."""
    m, info = check_info(ulnn, data)
    check_step(m, info)
    check_clamping(m, info)
    check_state(m, info)
    check_run(m, info)
    if copies:
        check_load(ulnn, data)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.path.insert(0, sys.argv[2])
    import ulnn

    with open(sys.argv[1], "rb") as f:
        file = f.read()
    check(ulnn, file)
    from_path = ulnn.load(sys.argv[1])
    assert from_path.self_test() > 0
    print("OK", ulnn.ENGINE)
