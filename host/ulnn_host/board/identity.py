"""What a board is: its interpreter, its disk, and what its firmware holds of ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ulnn_rules

from ..base.errors import UlnnError
from ..toolchain import bytecode, natmod
from .link import Board

RULES = sorted(Path(ulnn_rules.__path__[0]).glob("*.py"))
# What may lie on a board's module path and matters, without suffix.
_MODULES = (
    *("ulnn", "ulnn_stream", "ulnn_rules", "ulnn_app/__init__", "ulnn_sources/__init__"),
    "ulnn_sinks/__init__",
    *(f"ulnn_rules/{path.stem}" for path in RULES),
)
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
    def takes_bytecode(self) -> bool:
        """Whether it imports the .mpy files of ours."""
        ours = self.mpy & 0xFF == bytecode.MPY_VERSION[0]
        return self.implementation == "micropython" and ours

    @property
    def root(self) -> str:
        """The folder that holds lib, "" for the root of the filesystem."""
        return self.lib.rpartition("/")[0]


# _ulnn_probe gives 'builtin', 'frozen', 'file' or '', and the module or None; what the module
# imports is taken out again.
_IDENTIFY = """
import os, sys
def _ulnn_probe(name):
    held = {n: sys.modules.pop(n) for n in list(sys.modules) if n.startswith('ulnn')}
    if name != 'ulnn':
        sys.modules['ulnn'] = sys
    try:
        m = __import__(name)
    except Exception:
        return '', None
    finally:
        for n in list(sys.modules):
            if n.startswith('ulnn'):
                del sys.modules[n]
        sys.modules.update(held)
    f = getattr(m, '__file__', None)
    if f is None:
        return 'builtin', m
    if f[0] != '/':
        try:
            os.stat(f)
        except OSError:
            return 'frozen', m
    return 'file', m
def _ulnn_frozen(name):
    where, m = _ulnn_probe(name)
    return m if where in ('builtin', 'frozen') else None
def _ulnn_identify(names):
    i = sys.implementation
    d = {'implementation': i.name, 'version': tuple(i.version[:3]), 'platform': sys.platform,
        'machine': getattr(i, '_machine', sys.platform), 'mpy': getattr(i, '_mpy', 0)}
    lib = [p for p in sys.path if p.endswith('/lib') and not p.startswith('/rom')]
    d['lib'] = lib[0] if lib else ''
    where, m = _ulnn_probe('ulnn')
    for n in ('builtin', 'frozen'):
        d[n] = getattr(m, 'ENGINE', None) if where == n else None
    s = _ulnn_frozen('ulnn_stream')
    d['stream'] = (s.MAJOR, getattr(s, 'MINOR', None)) if hasattr(s, 'MAJOR') else None
    d['rules'] = getattr(_ulnn_frozen('ulnn_rules'), '__version__', None)
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
""".replace("    ", " ")  # fewer bytes on the line


def identify(board: Board) -> Identity:
    """Ask the board what it is. Raises UlnnError when it has no folder for modules."""
    found = _asked(board)
    if not found.lib:
        # A program may have changed sys.path; the interpreter starts with the board's own.
        board.soft_reset()
        found = _asked(board)
    if not found.lib:
        raise DeployError(
            f"port {board.name}: the board has no lib folder in sys.path, so it has no filesystem "
            "to deploy to; mount one first",
            3,
        )
    return found


def _asked(board: Board) -> Identity:
    said = board.eval(f"_ulnn_identify({_LOOK_FOR!r})", setup=_IDENTIFY, timeout=30)
    try:
        identity = Identity(**said)
    except TypeError:
        identity = None
    if identity is None or not _sound(identity):
        raise UlnnError(f"port {board.name}: the board says odd things of itself: {said!r:.80}")
    return identity


def _sound(identity: Identity) -> bool:
    """Whether every field has the type that the class says."""
    i = identity
    texts = (i.implementation, i.machine, i.platform, i.lib)
    maybe = (i.builtin, i.frozen, i.rules)
    return (
        all(isinstance(v, str) for v in texts)
        and all(v is None or isinstance(v, str) for v in maybe)
        and all(isinstance(v, int) for v in (i.mpy, i.block))
        and (i.free is None or isinstance(i.free, int))
        and isinstance(i.version, tuple)
        and (i.stream is None or (isinstance(i.stream, tuple) and len(i.stream) == 2))
        and isinstance(i.files, dict)
        and all(isinstance(k, str) and isinstance(v, int) for k, v in i.files.items())
    )
