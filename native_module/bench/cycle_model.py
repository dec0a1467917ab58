"""A model of the Cortex-M7's issue logic, fed with an execution trace. Not a measurement.

ARM publishes no timing table. The rules are facts measured on an STM32H743 by others (the pages of
jnk0le, github.com/jnk0le/random, and of quinapalus.com; LLVM's scheduling model agrees on most):
two issue slots in order, one multiply a cycle, which pairs with a load, an addition or an
unpacking but not with a store; two loads pair when they fall in different banks; LDM, LDRD and
STRD issue alone; unpacking and saturation only in the older slot, their input one cycle early; a
mispredicted branch costs eight cycles. Memory without wait states (TCM) is assumed.

Expect -5 to +15 % against a board: prefetching, caches and the real branch predictor are not
here. `ulnn bench --port` measures.
"""

from __future__ import annotations

import re
import struct
import subprocess
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

ERROR = "-5/+15 %"
MISPREDICTED = 8
END_MARK = 0xFFFFFFFF
NO_ADDRESS = 1

_ALIASES = {"sl": "r10", "fp": "r11", "ip": "r12", "sp": "r13", "lr": "r14", "pc": "r15"}
_REGISTER = re.compile(r"\b(?:r1[0-5]|r[0-9]|sl|fp|ip|sp|lr|pc|[sd][0-9]{1,2})\b")
_MULTIPLY = re.compile(r"^(?:u|s)?m(?:ul|la|ls)|^sm(?:ul|la|ls|ua|us|mul|mla|mls)|^umaal")
_MULTIPLY_ADD = re.compile(r"^(?:mla|mls|smla|smls|smmla|smmls|umlal|umaal)")
_LONG = re.compile(r"^(?:smlal|umlal|umaal|smull|umull|smlald|smlsld)")
_UNPACK = re.compile(r"^(?:[su]xt|[su]bfx|bf[ic]|pkh|[su]sat|clz|r?rev|rbit)")
_PARALLEL = re.compile(r"^(?:[su]h?(?:add|sub)(?:8|16)|[su]h?(?:asx|sax)|q(?:d?add|d?sub)|sel$)")
_BRANCH = re.compile(
    r"^(?:b|bl|blx|bx|cbn?z|b(?:eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le))$"
)
_SIMPLE = {"add", "sub", "addw", "subw", "mov", "movw", "lsl", "lsr", "asr", "ror"}
_COMPARES = {"cmp", "cmn", "tst", "teq"}


@dataclass(slots=True)
class _Op:
    """An instruction, as far as issuing it matters."""

    kind: str = "alu"  # alu, mac, dsp, load, store, branch, fpu, fpu_load, fpu_store
    early: tuple[str, ...] = ()  # operands needed at the first stage: addresses, shifted inputs
    normal: tuple[str, ...] = ()
    accumulator: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()  # base registers written back
    alone: bool = False
    cycles: int = 1
    latency: int = 2  # until an early operand can use the result
    shifted: bool = False
    simple: bool = False
    conditional: bool = False
    indirect: bool = False
    size: int = 4


@dataclass(slots=True)
class Region:
    """One counted region."""

    instructions: int
    cycles: int


@dataclass(slots=True)
class _State:
    ready: dict[str, int] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)
    counters: dict[int, int] = field(default_factory=dict)
    targets: dict[int, int] = field(default_factory=dict)


def read_code(
    elf: Path, objdump: str = "arm-none-eabi-objdump"
) -> dict[int, tuple[str, str, int]]:
    """Mnemonic, operands and size of every instruction of an ELF file, by address."""
    text = subprocess.run(
        [objdump, "-d", str(elf)], capture_output=True, text=True, check=True
    ).stdout
    code: dict[int, tuple[str, str, int]] = {}
    for line in text.splitlines():
        found = re.match(r"\s*([0-9a-f]+):\t((?:[0-9a-f]{4} ?)+)\s*\t(\S+)\s*(.*)$", line)
        if found:
            address, raw, name, operands = found.groups()
            operands = re.split(r"[;@]", operands)[0].strip()
            code[int(address, 16)] = (name, operands, 2 * len(raw.split()))
    return code


def read_trace(path: Path) -> list[list[tuple[int, int]]]:
    """The regions of a trace of native_module/bench/counter.c: (address, data address) each."""
    words = struct.unpack(f"<{path.stat().st_size // 4}I", path.read_bytes())
    regions: list[list[tuple[int, int]]] = []
    region: list[tuple[int, int]] = []
    for pair in zip(words[::2], words[1::2], strict=True):
        if pair[0] == END_MARK:
            regions.append(region)
            region = []
        else:
            region.append(pair)
    return regions


def _registers(text: str) -> tuple[str, ...]:
    return tuple(_ALIASES.get(name, name) for name in _REGISTER.findall(text))


