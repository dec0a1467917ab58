"""A MicroPython board at the end of a serial port: raw REPL, files, and the streaming loop."""

from __future__ import annotations

import ast
import contextlib
import errno
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..base.errors import UlnnError
from .faults import Faults
from .line import BAUDRATE, Line, LineLost
from .repl import BoardError, Repl
from .source_session import SOURCES, SourceSession
from .stream import PROTOCOL, Session

__all__ = ["Board", "BoardError"]

CHUNK = 768
# what ast.literal_eval raises for what a board might print
NOT_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


_S = TypeVar("_S", bound=Session)


class Board:
    """An open port with the raw REPL running on it. Use `Board.open` in a with statement."""

    def __init__(
        self,
        line: Line,
        name: str,
        wait: float = 0.0,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        self.line = line
        self.name = name
        self.repl = Repl(line)
        self._wait, self._notice = wait, notice
        self._gone = False

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        port: str,
        *,
        baudrate: int = BAUDRATE,
        soft_reset: bool = True,
        wait: float = 0.0,
        faults: Faults | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> Iterator[Board]:
        """Open a port (`/dev/ttyACM0`, `virtual:cortex-m7`) and get the raw REPL.

        soft_reset: allow a soft reset as the last means to get a REPL out of a busy board.
        wait: seconds for which a stream waits for a board that was unplugged. faults: damage
        that is done on purpose, in both directions. notice: gets a line when a stream has to be
        started again.
        Raises UlnnError: port missing, not permitted, in use, silent, or busy for good.
        """
        with resolved(port) as path:
            board = cls(Line(path, port, baudrate), port, wait, notice)
            try:
                if faults:
                    board.line.to_board, board.line.to_host = faults.to_board, faults.to_host
                board.repl.interrupt(soft_reset=soft_reset)
                yield board
            finally:
                board._close()

    def _close(self) -> None:
        # A port that is gone cannot be left tidily, and the reason is already on its way up.
        with contextlib.suppress(UlnnError):
            self.let_go()
        self.line.close()

    def let_go(self) -> None:
        """Leave the friendly REPL there for whoever comes next; nothing can be run afterwards."""
        if not self._gone:
            self._gone = True
            self.repl.leave()

    def soft_reset(self) -> None:
        """Start the interpreter again: an empty heap, nothing imported; boot.py runs, not main.py.

        Does nothing on the unix port, which would end.
        """
        self.repl.soft_reset()

    # ---- code ---------------------------------------------------------------------------------

    def exec(self, code: str, *, timeout: float = 10) -> str:
        """Run code on the board, return what it printed. timeout: seconds that it may take.

        What modules print that it imports is not part of it. Names stay until the next reset, out
        of sight of the board's own programs. Raises BoardError when the code raised.
        """
        try:
            return self.repl.run(code, timeout)
        except BoardError as error:
            if error.kind != "MemoryError" or "free" in str(error):
                raise
            raise self._short_of_memory(error) from error

    def _short_of_memory(self, error: BoardError) -> BoardError:
        with contextlib.suppress(UlnnError):
            free = self.repl.run("import gc\ngc.collect()\nprint(gc.mem_free())").strip()
            return BoardError(self.name, f"{error.remote.strip()}; {free} bytes are free")
        return error

    def eval(self, expression: str, *, setup: str = "", timeout: float = 10) -> Any:
        """Value of an expression made of literals, after the code `setup`."""
        code = f"{setup}\nprint(repr({expression}))"
        return self.literal(self.exec(code, timeout=timeout), expression)

    def whole(self, expression: str) -> int:
        """Value of an expression that is a whole number."""
        value = self.eval(expression)
        if type(value) is not int:
            raise self.odd(value, expression)
        return value

    def literal(self, text: str, what: str) -> Any:
        """Value of what the board printed for `what`. Raises UlnnError where it is no literal."""
        try:
            return ast.literal_eval(text.strip())
        except NOT_LITERAL as error:
            raise self.odd(text.strip(), what) from error

    def odd(self, answer: object, what: str) -> UlnnError:
        """The error for an answer that is not of the kind that `what` has."""
        return UlnnError(
            f"port {self.name}: the board printed {str(answer)[:60]!r} for {what}; is the line "
            "disturbed? Reset the board and try again"
        )

    # ---- files --------------------------------------------------------------------------------

    def sha256(self, path: str) -> str | None:
        """SHA-256 (hex) of a file, computed on the board where it can; None without the file."""
        try:
            return str(self.eval(f"_sha({path!r})", setup=_HASH, timeout=60))
        except BoardError as error:
            if error.kind == "OSError":
                return None
            if error.kind == "ImportError":
                return hashlib.sha256(self.read_file(path)).hexdigest()
            raise

    def read_file(self, path: str) -> bytes:
        """Contents of a file."""
        data = bytearray()
        while True:
            part = self.eval(f"_read({path!r}, {len(data)}, {CHUNK})", setup=_READ)
            if not isinstance(part, bytes):
                raise self.odd(part, f"a part of {path}")
            data += part
            if len(part) < CHUNK:
                return bytes(data)

    def write_file(
        self, path: str, data: bytes, progress: Callable[[int], None] | None = None
    ) -> None:
        """Write to `path.tmp`, compare SHA-256, rename: the whole new file is there, or the old.

        Raises UlnnError when the board runs out of space, or when what it holds differs.
        """
        temporary = path + ".tmp"
        try:
            self.send(temporary, data, progress)
            if self.sha256(temporary) != hashlib.sha256(data).hexdigest():
                raise UlnnError(
                    f"port {self.name}: {temporary} differs from what was sent; the board's "
                    "filesystem may be damaged"
                )
            self.exec(_RENAME + f"_ren({temporary!r}, {path!r})")
        except BaseException as error:
            # The board may be gone; the first error is the one to report.
            with contextlib.suppress(UlnnError):
                if not isinstance(error, BoardError | LineLost):
                    self.repl.interrupt(soft_reset=False)
                if not isinstance(error, LineLost):
                    self.exec(
                        "try:\n _f.close()\nexcept Exception:\n pass\n"
                        f"import os\ntry:\n os.remove({temporary!r})\nexcept OSError:\n pass"
                    )
            if isinstance(error, BoardError) and is_errno(error, errno.ENOSPC):
                raise UlnnError(
                    f"port {self.name}: no space left for {path} ({len(data)} bytes); "
                    "delete files on the board and try again"
                ) from error
            raise

    def send(self, path: str, data: bytes, progress: Callable[[int], None] | None = None) -> None:
        """Write a file in place. Chunks go by offset, so that one sent twice does no harm."""
        done, shown, generation = 0, 0, -1
        while True:
            if generation != self.repl.generation:  # the file that was open is lost
                done = 0
                # Collected first: an old one that closes later would write over the new one.
                self.exec(f"import gc\ngc.collect()\n_f = open({path!r}, 'wb')")
                generation = self.repl.generation
                continue
            part = data[done : done + self.repl.piece]
            try:
                if not part:
                    self.exec("_f.close()")
                    return
                written = self.repl.write(done, part)
            except BoardError:
                if generation == self.repl.generation:
                    raise
                continue
            if written is None:
                continue
            if written != len(part):
                raise UlnnError(
                    f"port {self.name}: {path}: the board wrote {written} of {len(part)} bytes; "
                    "its filesystem is full or damaged"
                )
            done += written
            if progress and done > shown:
                progress(done - shown)
                shown = done

    def make_folders(self, path: str) -> None:
        """Make the folders above a file, where they are missing."""
        self.exec(
            f"import os\n_p = ''\nfor _d in {path!r}.split('/')[:-1]:\n _p += _d\n"
            " if _p:\n  try:\n   os.stat(_p)\n  except OSError:\n   os.mkdir(_p)\n _p += '/'"
        )

    # ---- streaming ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def stream(
        self, model: str, *, window: int = 0, idle_ms: int = 30000, timeout: float = 60
    ) -> Iterator[Session]:
        """Start the loop with the model at a path on the board, and leave it at the end.

        window: bytes the board's port holds while a step runs; 0: what the board offers.
        timeout: seconds for loading. The session starts the loop again where the line broke it.
        """
        self.check_protocol()
        code = f"import ulnn_stream\nulnn_stream.serve({model!r},{idle_ms},{window})"
        with self._session(Session, code, timeout) as session:
            yield session

    @contextlib.contextmanager
    def source(
        self,
        settings: dict[str, Any] | str,
        *,
        app: bool = False,
        idle_ms: int = 30000,
        timeout: float = 60,
    ) -> Iterator[SourceSession]:
        """Start the loop with a source of samples, and leave it at the end.

        settings: of the source, as a dict, or the path of a JSON file on the board. app: they are
        those of an app, whose model runs on the samples. timeout, restarts: as for `stream`.
        """
        self.check_protocol(SOURCES)
        module = "ulnn_live" if app else "ulnn_record"
        code = f"import {module}\n{module}.serve({settings!r},{idle_ms})"
        with self._session(SourceSession, code, timeout) as session:
            if self._notice and session.source.left_out:
                self._notice(session.source.left_out)
            yield session

    @contextlib.contextmanager
    def _session(self, kind: type[_S], code: str, timeout: float) -> Iterator[_S]:
        def start(again: bool) -> None:
            if again:
                self.repl.interrupt()
            self.repl.start(code)

        session = kind(self.line, start, timeout=timeout, wait=self._wait, notice=self._notice)
        try:
            session.hello()
            yield session
            session.bye()
            self.repl.interrupt(soft_reset=False)
        except BaseException as error:
            if not isinstance(error, LineLost):
                with contextlib.suppress(UlnnError):
                    self.repl.interrupt(soft_reset=False)
            raise

    def check_protocol(self, least: int = 0) -> None:
        """Raise UlnnError unless the board's loop speaks our protocol; least: minor version."""
        try:
            code = "import ulnn_stream as s\nprint(s.MAJOR, s.MINOR)"
            major, minor = (int(v) for v in self.exec(code, timeout=30).split())
        except ValueError:
            major = minor = -1
        if major != PROTOCOL[0] or minor < least:
            raise UlnnError(
                f"port {self.name}: the board speaks version {major}.{minor} of the protocol, "
                f"this program {PROTOCOL[0]}.{PROTOCOL[1]}: deploy again to update the board "
                "(firmware that holds ulnn_stream has to be built again)"
            )


