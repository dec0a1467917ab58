"""What a board is, and what a deployment would write to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import ulnn_rules

from ..base.errors import UlnnError
from ..base.paths import board_files
from ..format import container
from ..toolchain import bytecode, natmod
from .link import Board
from .stream import PROTOCOL

# Suffix or path, contents, note.
_File = tuple[str, bytes, str]
BLOCK_RESERVE = 6  # lib, its ulnn_rules and a folder for models: two blocks each in littlefs
RULES = sorted(Path(ulnn_rules.__path__[0]).glob("*.py"))
# What may lie on a board's module path and matters, without suffix.
_MODULES = ("ulnn", "ulnn_stream", "ulnn_rules", *(f"ulnn_rules/{path.stem}" for path in RULES))
_LOOK_FOR = ("main.py", *(name + suffix for name in _MODULES for suffix in ("", ".py", ".mpy")))


class DeployError(UlnnError):
    """Nothing was written, or what was written does not work: `status` is the exit status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class NoSpaceError(DeployError):
    """The board's filesystem is too small; found out before anything was written."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 4)


@dataclass(frozen=True)
class Identity:
    """What a board is. free, block: bytes (None: not known). builtin, frozen: engine's name.

    stream, rules: versions of what the firmware holds frozen of ulnn_stream and ulnn_rules.
    files: sizes of what lies on the board's module path.
    """

    implementation: str
    version: tuple[int, ...]
    machine: str
    platform: str
    mpy: int
    lib: str
    free: int | None
    block: int
    builtin: str | None
    frozen: str | None
    stream: tuple[int, int] | None
    rules: str | None
    files: dict[str, int]

    @property
    def arch(self) -> str | None:
        """Native architecture, as in `sys.implementation._mpy`."""
        return natmod.arch_name(self.mpy)

    @property
    def root(self) -> str:
        """The folder that holds lib, "" for the root of the filesystem."""
        return self.lib.rpartition("/")[0]


@dataclass(frozen=True)
class Item:
    """One file for the board. status: new, changed or same."""

    path: str
    data: bytes = field(repr=False)
    status: str
    old_size: int
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """What a deployment writes and removes, and why.

    stale: what deployments that were cut off left behind. hiding: modules in lib that would be
    imported in place of the new ones.
    """

    board: Identity
    model_path: str
    engine: str
    items: tuple[Item, ...]
    stale: tuple[str, ...]
    hiding: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def to_send(self) -> tuple[Item, ...]:
        """The items that are not on the board yet."""
        return tuple(item for item in self.items if item.status != "same")


# ---- looking at the board ---------------------------------------------------------------------

_IDENTIFY = """
import os, sys
def _ulnn_probe(path, name):
    keep, sys.path[:] = sys.path[:], path
    ours = ('ulnn', 'ulnn_stream', 'ulnn_rules')
    held = {n: sys.modules.pop(n) for n in ours if n in sys.modules}
    if name != 'ulnn':
        sys.modules['ulnn'] = sys
    try:
        return __import__(name)
    except Exception:
        return None
    finally:
        sys.path[:] = keep
        for n in ours:
            sys.modules.pop(n, None)
        sys.modules.update(held)
def _ulnn_identify(names):
    i = sys.implementation
    d = {'implementation': i.name, 'version': tuple(i.version[:3]), 'platform': sys.platform,
        'machine': getattr(i, '_machine', sys.platform), 'mpy': getattr(i, '_mpy', 0)}
    lib = [p for p in sys.path if p.endswith('/lib') and not p.startswith('/rom')]
    d['lib'] = lib[0] if lib else ''
    d['builtin'] = getattr(_ulnn_probe([], 'ulnn'), 'ENGINE', None)
    frozen = None if d['builtin'] else _ulnn_probe(['.frozen'], 'ulnn')
    d['frozen'] = getattr(frozen, 'ENGINE', None)
    s = _ulnn_probe(['.frozen'], 'ulnn_stream')
    d['stream'] = (s.MAJOR, s.MINOR) if s else None
    d['rules'] = getattr(_ulnn_probe(['.frozen'], 'ulnn_rules'), '__version__', None)
    d['free'], d['block'] = None, 4096
    at = d['lib']
    while hasattr(os, 'statvfs'):
        try:
            v = os.statvfs(at or '/')
            d['free'], d['block'] = v[1] * v[4], v[1]
            break
        except OSError:
            if not at:
                break
            at = at[:at.rfind('/')]
    d['files'] = {}
    for p in sys.path:
        if p == '.frozen':
            continue
        for n in names:
            n = (p + '/' if p else '') + n
            try:
                d['files'][n] = os.stat(n)[6]
            except OSError:
                pass
    return d
