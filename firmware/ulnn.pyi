"""Types of `ulnn`: the same for the native module, the CPython extension and pure Python."""

from typing import Protocol, TypedDict

class Buffer(Protocol):
    """An object with the buffer protocol: bytes, bytearray, array.array, memoryview."""

    def __buffer__(self, flags: int, /) -> memoryview: ...

__version__: str
ENGINE: str
"""`"native"` or `"pure"`."""

class Info(TypedDict):
    """What `Model.info` returns."""

    format: str
    """Version of the file format, as `"1.2"`."""
    engine: str
    kernel: str
    """`"portable"`, an architecture's name, or `"python"`."""
    model_version: int
    dialect: str
    """What the converter took the network for, as `"ncps.torch"`."""
    sha256: str
    """The name of the model: hexadecimal, from the file's header."""
    file_size: int
    input_size: int
    output_size: int
    state_size: int
    """int16 values."""
    layers: int
    neurons: int
    """Neurons with a state."""
    synapses: int
    """Connections: a dense matrix has columns times groups of four rows, a sparse one the columns
    that it lists, an LTC its synapses."""
    weight_bits: int
    """The largest in the file; LTC counts as 16."""
    dt_fixed: int
    """Ticks, of the first layer that has a fixed dt; 0 without."""
    macs: int
    """Multiply-accumulates of a step."""
    tick_ns: int
    """Nanoseconds of a tick of dt."""
    dt_max: int
    """Ticks."""
    golden_steps: int
    ram: int
    """Bytes beside the file's buffer."""
    in_place: bool
    """Whether the weights are read from the caller's buffer."""

class Model:
    """A loaded model with its state."""

    def step(self, x: Buffer, y: Buffer, dt: int) -> None:
        """One step: reads `x`, writes `y`.

        x: int16, input_size values (array('h')). y: int16, output_size values, writable.
        dt: ticks since the step before, 1 or more; more than dt_max is clamped and counted,
        and so is another dt than a fixed one.
        Raises TypeError (no buffer, `y` read-only, dt no integer); ValueError (typecode, length,
        dt below 1). After an error `y` and the state are what they were.
        """

    def run(self, xs: Buffer, ys: Buffer, dts: Buffer) -> None:
        """len(dts) steps; `xs` and `ys` hold the steps one after the other (int16).

        dts: 32-bit integers (array('I') or array('i')), each as `dt` of `step`.
        Checks everything before the first step; raises as `step`.
        """

    def reset(self) -> None:
        """State and counter of clamped steps to 0."""

    @property
    def state(self) -> bytes:
        """The state: int16, little-endian, 2 * state_size bytes. Assign to restore it.

        Layer after layer; of LSTM and mixed memory the hidden states, then the cell states.

        Raises ValueError for another number of bytes.
        """

    @state.setter
    def state(self, value: Buffer) -> None: ...
    @property
    def clamped(self) -> int:
        """Steps since the last reset in which dt was replaced by dt_max or by a fixed dt."""

    def info(self) -> Info:
        """What the file and the engine are."""

    def self_test(self) -> int:
        """Replays the golden vectors in the file; resets the model before and after.

        Returns the number of steps compared, 0 without vectors. Raises ValueError at the first
        difference.
        """

def load(source: str | Buffer) -> Model:
    """Loads a model from a path, or from a buffer that holds the file (kept, not copied).

    The buffer must not change while the model is used. In MicroPython a bytearray moves when it
    grows, under the model: never `extend` one that a model was loaded from.

    Raises ValueError, saying what is wrong with the file; OSError; MemoryError; TypeError.
    """

class Bands:
    """One track of features at work: filters, the last values, and what is computed of them."""

    def feed(self, x: Buffer, first: int, count: int) -> None:
        """Takes `count` samples from sample `first` of `x` on (array('h'), the channels of one
        sample after those of another).

        Raises TypeError (no buffer, no integers); ValueError (typecode, `x` too short, numbers
        that are negative or above 16777215).
        """

    def read(self, y: Buffer) -> None:
        """The features of the last values into `y`: int16, as many as the track says.

        Raises TypeError, ValueError (typecode, length).
        """

    def reset(self) -> None:
        """As if no sample had been there."""

def bands(track: Buffer) -> Bands:
    """Features of a stream of samples. track: array('h') of SPEC.md 2.12.1, which is copied.

    Native modules of fewer cells have no `bands`; `ulnn_rules.bands.Bands` does the same there.

    Raises ValueError for what is no track; TypeError.
    """