_HASH = """
def _sha(p):
    try:
        import hashlib
    except ImportError:
        import uhashlib as hashlib
    h = hashlib.sha256()
    b = bytearray(512)
    m = memoryview(b)
    with open(p, 'rb') as f:
        while True:
            n = f.readinto(b)
            if not n:
                break
            h.update(m[:n])
    return ''.join('%02x' % c for c in h.digest())
"""

_READ = """
def _read(p, k, n):
    with open(p, 'rb') as f:
        f.seek(k)
        return f.read(n)
"""

# FAT does not rename over a file that is there (EEXIST, 17); littlefs does, and atomically. The
# old file goes only when the new one has its name. Where there is no new one (ENOENT, 2) a reset
# hid that all this was done.
_RENAME = """
import os
def _ren(a, b):
    try:
        os.rename(a, b)
        return
    except OSError as e:
        if e.args[0] == 2:
            return
        if e.args[0] != 17:
            raise
    old = b + '.old'
    try:
        os.remove(old)
    except OSError:
        pass
    os.rename(b, old)
    try:
        os.rename(a, b)
    except BaseException:
        os.rename(old, b)
        raise
    os.remove(old)
"""


def is_errno(error: BoardError, number: int) -> bool:
    """Whether it is an OSError of this number, whichever way the board words it."""
    return error.kind == "OSError" and (
        errno.errorcode[number] in error.line
        or error.line.startswith(f"OSError: {number}")
        or f"[Errno {number}]" in error.line
    )


@contextlib.contextmanager
def resolved(port: str) -> Iterator[str]:
    """The path of a port while the block runs; a virtual board is booted for it."""
    if not port.startswith("virtual:"):
        yield port
        return
    from .virtual import resolve_port

    with resolve_port(port) as path:
        yield str(path)