def _ulnn_stale(folders):
    found = []
    for p in folders:
        try:
            names = os.listdir(p or '/')
        except OSError:
            continue
        found += [p + '/' + n for n in names if n.endswith('.tmp')
            and (n.startswith('ulnn') or '.ulnn' in n or p.endswith('/ulnn_rules'))]
    return found
"""


def identify(board: Board) -> Identity:
    """Ask the board what it is. Raises UlnnError when it has no folder for modules."""
    board.exec(_IDENTIFY)
    found = board.eval(f"_ulnn_identify({_LOOK_FOR!r})")
    if not found["lib"]:
        raise DeployError(
            f"port {board.name}: the board has no lib folder in sys.path, so it has no filesystem "
            "to deploy to; mount one first",
            3,
        )
    return Identity(**found)


# ---- planning ---------------------------------------------------------------------------------


def _code(name: str, identity: Identity) -> _File:
    """(suffix, contents, note) of `firmware/NAME`: bytecode where the board takes ours."""
    why = "this board takes no .mpy of ours"
    if identity.implementation == "micropython" and identity.mpy & 0xFF == bytecode.MPY_VERSION[0]:
        try:
            return ".mpy", bytecode.find(name), "bytecode"
        except UlnnError as error:
            why = str(error)
    return ".py", board_files(f"firmware/{name}").read_bytes(), f"source: {why}"


def _pure(identity: Identity) -> _File:
    suffix, data, note = _code("ulnn.py", identity)
    return suffix, data, f"engine in Python, {note}"


def _engine(identity: Identity) -> tuple[str, _File | None, list[str]]:
    """(what runs the model, file for lib or None, warnings)."""
    if identity.builtin:
        return f"{identity.builtin}, built into the firmware", None, []
    if identity.frozen:
        return (
            f"{identity.frozen}, frozen in the firmware",
            None,
            ["the firmware's frozen ulnn hides any native module; build it without ulnn.py"],
        )
    arch = natmod.choose(identity.mpy) if identity.implementation == "micropython" else None
    if arch is None:
        why = f"this board ({identity.arch or 'no native code'}) takes no native module of ours"
    else:
        try:
            data = natmod.find(arch).read_bytes()
            return f"native, {arch}", (".mpy", data, f"native module for {arch}"), []
        except UlnnError as error:
            why = f"no native module for {arch}: {error}"
    return "pure Python", _pure(identity), [f"{why}; the slower engine in Python is used"]


@dataclass(frozen=True)
class EngineChoice:
    """What will run models on a board: a description, files (path, contents, note), warnings."""

    engine: str
    files: tuple[_File, ...]
    warnings: tuple[str, ...]


def engine_files(identity: Identity, *, pure: bool = False) -> EngineChoice:
    """The engine and the serial loop for a board, without what its firmware holds already."""
    if pure:
        chosen: tuple[str, _File | None, list[str]] = "pure Python, as asked", _pure(identity), []
    else:
        chosen = _engine(identity)
    engine, engine_file, warnings = chosen
    files: list[_File] = []
    if engine_file:
        files.append((f"{identity.lib}/ulnn{engine_file[0]}", *engine_file[1:]))
    if identity.stream is None:
        suffix, code, note = _code("ulnn_stream.py", identity)
        files.append((f"{identity.lib}/ulnn_stream{suffix}", code, f"serial loop, {note}"))
    elif identity.stream != PROTOCOL:
        theirs, ours = (".".join(map(str, v)) for v in (identity.stream, PROTOCOL))
        warnings.append(
            f"the firmware's frozen ulnn_stream speaks protocol {theirs}, this program {ours}"
        )
    return EngineChoice(engine, tuple(files), tuple(warnings))


def rule_files(identity: Identity) -> tuple[tuple[_File, ...], tuple[str, ...]]:
    """(files of ulnn_rules for a board, warnings). No files where its firmware holds them."""
    if identity.rules is None:
        return tuple(
            (f"{identity.lib}/ulnn_rules/{path.stem}{suffix}", code, f"rules, {note}")
            for path in RULES
            for suffix, code, note in [_code(f"ulnn_rules/{path.name}", identity)]
        ), ()
    if identity.rules == ulnn_rules.__version__:
        return (), ()
    return (), (
        f"the firmware's frozen ulnn_rules has version {identity.rules}, this program "
        f"{ulnn_rules.__version__}",
    )


def default_target(identity: Identity, model_path: Path, to: str | None) -> str:
    """Path of a model on the board: models/NAME.ulnn beside lib, or as `to` says."""
    target = to or f"{identity.root}/models/"
    return target + model_path.with_suffix(".ulnn").name if target.endswith("/") else target


def make_plan(
    board: Board, model_path: Path, to: str | None = None, *, pure: bool = False
) -> Plan:
    """Compare what the board needs with what it holds. Writes nothing.

    to: path for the model on the board, a folder when it ends with "/". pure: use the engine in
    Python whatever the board takes. Raises UlnnError.
    """
    data, model = container.read_file(model_path)
    identity = identify(board)
    choice = engine_files(identity, pure=pure)
    rules, outdated = rule_files(identity)
    wanted = [*choice.files, *rules]
    target = default_target(identity, model_path, to)
    wanted.append((target, data, f"model, {model.weight_bits} bits, {model.macs} MACs a step"))
    items = tuple(_item(board, *entry) for entry in wanted)
    hiding, hidden = _shadows(identity, [path for path, _, _ in wanted[:-1]])
    folders = sorted({identity.lib, f"{identity.lib}/ulnn_rules", target.rpartition("/")[0]})
    stale = tuple(board.eval(f"_ulnn_stale({folders!r})"))
    warnings = (*choice.warnings, *outdated, *hidden)
    plan = Plan(identity, target, choice.engine, items, stale, hiding, warnings)
    _check_space(board, plan)
    return plan


def _item(board: Board, path: str, data: bytes, note: str) -> Item:
    there = board.sha256(path)
    if there is None:
        return Item(path, data, "new", 0, note)
    same = there == hashlib.sha256(data).hexdigest()
    size = len(data) if same else board.whole(f"__import__('os').stat({path!r})[6]")
    return Item(path, data, "same" if same else "changed", size, note)


def _shadows(identity: Identity, modules: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Files MicroPython would import before ours: in lib they are ours and go, others stay."""
    hiding, warnings = [], []
    lib = identity.lib + "/"
    for path in modules:
        name = path.removeprefix(lib).rpartition(".")[0]
        for other in identity.files:
            stem, dot, _ = other.removeprefix(lib).partition(".")
            if other.startswith(lib):
                if dot and stem == name and other != path:
                    hiding.append(other)
            elif stem.rpartition("/")[2] == name.removesuffix("/__init__"):
                warnings.append(
                    f"{other if '/' in other else '/' + other} may hide {path}: delete it unless "
                    "it is meant to"
                )
    return tuple(hiding), warnings


def _check_space(board: Board, plan: Plan) -> None:
    if plan.board.free is None:
        return
    block = plan.board.block

    def blocks(size: int) -> int:
        return -(-size // block)

    available = plan.board.free // block - BLOCK_RESERVE
    for item in plan.to_send:
        # The old file goes only when the new one is whole.
        if blocks(len(item.data)) > available:
            needed = sum(len(i.data) for i in plan.to_send)
            raise NoSpaceError(
                f"port {board.name}: not enough space for {item.path}: {needed} bytes to send, "
                f"{plan.board.free} free; nothing was written; delete files on the board"
            )
        available += blocks(item.old_size) - blocks(len(item.data))