def _register_list(operands: str) -> tuple[str, ...]:
    inside = operands[operands.index("{") + 1 : operands.index("}")]
    names: list[str] = []
    for part in inside.split(","):
        ends = _registers(part)
        if len(ends) == 2 and "-" in part:
            letter = ends[0][0]
            names += [f"{letter}{n}" for n in range(int(ends[0][1:]), int(ends[1][1:]) + 1)]
        else:
            names += ends
    return tuple(names)


def _memory(name: str, operands: str) -> _Op:
    """Loads and stores of the core registers."""
    load = name.startswith(("ld", "pop"))
    kind = "load" if load else "store"
    if "{" in operands:
        listed = _register_list(operands)
        base = ("r13",) if name in ("push", "pop") else _registers(operands)[:1]
        updated = base if "!" in operands or name in ("push", "pop") else ()
        cycles = (len(listed) + 1) // 2
        op = _Op(kind, early=base, updated=updated, alone=True, cycles=cycles)
        op.indirect = "r15" in listed
        op.results, op.stored = (listed, ()) if load else ((), listed)
        return op
    names = _registers(operands)
    count = 2 if name in ("ldrd", "strd") else 1
    op = _Op(kind, early=names[count:], alone=count == 2)
    if load:
        op.results = names[:count]
        op.latency = 3 if name[3:4] in ("b", "h", "s") else 2
        op.indirect = "r15" in op.results
    else:
        op.stored = names[:count]
    if operands.endswith("!") or re.search(r"\],\s*#", operands):
        op.updated = names[count : count + 1]
    return op


