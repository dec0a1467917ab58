"""The raw REPL of a board on a line that may do damage: every command carries a check.

PROTOCOL.md 6 describes what goes over the wire: a small helper on the board takes programs in
parts and data by offset, carries each number out once, and answers under the same check.
"""

from __future__ import annotations

import ast
import re
import time
from zlib import crc32

from ..base.errors import UlnnError, one_line
from .diagnosis import unknown_port
from .line import Line

BANNER = b"raw REPL; CTRL-B to exit\r\n"
_LAST_WORDS = re.compile(rb"\x04|>$|>>> ")
PROMPT = re.compile(rb"\x04[^\x04]*\x04>", re.DOTALL)
INTERRUPT_SECONDS = 2.0
PROMPT_SECONDS = 2.0
QUIET_SECONDS = 0.1
FIRST_SIGN_SECONDS = 0.5
ANSWER_SECONDS = 0.25
ECHO_SECONDS = 1.0
ATTEMPTS = 40
ENDS = 12  # of these, of the command that makes the helper of its pieces
PIECE, SMALLEST_PIECE = 1024, 24
SLICES_AFTER = 3
_HIDDEN = b"callable"  # damage made a name of ours, or print, another thing: print=(1,2)
# Control characters of the REPL, alone or before a digit, and what ends a line or a literal.
_AWKWARD = re.compile(rb"([\0-\5])(?![0-7])|[\0-\5\n\r'\\]")
_LAST_CONTROL = 5
PART, RUN, WRITE, SLICE = range(4)

HELPER = """\
import sys,io
from binascii import crc32
class _U:
 s='';n=0;a=''
 def __init__(m):m.o=[];m.g={'print':m.p}
 def p(m,*a,sep=' ',end='\\n'):m.o.append(sep.join([str(x)for x in a])+end)
 def __call__(m,n,k,x,t,c):
  if crc32(t if x==2 else t.encode(),crc32(('%s %s %s '%(n,k,x)).encode()))!=c:return
  a=m.a
  if x==3:a=a[k:k+int(t)]if n==m.n else'?'
  elif n!=m.n:
   a='K'
   try:
    if x==2:f=m.g['_f'];f.seek(k);a+=str(f.write(t))
    elif k>len(m.s):a='?'
    else:
     m.s=m.s[:k]+t
     if x:m.o=[];s=m.s;m.s='';exec(s,m.g);a+=repr(''.join(m.o))
   except Exception as e:
    a='%s: %s'%(type(e).__name__,e)
    if hasattr(sys,'print_exception'):i=io.StringIO();sys.print_exception(e,i);a=i.getvalue()
    a='E'+repr(a)
   m.n=n;m.a=a
  print('~%d %d %d %s'%(n,k,crc32(('%d %d %s'%(n,k,a)).encode()),a))
_u=_U()
"""


class BoardError(UlnnError):
    """Code on the board raised: `kind` is the exception's class, `line` it and its text, `remote`
    the whole traceback."""

    def __init__(self, name: str, remote: str) -> None:
        lines = remote.strip().splitlines() or ["unknown error"]
        self.line = one_line(lines[-1])
        super().__init__(f"port {name}: the board says: {self.line}")
        self.kind = self.line.split(":")[0]
        self.remote = remote


class _HelperGone(Exception):
    """The interpreter on the board started again, and lost what it held."""


