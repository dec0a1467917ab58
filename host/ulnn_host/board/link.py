"""A MicroPython board at the end of a serial port: raw REPL, files, and the streaming loop.

mpremote's transport does the raw REPL; here its failures become one line each.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from serial.tools import list_ports

from ..base.errors import UlnnError, one_line
from .stream import Session

BANNER = b"raw REPL; CTRL-B to exit\r\n"
CHUNK = 768
INTERRUPT_SECONDS = 2.0
PROMPT_SECONDS = 2.0
REPL_TIMEOUT = 10
# what ast.literal_eval raises for what a board might print
NOT_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


class BoardError(UlnnError):
    """Code on the board raised: `kind` is the exception's class, `line` it and its text, `remote`
    the whole traceback."""

    def __init__(self, name: str, remote: str) -> None:
        lines = remote.strip().splitlines() or ["unknown error"]
        self.line = one_line(lines[-1])
        super().__init__(f"port {name}: the board says: {self.line}")
        self.kind = self.line.split(":")[0]
        self.remote = remote


class Board:
    """An open port with the raw REPL running on it. Use `Board.open` in a with statement."""

    def __init__(self, transport: SerialTransport, name: str) -> None:
        self._transport = transport
        self.name = name

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, port: str, *, baudrate: int = 115200, soft_reset: bool = True
    ) -> Iterator[Board]:
        """Open a port (`/dev/ttyACM0`, `virtual:cortex-m7`) and get the raw REPL.

        soft_reset: allow a soft reset as the last means to get a REPL out of a busy board.
        Raises UlnnError: port missing, not permitted, in use, silent, or busy for good.
        """
        with _resolved(port) as path:
            board = cls(_open_port(path, baudrate), port)
            try:
                board._interrupt(soft_reset)
                yield board
            finally:
                board._close()

    def _close(self) -> None:
        # A port that is gone cannot be left tidily, and the reason is already on its way up.
        with contextlib.suppress(OSError, TransportError):
            self._transport.exit_raw_repl()
        with contextlib.suppress(OSError):
            self._transport.close()

    def _interrupt(self, soft_reset: bool) -> None:
        """Get the raw REPL: Ctrl-C twice, then for two seconds, then a soft reset."""
        heard = bytearray()
        attempts: list[Callable[[], None]] = [self._ctrl_c_twice, self._ctrl_c_long]
        if soft_reset:
            attempts.append(self._soft_reset)
        with self._errors():
            self._transport.serial.timeout = 0.1
            for attempt in attempts:
                attempt()
                if self._raw_prompt(heard):
                    self._transport.in_raw_repl = True
                    self._transport.serial.timeout = REPL_TIMEOUT
                    return
                if attempt == self._ctrl_c_long and not heard:
                    break
        text = heard.decode(errors="replace").strip().splitlines()
        if not text:
            raise UlnnError(
                f"port {self.name}: no answer at all; is it the right port, is MicroPython on the "
                "board, and does it own this port?"
            )
        raise UlnnError(
            f"port {self.name}: a program on the board keeps the REPL busy and ignores Ctrl-C "
            f"(last seen: {text[-2:][0][-60:]!r}); reset the board, or remove its main.py"
        )

    def _ctrl_c_twice(self) -> None:
        self._transport.serial.write(b"\r\x03\x03")

    def _ctrl_c_long(self) -> None:
        for _ in range(int(INTERRUPT_SECONDS * 10)):
            self._transport.serial.write(b"\x03")
            time.sleep(0.1)

    def _soft_reset(self) -> None:
        self._transport.serial.write(b"\r\x02\x04")
        self._ctrl_c_long()

    def _raw_prompt(self, heard: bytearray) -> bool:
        """Ask for the raw REPL until it says so; leave its prompt unread, as mpremote wants it."""
        port = self._transport.serial
        heard += self._quiet()
        # Out of a raw REPL that is already there: the unix port loses Ctrl-C when entered twice.
        port.write(b"\r\x02")
        heard += self._quiet()
        port.write(b"\r\x01")
        answer = self._until_banner(PROMPT_SECONDS)
        heard += answer
        return answer.endswith(BANNER)

    def _until_banner(self, seconds: float) -> bytes:
        """Not mpremote's read_until: a program that never stops printing keeps it for ever."""
        answer, end = bytearray(), time.monotonic() + seconds
        while not answer.endswith(BANNER) and time.monotonic() < end:
            answer += self._transport.serial.read(1)
        return bytes(answer)

    def _quiet(self) -> bytes:
        """Read until nothing comes for 0.1 s, for half of PROMPT_SECONDS at most."""
        data, end = b"", time.monotonic() + PROMPT_SECONDS / 2
        while time.monotonic() < end:
            new = self._transport.serial.read(max(1, self._transport.serial.in_waiting))
            if not new:
                break
            data += new
        return data

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UlnnError(
                f"port {self.name}: the connection broke ({error}); is the board still plugged in?"
            ) from error
        except (TransportError, ValueError, IndexError) as error:
            raise UlnnError(
                f"port {self.name}: the board's REPL gave an unexpected answer ({error}); "
                "reset the board and try again"
            ) from error
        except Exception as error:
            # struct.error where raw paste ends early; termios.error where the port is gone.
            if type(error).__name__ != "error":
                raise
            raise UlnnError(
                f"port {self.name}: the board stopped answering ({error}); is it plugged in?"
            ) from error

    def soft_reset(self) -> None:
        """Start the interpreter anew: an empty heap, nothing imported; boot.py runs, not main.py.

        Does nothing on the unix port, which would end.
        """
        if self.eval("__import__('sys').platform") == "linux":
            return
        with self._errors():
            self._transport.serial.timeout = 0.1
            self._transport.serial.write(b"\x04")
            answer = self._until_banner(8)
            self._transport.serial.timeout = REPL_TIMEOUT
        if not answer.endswith(BANNER):
            self._interrupt(soft_reset=False)

    # ---- code ---------------------------------------------------------------------------------

    def exec(self, code: str, *, timeout: float = 10) -> str:
        """Run code on the board, return what it printed. timeout: seconds without any output.

        Raises BoardError when the code raised.
        """
        with self._errors():
            out, error = self._transport.exec_raw(code, timeout)
        if error:
            raise BoardError(self.name, error.decode(errors="replace"))
        return str(out.decode(errors="replace"))

    def eval(self, expression: str, *, timeout: float = 10) -> Any:
        """Value of an expression made of literals."""
        return self.literal(self.exec(f"print(repr({expression}))", timeout=timeout), expression)

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
            self.exec(_HASH + f"_h = _sha({path!r})", timeout=60)
        except BoardError as error:
            if error.kind == "OSError":
                return None
            if error.kind == "ImportError":
                return hashlib.sha256(self.read_file(path)).hexdigest()
            raise
        return str(self.eval("_h"))

    def read_file(self, path: str) -> bytes:
        """Contents of a file."""
        self.exec(f"_f = open({path!r}, 'rb')")
        data = bytearray()
        while part := self.eval(f"_f.read({CHUNK})"):
            if not isinstance(part, bytes):
                raise self.odd(part, f"a part of {path}")
            data += part
        self.exec("_f.close()")
        return bytes(data)

    def write_file(
        self, path: str, data: bytes, progress: Callable[[int], None] | None = None
    ) -> None:
        """Write to `path.tmp`, compare SHA-256, rename: the whole new file is there, or the old.

        Raises UlnnError when the board runs out of space, or when what it holds differs.
        """
        temporary = path + ".tmp"
        try:
            self._send(temporary, data, progress)
            if self.sha256(temporary) != hashlib.sha256(data).hexdigest():
                raise UlnnError(
                    f"port {self.name}: {temporary} differs from what was sent; the board's "
                    "filesystem may be damaged, or the line loses bytes"
                )
            self.exec(_RENAME + f"_ren({temporary!r}, {path!r})")
        except BaseException as error:
            # The board may be gone; the first error is the one to report.
            with contextlib.suppress(UlnnError):
                if not isinstance(error, BoardError):
                    self._interrupt(soft_reset=False)
                self.exec(
                    "try:\n _f.close()\nexcept Exception:\n pass\n"
                    f"import os\ntry:\n os.remove({temporary!r})\nexcept OSError:\n pass"
                )
            if isinstance(error, BoardError) and _is_errno(error, errno.ENOSPC):
                raise UlnnError(
                    f"port {self.name}: no space left for {path} ({len(data)} bytes); "
                    "delete files on the board and try again"
                ) from error
            raise

    def _send(self, path: str, data: bytes, progress: Callable[[int], None] | None) -> None:
        self.exec(
            f"from binascii import a2b_base64 as _b\n_f = open({path!r}, 'wb')\n_w = _f.write"
        )
        for k in range(0, len(data), CHUNK):
            part = data[k : k + CHUNK]
            written = self.exec(f"print(_w(_b({base64.b64encode(part)!r})))").strip()
            if written != str(len(part)):
                raise UlnnError(
                    f"port {self.name}: {path}: the board wrote {written} of {len(part)} bytes; "
                    "its filesystem is full or damaged"
                )
            if progress:
                progress(len(part))
        self.exec("_f.close()")

    def make_folders(self, path: str) -> None:
        """Make the folders above a file, where they are missing."""
        self.exec(
            f"import os\n_p = ''\nfor _d in {path!r}.split('/')[:-1]:\n _p += _d\n"
            " if _p:\n  try:\n   os.stat(_p)\n  except OSError:\n   os.mkdir(_p)\n _p += '/'"
        )

    # ---- streaming ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def stream(
        self,
        model: str,
        *,
        window: int = 256,
        idle_ms: int = 30000,
        timeout: float = 60,
        frame_bytes: int | None = None,
    ) -> Iterator[Session]:
        """Start the loop with the model at a path on the board, and leave it at the end.

        window: bytes the board's port holds while a step runs. timeout: seconds for loading.
        """
        code = (
            "import ulnn_stream\n"
            f"ulnn_stream.serve({model!r}, idle_ms={idle_ms}, window={window})\n"
        )
        with self._errors():
            self._transport.exec_raw_no_follow(code)
        session = Session(self._transport.serial, self.name, frame_bytes=frame_bytes)
        try:
            session.wait_ready(timeout)
            session.hello()
            yield session
            session.bye()
            self._interrupt(soft_reset=False)
        except BaseException:
            with contextlib.suppress(UlnnError):
                self._interrupt(soft_reset=False)
            raise


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