def _floating(name: str, operands: str) -> _Op:
    if name in ("vldr", "vldm", "vldmia", "vpop", "vstr", "vstm", "vstmia", "vpush", "vldmdb"):
        load = name.startswith(("vld", "vpop"))
        kind = "fpu_load" if load else "fpu_store"
        if "{" in operands:
            listed = _register_list(operands)
            words = len(listed) * (2 if listed[0][0] == "d" else 1)
            base = ("r13",) if name in ("vpush", "vpop") else _registers(operands)[:1]
            op = _Op(kind, early=base, alone=True, cycles=(words + 1) // 2)
        else:
            names = _registers(operands)
            listed = names[:1]
            op = _Op(kind, early=names[1:], alone=listed[0][0] == "d")
        op.results, op.stored = (listed, ()) if load else ((), listed)
        return op
    names = _registers(operands)
    if name in ("vmrs", "vmsr"):
        return _Op("fpu", normal=("fpscr",))
    if name in ("vcmp", "vcmpe"):
        return _Op("fpu", normal=names, results=("fpscr",), latency=4)
    op = _Op("fpu", normal=names[1:], results=names[:1], latency=4)
    if name in ("vdiv", "vsqrt"):
        op.cycles = 15
    if name in ("vfma", "vfms", "vfnma", "vfnms", "vmla", "vmls"):
        op.accumulator, op.latency = names[:1], 6
    return op


def _multiply(name: str, names: tuple[str, ...]) -> _Op:
    op = _Op("mac", latency=3)
    if _LONG.match(name):
        op.results, op.normal = names[:2], names[2:]
        if _MULTIPLY_ADD.match(name):
            op.accumulator = names[:2]
    elif _MULTIPLY_ADD.match(name):
        op.results, op.normal, op.accumulator = names[:1], names[1:3], names[3:]
    else:
        op.results, op.normal = names[:1], names[1:] if len(names) > 1 else names
    return op


def decode(mnemonic: str, operands: str, size: int = 4) -> _Op:
    """An instruction as objdump writes it."""
    name = mnemonic.split(".")[0]
    names = _registers(operands)
    if re.fullmatch(r"it[te]{0,3}", name):
        op = _Op()
    elif _BRANCH.match(name):
        op = _Op("branch", conditional=name not in ("b", "bl", "blx", "bx"))
        op.indirect = name in ("blx", "bx")
        op.normal = names[:1] if name in ("blx", "bx", "cbz", "cbnz") else ()
        op.results = ("r14",) if name in ("bl", "blx") else ()
    elif name.startswith("v"):
        op = _floating(name, operands)
    elif name.startswith(("ldm", "ldr", "stm", "str", "push", "pop")):
        op = _memory(name, operands)
    elif name in ("sdiv", "udiv"):
        op = _Op(normal=names[1:], results=names[:1], cycles=8)
    elif _MULTIPLY.match(name):
        op = _multiply(name, names)
    elif _UNPACK.match(name) or _PARALLEL.match(name):
        op = _Op("dsp", results=names[:1])
        if _UNPACK.match(name):
            op.early, op.normal = names[-1:], names[1:-1]
        else:
            op.normal = names[1:]
    else:
        op = _arithmetic(name, operands, names)
    op.size = size
    return op


def _arithmetic(name: str, operands: str, names: tuple[str, ...]) -> _Op:
    if name in _COMPARES:
        return _Op(normal=names)
    base = name[:-1] if name.endswith("s") and name[:-1] else name
    shift_name = base in ("mov", "lsl", "lsr", "asr", "ror")
    shifted = not shift_name and re.search(r"\b(?:lsl|lsr|asr|ror)\b", operands) is not None
    two = len(names) == 2 and "#" not in operands and base not in ("mov", "mvn")
    sources = (
        names if two or (len(names) == 1 and base not in ("mov", "movw", "mvn")) else names[1:]
    )
    op = _Op(normal=sources, results=names[:1], shifted=shifted)
    if shifted:
        op.early, op.normal = sources[-1:], sources[:-1]
    op.simple = base in _SIMPLE and not shifted
    return op


def _operands_ready(op: _Op, state: _State) -> int:
    """The first cycle in which all operands are there in time."""
    ready, first = state.ready, 0
    for name in op.early:
        first = max(first, ready.get(name, 0))
    for name in op.normal:
        late = 0 if op.kind == "mac" and name in state.loaded else 1
        first = max(first, ready.get(name, 0) - late)
    for name in op.accumulator:
        first = max(first, ready.get(name, 0) - (3 if op.kind == "fpu" else 2))
    for name in op.stored:
        first = max(first, ready.get(name, 0) - 2)
    return first


def _can_pair(op: _Op, older: _Op, address: int, older_address: int) -> bool:
    """Whether `op` can issue beside the instruction before it."""
    if op.alone or older.alone or older.kind == "branch" or older.cycles > 1:
        return False
    kinds = {op.kind, older.kind}
    if op.kind == older.kind == "load":
        return ((address ^ older_address) >> 2) & 1 == 1
    if op.kind == "dsp" or (op.kind == older.kind and op.kind != "alu"):
        return False
    if op.shifted and (older.shifted or older.kind == "dsp"):
        return False
    if "mac" in kinds and kinds & {"store", "fpu_store"}:
        return False
    return not ("fpu" in kinds and kinds & {"fpu_load", "fpu_store"})


def simulate(
    region: list[tuple[int, int]],
    code: dict[int, tuple[str, str, int]],
    issued: list[tuple[int, int]] | None = None,
) -> Region:
    """The modelled cycles of one region, run a second time so that branches are known.

    issued: takes the cycle and the address of every instruction.
    """
    state = _State()
    _simulate(region, code, state, None)
    state.ready.clear()
    return _simulate(region, code, state, issued)


def _simulate(
    region: list[tuple[int, int]],
    code: dict[int, tuple[str, str, int]],
    state: _State,
    issued: list[tuple[int, int]] | None,
) -> Region:
    result = Region(len(region), 0)
    cycle, second = 0, False
    older, older_address = _Op(), NO_ADDRESS
    for index, (pc, address) in enumerate(region):
        op = _decoded(*code[pc])
        first = _operands_ready(op, state)
        if second and (first > cycle or not _can_pair(op, older, address, older_address)):
            cycle, second = cycle + 1, False
        if first > cycle:
            cycle, second = first, False
        if issued is not None:
            issued.append((cycle, pc))
        _write_results(op, cycle, state)
        following = region[index + 1][0] if index + 1 < len(region) else pc + op.size
        taken = following != pc + op.size
        if op.kind == "branch" or op.indirect:
            wrong = _mispredicted(op, pc, following, taken, state)
            if taken or wrong:
                cycle, second = cycle + op.cycles + (MISPREDICTED if wrong else 0), False
                older = op
                continue
        if op.alone or op.cycles > 1:
            cycle, second = cycle + op.cycles, False
        elif second:
            cycle, second = cycle + 1, False
        else:
            second = True
        older, older_address = op, address
    result.cycles = cycle + second
    return result


@lru_cache(maxsize=4096)
def _decoded(mnemonic: str, operands: str, size: int) -> _Op:
    return decode(mnemonic, operands, size)


def _write_results(op: _Op, cycle: int, state: _State) -> None:
    latency = op.latency
    if op.simple and all(state.ready.get(name, 0) <= cycle for name in op.normal):
        latency = 1
    for position, name in enumerate(op.results):
        extra = position // 2 if op.alone else op.cycles - 1
        state.ready[name] = cycle + latency + extra
        if op.kind in ("load", "fpu_load"):
            state.loaded.add(name)
        else:
            state.loaded.discard(name)
    for name in op.updated:
        state.ready[name] = cycle + 1
        state.loaded.discard(name)


def _mispredicted(op: _Op, pc: int, following: int, taken: bool, state: _State) -> bool:
    """Two-bit counters for conditions, the last target for the rest; updates both."""
    if op.conditional:
        counter = state.counters.get(pc, 2)
        state.counters[pc] = min(3, counter + 1) if taken else max(0, counter - 1)
        return (counter >= 2) != taken
    if op.indirect:
        known = state.targets.get(pc, following)
        state.targets[pc] = following
        return known != following
    return False