class Repl:
    """The REPL at the end of a line. repeats: commands that had to be sent again. generation:
    changes when the interpreter started again, so that names of earlier programs are gone.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._number = 0
        self._helper = False
        self._piece = PIECE
        self.repeats = self.generation = 0

    # ---- the prompt ---------------------------------------------------------------------------

    def interrupt(self, *, soft_reset: bool = True) -> None:
        """Get the raw REPL: Ctrl-C twice, then for two seconds, then a soft reset.

        Raises UlnnError, which says what is at this port instead.
        """
        heard = bytearray()
        attempts = [self._ctrl_c_twice, self._ctrl_c_long]
        if soft_reset:
            attempts.append(self._soft_reset)
        for attempt in attempts:
            attempt()
            if self._raw_prompt(heard):
                return
            if attempt == self._ctrl_c_long and not heard:
                break
        raise UlnnError(f"port {self._line.name}: {unknown_port(bytes(heard))}")

    def _ctrl_c_twice(self) -> None:
        self._line.write(b"\r\x03\x03")

    def _ctrl_c_long(self) -> None:
        for _ in range(int(INTERRUPT_SECONDS * 10)):
            self._line.write(b"\x03")
            time.sleep(0.1)

    def _soft_reset(self) -> None:
        self._line.write(b"\r\x02\x04")
        self._ctrl_c_long()

    def _raw_prompt(self, heard: bytearray) -> bool:
        """Ask for the raw REPL until it says so."""
        end = time.monotonic() + PROMPT_SECONDS
        heard += self._line.read_until(end, QUIET_SECONDS)
        while True:
            # Out of a raw REPL that is already there: the unix port loses Ctrl-C when entered
            # twice. And out of a line that goes on.
            self._line.write(b"\r\x03\x02")
            heard += self._line.read_until(end, QUIET_SECONDS)
            self._line.write(b"\r\x01")
            answer = self._until_banner(min(end, time.monotonic() + FIRST_SIGN_SECONDS))
            heard += answer
            if _is_banner(answer):
                return True
            if time.monotonic() >= end:
                return False

    def _until_banner(self, deadline: float) -> bytes:
        """Read up to the banner, or until the deadline where a program keeps printing."""
        answer = bytearray()
        heard = time.monotonic()
        while (now := time.monotonic()) < deadline:
            if new := self._line.read():
                answer += new
                heard = now
            damaged = now - heard > QUIET_SECONDS and _is_banner(answer)
            if damaged or answer.endswith((BANNER + b">", BANNER)):
                break
        return bytes(answer)

    def soft_reset(self) -> None:
        """Start the interpreter again: an empty heap, nothing imported; boot.py runs, not main.py.

        Does nothing on the unix port, which would end.
        """
        if self.run("import sys\nprint(sys.platform)").strip() == "linux":
            return
        self._helper = False
        self._line.write(b"\x04")
        if not _is_banner(self._until_banner(time.monotonic() + 8)):
            self.interrupt(soft_reset=False)

    def leave(self) -> None:
        """Back to the friendly REPL, with nothing of ours left in it."""
        names = "for n in('_c','_d','_s','_t','_u','n'):globals().pop(n,0)"
        self._command(names, FIRST_SIGN_SECONDS, FIRST_SIGN_SECONDS)
        self._line.write(b"\r\x02")

    # ---- programs -----------------------------------------------------------------------------

    def run(self, program: str, timeout: float = 10) -> str:
        """Run a program in a namespace of its own that later programs see; what it printed.

        timeout: seconds it may take. Raises BoardError when it raised.
        """
        for _ in range(ATTEMPTS):
            try:
                answer = self._run_parts(program, timeout)
            except _HelperGone:
                continue
            if answer[:1] in ("K", "E"):
                return self._result(answer)
        raise self._bad_line("the interpreter on the board starts again and again")

    def _run_parts(self, program: str, timeout: float) -> str:
        k, answer = 0, ""
        while k < len(program) or not k:
            part = program[k : k + self._piece]
            last = k + len(part) == len(program)
            answer = self._call(k, RUN if last else PART, part, timeout if last else 10)
            if last or answer[:1] != "K":
                break
            k += len(part)
        return answer

    def start(self, program: str) -> None:
        """Start a program that takes the port over; whether it runs is for the caller to see.

        It needs no helper, so that it gets through at once after a reset of the board.
        """
        self._line.write(
            f"_c={program!a};{_checked('_c', program)} and exec(_c,{{}})\x04".encode()
        )

    def write(self, offset: int, data: bytes) -> int | None:
        """Write at an offset of the file `_f` that a program has opened; bytes written.

        None: the interpreter started again, and the file is not open any more.
        """
        try:
            return int(self._result(self._call(offset, WRITE, data)))
        except _HelperGone:
            return None

    @property
    def piece(self) -> int:
        """Characters of a command that the line takes at present."""
        return self._piece

    def _result(self, answer: str) -> str:
        try:
            value = ast.literal_eval(answer[1:] or "''")
        except (ValueError, SyntaxError):
            raise self._bad_line(f"the board answered {answer[:40]!r}") from None
        if answer[0] == "E":
            raise BoardError(self._line.name, str(value))
        return str(value)

    # ---- one command --------------------------------------------------------------------------

    def _call(self, offset: int, what: int, text: str | bytes, timeout: float = 10) -> str:
        """Have the helper do something once; its answer."""
        self._number += 1
        command = self._text(offset, what, text)
        wait, faults = FIRST_SIGN_SECONDS, 0
        for attempt in range(ATTEMPTS):
            if not self._helper:
                self._install()
                if offset or attempt or what == WRITE:
                    raise _HelperGone
            data = self._command(command, wait, timeout, offset)
            answer = self._answer(data, offset)
            if answer is None and attempt >= SLICES_AFTER:
                answer = self._slices()
            if answer is not None:
                self._piece = min(PIECE, self._piece + self._piece // 4)
                return answer
            self.repeats += 1
            self._piece = max(SMALLEST_PIECE, self._piece // 2)
            fault = re.search(rb"\n(MemoryError|OSError)[^\r\n]*", data)
            faults += fault is not None
            if fault and faults > 2:
                raise BoardError(self._line.name, fault[0].decode(errors="replace"))
            wait = min(2 * wait, 4.0)
            self._recover(data, attempt)
        raise self._bad_line(f"a command did not get through in {ATTEMPTS} attempts")

    def _slices(self) -> str | None:
        """The answer to the present command in small parts, where it was carried out."""
        answer, size = "", self._piece
        while True:
            command = self._text(len(answer), SLICE, str(size))
            for _ in range(ATTEMPTS):
                data = self._command(command, FIRST_SIGN_SECONDS, ECHO_SECONDS, len(answer))
                part = self._answer(data, len(answer))
                if part is not None:
                    break
                self._recover(data, 0)
            if part is None or part == "?":
                return None
            answer += part
            if len(part) < size:
                return answer

    def _text(self, offset: int, what: int, text: str | bytes) -> bytes:
        if isinstance(text, bytes):
            data, source = text, literal(text)
        else:
            data, source = text.encode(), ascii(text).encode()
        numbers = (self._number, offset, what)
        check = crc32(data, crc32(b"%d %d %d " % numbers))
        return b"_u(%d,%d,%d,%s,%d)" % (*numbers, source, check)

    def _answer(self, data: bytes | bytearray, offset: int) -> str | None:
        head = b"%d %d " % (self._number, offset)
        for said in re.findall(rb"~%s(\d+ [^\r\n]*)\r?\n" % head, data):
            check, _, text = said.partition(b" ")
            if int(check) == crc32(head + text):
                return str(text.decode())
        return None

    def _command(
        self, text: str | bytes, first_sign: float, timeout: float, offset: int = 0
    ) -> bytes:
        """Send a program to the raw REPL; what came back, up to the next prompt.

        first_sign: seconds for the first byte, beside those on the line. timeout: for the rest.
        """
        line, data = self._line, bytearray()
        line.write((text if isinstance(text, bytes) else text.encode()) + b"\x04")
        heard = time.monotonic()
        sign = heard + first_sign + line.seconds(len(text))
        end = heard + timeout + line.seconds(len(text))
        while True:
            new = line.read()
            now = time.monotonic()
            if new:
                data += new
                heard = now
                if PROMPT.search(data):
                    break
                if self._answer(data, offset) is not None:
                    end = min(end, now + QUIET_SECONDS)  # its prompt may be damaged
            elif now - heard > QUIET_SECONDS and _LAST_WORDS.search(data):
                break
            elif now - heard > ANSWER_SECONDS and b"~" in data:
                break  # an answer comes in one piece
            if now > (end if data else sign):
                break
        return bytes(data)

    def _recover(self, data: bytes, attempt: int) -> None:
        """After a command that failed: a prompt, and the helper where it is gone."""
        self._helper = self._helper and b"NameError" not in data and _HIDDEN not in data
        if PROMPT.search(data) is None:
            self._line.write(b"\x03")
            data += self._line.read_until(time.monotonic() + 1, QUIET_SECONDS)
        if b">>>" in data or (attempt % 2 and b"OK" not in data):
            self.interrupt(soft_reset=False)

    def _install(self) -> None:
        """Put the helper on the board, in pieces that are compared with what comes back."""
        k = count = failures = ends = 0
        while failures < ATTEMPTS:
            piece = HELPER[k : k + self._piece]
            if piece:
                begin = "" if count else "_s={};"
                command = f"{begin}_s[{count}]={piece!a};print({count},_s[{count}])"
                wanted = f"{count} {piece}\n"
            else:
                command = (
                    f"_t=''.join([_s[i]for i in range({count})]);_d={{}};"
                    f"{_checked('_t', HELPER)} and exec(_t,_d);"
                    f"_u=_d['_u'];print({k},_u)"
                )
                wanted = f"{k} <_U object"
            data = self._command(command, FIRST_SIGN_SECONDS, ECHO_SECONDS)
            if wanted.encode() in data.replace(b"\r\n", b"\n"):
                k, count, failures = k + len(piece), count + 1, 0
                if not piece:
                    self._helper = True
                    self.generation += 1
                    return
                continue
            failures += 1
            self.repeats += 1
            ends = ends + 1 if not piece else 0
            if re.search(rb"name '_[su]'|KeyError: '?_u", data) or ends == ENDS:
                k = count = 0  # the pieces are lost, or one was changed after it was compared
            self._piece = max(SMALLEST_PIECE, self._piece // 2)
            self._recover(data, failures)
            if _HIDDEN in data:
                for name in ("print", "exec", "range", "__import__"):
                    self._command(f"del {name}", FIRST_SIGN_SECONDS, ECHO_SECONDS)
        raise self._bad_line("a first command did not get through")

    def _bad_line(self, what: str) -> UlnnError:
        return UlnnError(
            f"port {self._line.name}: {what}: the line damages bytes ({self.repeats} commands "
            "sent again); try a shorter cable, or a lower --baud"
        )


def literal(data: bytes) -> bytes:
    """The source of a bytes object, 8 bits a byte, with no byte that the REPL acts on."""
    return b"b'%s'" % _AWKWARD.sub(_escape, data)


def _escape(found: re.Match[bytes]) -> bytes:
    byte = found[0]
    if byte[0] <= _LAST_CONTROL:
        return b"\\%o" % byte[0] if found[1] else b"\\%03o" % byte[0]
    return b"\\" + {b"\n": b"n", b"\r": b"r"}.get(byte, byte)


def _checked(name: str, text: str) -> str:
    """An expression for the board: whether the name holds the text."""
    # CircuitPython takes no CRC of a string.
    return f"__import__('binascii').crc32({name}.encode())=={crc32(text.encode())}"


def _is_banner(answer: bytes | bytearray) -> bool:
    """Whether the banner is in it, damaged perhaps."""
    return any(BANNER[k : k + 8] in answer for k in range(len(BANNER) - 8))