# FAT does not rename over a file that is there (EEXIST, 17); littlefs does, and atomically. The
# old file goes only when the new one has its name.
_RENAME = """
import os
def _ren(a, b):
    try:
        os.rename(a, b)
        return
    except OSError as e:
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


def _is_errno(error: BoardError, number: int) -> bool:
    return error.kind == "OSError" and (
        errno.errorcode[number] in error.line
        or error.line.startswith(f"OSError: {number}")
        or f"[Errno {number}]" in error.line
    )


@contextlib.contextmanager
def _resolved(port: str) -> Iterator[str]:
    if not port.startswith("virtual:"):
        yield port
        return
    from .virtual import resolve_port

    with resolve_port(port) as path:
        yield str(path)


def ports() -> list[str]:
    """The serial ports of this machine, USB ones first."""
    found = sorted(list_ports.comports(), key=lambda p: (p.vid is None, p.device))
    return [str(p.device) for p in found]


def _open_port(path: str, baudrate: int) -> SerialTransport:
    if "://" not in path and os.name == "posix" and not Path(path).exists():
        others = ", ".join(ports()[:4]) or "none"
        raise UlnnError(f"port {path}: there is no such port; ports here: {others}")
    try:
        return SerialTransport(path, baudrate)
    except (OSError, ValueError, TransportError) as failure:
        error: Exception = failure
    # mpremote swallows the reason for which a port does not open, so it is asked for here.
    try:
        serial.serial_for_url(path, baudrate, exclusive=True).close()
    except (OSError, ValueError) as reason:
        error = reason
    raise UlnnError(f"port {path}: {_reason(path, error)}") from error


def _reason(path: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        group = "dialout"
        with contextlib.suppress(ImportError, OSError, KeyError):
            import grp

            group = grp.getgrgid(Path(path).stat().st_gid).gr_name
        return f"not permitted; join its group (sudo usermod -aG {group} $USER), then log in again"
    if number in (errno.EBUSY, errno.EAGAIN) or "lock" in str(error):
        return "in use by another program; close it and try again"
    if number in (errno.ENOTTY, errno.EINVAL) or "Could not configure" in str(error):
        return "not a serial port"
    return f"cannot be opened ({error})"
