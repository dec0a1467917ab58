"""What CPython expects of an extension's type: immutable, collected, with threads and Ctrl-C."""

from __future__ import annotations

import gc
import itertools
import signal
import threading
import time
import weakref
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ulnn_host.board.bench import bench_model
from ulnn_host.engines.registry import native_module
from ulnn_host.format import container
from ulnn_host.format.model import Golden

native = native_module()
SMALL = container.write(bench_model(8, 16))
STEPS = 4096  # the most that a file may hold


class Owner(bytearray):
    """A buffer that can be part of a circle."""

    model: Any


def buffers(model: Any, steps: int, seed: int = 0) -> tuple[array[int], array[int], array[int]]:
    """Random xs, room for ys, dts."""
    rng = np.random.default_rng(seed)
    info = model.info()
    xs = array("h", rng.integers(-20000, 20000, steps * info["input_size"], np.int16).tobytes())
    ys = array("h", bytes(2 * steps * info["output_size"]))
    return xs, ys, array("I", rng.integers(1, 9000, steps, np.uint32).tobytes())


@pytest.fixture(scope="module")
def large() -> bytes:
    """A model that takes long for its golden vectors, which the C engine itself computed."""
    plain = bench_model(16, 320)
    model = native.load(container.write(plain))
    xs, ys, dts = buffers(model, STEPS)
    model.run(xs, ys, dts)
    golden = Golden(
        np.array(dts, np.int64),
        np.array(xs, np.int16).reshape(STEPS, -1),
        np.array(ys, np.int16).reshape(STEPS, -1),
        np.frombuffer(model.state, np.int16),
    )
    return container.write(replace(plain, golden=golden))


@contextmanager
def ctrl_c_soon() -> Iterator[None]:
    """Ctrl-C after 0.1 s of what is done here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


def test_the_type_cannot_be_changed() -> None:
    model = native.load(SMALL)
    with pytest.raises(TypeError, match="immutable"):
        type(model).step = None
    with pytest.raises(TypeError, match="immutable"):
        type(model).more = 1
    with pytest.raises(TypeError, match="cannot create"):
        type(model)()


def test_a_self_test_without_golden_vectors_leaves_the_state() -> None:
    model = native.load(container.write(replace(bench_model(8, 16), golden=None)))
    model.state = state = bytes(range(len(model.state)))
    assert model.self_test() == 0
    assert model.state == state


def test_a_circle_through_the_buffer_is_collected() -> None:
    owner = Owner(SMALL)
    owner.model = native.load(owner)
    assert owner.model.info()["in_place"]
    assert gc.is_tracked(owner.model)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


def test_a_model_that_lives_keeps_its_buffer() -> None:
    owner = Owner(SMALL)
    owner.model = model = native.load(owner)
    there = weakref.ref(owner)
    del owner
    gc.collect()
    assert there() is not None
    assert model.self_test() == model.info()["golden_steps"]


def test_a_buffer_under_a_model_cannot_be_resized() -> None:
    content = bytearray(SMALL)
    model = native.load(content)
    assert model.info()["in_place"]
    for change in (lambda: content.extend(b"more"), content.clear):
        with pytest.raises(BufferError):
            change()
    del model
    content.extend(b"more")


def test_other_threads_run_during_run(large: bytes) -> None:
    model = native.load(large)
    arguments = buffers(model, STEPS)
    counted, done = itertools.count(), threading.Event()

    def count() -> None:
        while not done.is_set():
            next(counted)
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    before, start = next(counted), time.perf_counter()
    model.run(*arguments)
    seconds = time.perf_counter() - start
    seen = next(counted) - before
    done.set()
    thread.join()
    assert seen > 100 * seconds


@pytest.mark.parametrize("method", ["run", "self_test"])
def test_ctrl_c_ends_long_work(large: bytes, method: str) -> None:
    model = native.load(large)
    arguments = buffers(model, STEPS) if method == "run" else ()
    with pytest.raises(KeyboardInterrupt), ctrl_c_soon():
        getattr(model, method)(*arguments)
    if method == "self_test":
        assert not any(model.state)
        return
    # The state is that after the steps which were done, and the model goes on.
    outputs = model.info()["output_size"]
    done = np.array(arguments[1]).reshape(STEPS, outputs).any(axis=1).sum()
    assert 0 < done < STEPS
    other = native.load(large)
    inputs = model.info()["input_size"]
    xs, ys, dts = (
        arguments[0][: done * inputs],
        array("h", bytes(2 * done * outputs)),
        arguments[2],
    )
    other.run(xs, ys, dts[:done])
    assert other.state == model.state
    assert ys == arguments[1][: done * outputs]
    model.reset()


def test_long_self_tests_find_what_differs(large: bytes) -> None:
    model = container.read(large)
    assert model.golden is not None
    assert native.load(large).self_test() == STEPS
    for step in (0, 1000, STEPS - 1):
        y = model.golden.y.copy()
        y[step, -1] ^= 1
        broken = container.write(replace(model, golden=replace(model.golden, y=y)))
        with pytest.raises(ValueError, match=f"^self test: step {step} differs$"):
            native.load(broken).self_test()
    state = model.golden.state.copy()
    state[-1] ^= 1
    broken = container.write(replace(model, golden=replace(model.golden, state=state)))
    with pytest.raises(ValueError, match=r"^self test: state differs$"):
        native.load(broken).self_test()


def test_a_model_in_use_by_another_thread_is_refused_and_stays_right(large: bytes) -> None:
    model, alone = native.load(large), native.load(large)
    arguments, wanted = buffers(model, STEPS), buffers(alone, STEPS)
    thread = threading.Thread(target=model.run, args=arguments)
    thread.start()
    x, y, _ = buffers(alone, 1)
    calls = {
        "step": lambda: model.step(x, y, 1),
        "run": lambda: model.run(x, y, array("I", [1])),
        "reset": model.reset,
        "self_test": model.self_test,
        "state": lambda: model.state,
        "assigned": lambda: setattr(model, "state", bytes(2 * model.info()["state_size"])),
    }
    while not any(arguments[1]):
        time.sleep(0.001)
    for call in calls.values():
        with pytest.raises(RuntimeError, match="in use by another run or self_test"):
            call()
    thread.join()
    alone.run(*wanted)
    assert arguments[1] == wanted[1]
    assert model.state == alone.state
    model.step(x, y, 1)


def test_dts_that_another_thread_changes_do_no_harm(large: bytes) -> None:
    """They are checked before the first step; a 0 that comes later counts as 1."""
    model = native.load(large)
    xs, ys, dts = buffers(model, STEPS)
    thread = threading.Thread(target=model.run, args=(xs, ys, dts))
    thread.start()
    for k in range(STEPS):
        dts[k] = 0
    thread.join()
    assert len(model.state) == 2 * model.info()["state_size"]
