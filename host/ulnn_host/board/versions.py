"""The versions of a deployment that a board holds: what is where, and which one counts.

host/docs/deployment.md describes the files. `firmware/deployment/ulnn_boot.py` reads them there.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import PurePosixPath
from typing import Any
from zlib import crc32

from ..base.errors import UlnnError
from ..toolchain import bytecode
from .identity import Identity
from .link import Board, BoardError

FOLDER = "ulnn_versions"
MODULES = ("ulnn", "ulnn_stream", "ulnn_rules")
PACKAGES = ("ulnn_rules", "ulnn_app", "ulnn_sources", "ulnn_sinks")
HASH_SIZE = 16  # hexadecimal digits of a SHA-256 that are kept and compared

Sum = tuple[int, str]  # bytes, and digits of their hash


@dataclass(frozen=True)
class Version:
    """One whole deployment: number.json on the board.

    modules: name to the stored module. models: path on the board to the stored file, of the app's
    files, too. files: size and hash of everything stored. made: time on the PC; by: version of
    ulnn; engine: in words.
    """

    number: int
    modules: dict[str, str]
    models: dict[str, str]
    files: dict[str, Sum]
    engine: str = ""
    made: str = ""
    by: str = ""
    finished: bool = field(default=True, compare=False)

    def text(self) -> bytes:
        """The file: a CRC-32 in decimal, then JSON."""
        content = {k: v for k, v in asdict(self).items() if k not in ("number", "finished")}
        data = json.dumps(content, separators=(",", ":")).encode()
        return b"%d\n%s" % (crc32(data), data)

    @property
    def model_paths(self) -> list[str]:
        """Where its models are, without the files of an app."""
        return [path for path, stored in self.models.items() if stored.endswith(".ulnn")]

    @property
    def app(self) -> str:
        """Where the settings of its app are; "" without one."""
        found = [path for path, stored in self.models.items() if stored.endswith(".settings")]
        return found[0] if found and "ulnn_app" in self.modules else ""

    @classmethod
    def parse(cls, number: int, data: bytes, *, finished: bool) -> Version | None:
        """None: not whole."""
        check, _, text = data.partition(b"\n")
        try:
            if int(check) != crc32(text):
                return None
            content: dict[str, Any] = json.loads(text)
            content["files"] = {k: (int(n), str(s)) for k, (n, s) in content["files"].items()}
            known = {f.name for f in fields(cls)}
            return cls(number, finished=finished, **{k: content[k] for k in content if k in known})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


@dataclass(frozen=True)
class Held:
    """What a board holds. versions: the one that counts first. stored: everything in the folder.

    flat: files in the places of the stubs and of models, which people may have put there. Of a
    file that begins with a stub only that counts, as in an import (see `put`).
    """

    folder: str
    versions: tuple[Version, ...]
    stored: dict[str, Sum]
    flat: dict[str, Sum]

    @property
    def active(self) -> Version | None:
        """The version that counts."""
        return self.versions[0] if self.versions else None

    @property
    def before(self) -> Version | None:
        """The one that `rollback` returns to."""
        return self.versions[1] if len(self.versions) > 1 else None

    def whole(self, version: Version) -> bool:
        """Whether all of its files are there, as they were sent."""
        return all(agree(self.stored.get(k), v) for k, v in version.files.items())

    def placed(self, version: Version) -> list[str]:
        """Where it put models and files of an app, without what people have changed there since,
        but for models."""
        models = version.model_paths
        return [
            path
            for path, stored in version.models.items()
            if path in models or agree(self.flat.get(path), version.files[stored])
        ]

    def persons(self, version: Version, active: Version) -> list[str]:
        """Where it has files of an app that a person has replaced since the active version."""
        known = (version, active)
        return [
            path
            for path in version.models
            if path in self.flat
            and path not in version.model_paths
            and not any(
                path in v.models and agree(self.flat[path], v.files[v.models[path]]) for v in known
            )
        ]

    def unused(self, *used: Version | None) -> list[str]:
        """Paths in the folder that belong to none of these versions."""
        keep = {name for v in used if v for name in v.files}
        return [f"{self.folder}/{name}" for name in self.stored if name not in keep]


def digest(data: bytes) -> Sum:
    """Size and hash of contents."""
    return len(data), hashlib.sha256(data).hexdigest()[:HASH_SIZE]


def agree(seen: Sum | None, wanted: Sum) -> bool:
    """Whether a file on the board is the wanted one, as far as the board can tell."""
    if seen is None or not seen[1]:
        return False
    return seen == wanted or (seen[1] == "?" and seen[0] == wanted[0])


def same(seen: Sum | None, data: bytes) -> bool:
    """Whether a file on the board has these contents; boards without hashlib give a CRC-32."""
    return seen == digest(data) or seen == (len(data), f"crc{crc32(data)}")


@cache
def stub(suffix: str) -> bytes:
    """What stands in the places of the modules. suffix: .mpy or .py."""
    return _boot_file("stub.py", suffix)


@cache
def boot(suffix: str) -> bytes:
    """The module that the stubs use."""
    return _boot_file("ulnn_boot.py", suffix)


def _boot_file(name: str, suffix: str) -> bytes:
    from ..base.paths import board_files

    path = f"deployment/{name}"
    return (
        bytecode.find(path) if suffix == ".mpy" else board_files(f"firmware/{path}").read_bytes()
    )


def stub_path(lib: str, module: str, suffix: str) -> str:
    """Where a module's stub lies; a package's is in its folder, which would come first."""
    return f"{lib}/{module}{'/__init__' if module in PACKAGES else ''}{suffix}"


# ---- on the board -------------------------------------------------------------------------------

_TOOLS = """
import os
def _sum(p,most=1<<30):
 n=left=min(os.stat(p)[6],most)
 b=bytearray(512)
 m=memoryview(b)
 try:
  import hashlib
  h=hashlib.sha256()
  f=h.update
 except (ImportError,AttributeError):
  from binascii import crc32
  h=[0]
  def f(d):h[0]=crc32(d,h[0])
 try:
  with open(p,'rb') as g:
   while left:
    k=min(g.readinto(b),left)
    if not k:break
    f(m[:k])
    left-=k
 except OSError:
  return n,''
 if isinstance(h,list):return n,'crc%d'%h[0]
 return n,''.join(['%02x'%c for c in h.digest()])[:16]
def _sums(d,at=''):
 s={}
 try:l=os.listdir(d)
 except OSError:return s
 for n in l:
  p=d+'/'+n
  if os.stat(p)[0]&0x4000:s.update(_sums(p,at+n+'/'))
  else:s[at+n]=_sum(p)
 return s
def _some(l,t):
 s={}
 for p in l:
  try:
   if os.stat(p)[0]&0x4000:continue
   with open(p,'rb')as f:n=f.read(len(t))==t!=b''
   s[p]=_sum(p,len(t))if n else _sum(p)
  except OSError:pass
 return s
def _versions(d):
 s={}
 try:l=os.listdir(d)
 except OSError:return s
 for n in l:
  if n[-5:]=='.json':
   with open(d+'/'+n,'rb') as f:s[n[:-5]]=f.read(),n[:-5]+'.ok' in l
 return s
def _temporary(l):
 s=[]
 for d in l:
  try:s+=[d+'/'+n for n in os.listdir(d or '/')if n[-4:]=='.tmp'and('ulnn'in n or d[-5:]=='rules')]
  except OSError:pass
 return s
def _gone(l):
 for p in l:
  try:os.stat(p)
  except OSError:continue
  try:os.remove(p)
  except OSError as e:
   try:os.rmdir(p)
   except OSError:
    if not os.stat(p)[0]&0x4000:raise e
def _put(p,t):
 from binascii import a2b_base64
 t=a2b_base64(t)
 d,_,n=p.rpartition('/')
 m='wb'
 try:
  if n[-4:]=='.mpy'and os.stat(d+'/'+n.upper())[6]>len(t)<=256:m='r+b'
 except OSError:pass
 with open(p,m)as f:f.write(t)
 return _sum(p,len(t))
def _dirs(l):
 for p in l:
  at=''
  for d in p.split('/')[:-1]:
   at+=d
   if at:
    try:os.stat(at)
    except OSError:os.mkdir(at)
   at+='/'
def _boot(lib):
 import sys
 sys.modules.pop('ulnn_boot',0)
 import ulnn_boot as m
 if m.FOLDER.rpartition('/')[0]!=lib:raise OSError('ulnn_boot is imported from '+m.__file__)
 return m
def _copy(lib,l):
 m=_boot(lib)
 for a,b in l:m.copy(a,b)
def _finish(lib):
 _boot(lib).finish()
def _unpack(a,b):
 from deflate import DeflateIO,ZLIB
 u=bytearray(512)
 m=memoryview(u)
 with open(a,'rb') as f,open(b,'wb') as g:
  d=DeflateIO(f,ZLIB)
  while True:
   n=d.readinto(u)
   if not n:break
   g.write(m[:n])
def _try(n):
 try:__import__(n)
 except ImportError:return False
 return True
"""


def ask(board: Board, expression: str, timeout: float = 60) -> Any:
    """Value of an expression that may use what this module puts on a board."""
    try:
        return board.eval(expression, timeout=timeout)
    except BoardError as error:
        if error.kind != "NameError":
            raise
    return board.eval(expression, setup=_TOOLS, timeout=timeout)


def look(board: Board, identity: Identity, models: Iterable[str] = ()) -> Held:
    """What a board holds. models: paths that matter beside those that it knows."""
    lib = identity.lib
    folder = f"{lib}/{FOLDER}"
    raw = ask(board, f"_versions({folder!r})")
    versions = []
    if isinstance(raw, dict):
        for name, (data, finished) in raw.items():
            with contextlib.suppress(ValueError, TypeError):
                version = Version.parse(int(name), data, finished=bool(finished))
                versions += [version] if version else []
    versions.sort(key=lambda v: -v.number)
    stored = ask(board, f"_sums({folder!r})", timeout=300)
    known = {path for v in versions for path in v.models}
    flat = [path for path in identity.files if path.startswith(lib + "/")]
    flat += [f"{lib}/ulnn_boot{suffix}" for suffix in (".py", ".mpy")]
    begins = stub(".mpy") if identity.takes_bytecode else b""
    paths = sorted({*flat, *known, *models})
    there = ask(board, f"_some({paths!r},{begins!r})", timeout=300)
    names = {f"{v.number}{end}" for v in versions for end in (".json", ".ok")}
    try:
        return Held(
            folder,
            tuple(versions),
            {str(k): (int(n), str(s)) for k, (n, s) in stored.items() if k not in names},
            {str(k): (int(n), str(s)) for k, (n, s) in there.items()},
        )
    except (ValueError, TypeError, AttributeError):
        raise board.odd(stored, "its files") from None


def put(board: Board, path: str, data: bytes) -> None:
    """Write a small file at once: on littlefs the old one is there until the new one is whole.

    On FAT, whose names have no case, opening a file to write empties it. So a stub is written
    over the beginning of a module, which is one write of one block; an import reads no further.
    """
    seen = ask(board, f"_put({path!r},{base64.b64encode(data).decode()!r})")
    check(board, path, seen, data)


def check(board: Board, path: str, seen: Sum, data: bytes) -> None:
    """Raise UlnnError where a file is not what was sent."""
    if not same(seen, data):
        raise UlnnError(
            f"port {board.name}: {path} differs from what was sent; the board's filesystem may be "
            "damaged"
        )


def remove_paths(board: Board, paths: Iterable[str]) -> None:
    """Remove files, and folders that are empty; no error for what is not there."""
    every = list(paths)
    for k in range(0, len(every), 16):
        ask(board, f"_gone({every[k : k + 16]!r})")


def finish(board: Board, identity: Identity) -> None:
    """Put the models of the version that counts in their places, where that was cut off."""
    ask(board, f"_finish({identity.lib!r})", timeout=300)


def sweep(board: Board, held: Held, *keep: Version | None) -> None:
    """Remove what belongs to none of these versions, other versions first.

    What was there before may have had the number that one of these has now.
    """
    numbers = {v.number for v in keep if v}
    kept = {f"{held.folder}/{n}{end}" for n in numbers for end in (".json", ".ok")}
    others = [f"{held.folder}/{v.number}" for v in held.versions if v.number not in numbers]
    remove_paths(board, [n + end for n in others for end in (".json", ".ok")])
    paths = [path for path in held.unused(*keep) if path not in kept]
    folders = {str(PurePosixPath(p).parent) for p in paths} - {held.folder}
    used = {f"{held.folder}/{name}".rpartition("/")[0] for v in keep if v for name in v.files}
    remove_paths(board, [*paths, *sorted(folders - used)])


def withdraw(board: Board, identity: Identity, held: Held) -> Version | None:
    """Back to the version before the one that counts, which is forgotten; the one that counts now.

    Each step leaves a whole version: the copies of models are made again before anything of the
    old ones is used.
    """
    active, before = held.active, held.before
    if active is None:
        return None
    path = f"{held.folder}/{{}}{{}}"
    if before and (others := held.persons(before, active)):
        left = {p: stored for p, stored in before.models.items() if p not in others}
        before = replace(before, models=left)
        put(board, path.format(before.number, ".json"), before.text())
    if before:
        remove_paths(board, [path.format(before.number, ".ok")])
    remove_paths(board, [path.format(active.number, ".json"), path.format(active.number, ".ok")])
    if before:
        finish(board, identity)
    kept = before.models if before else {}
    remove_paths(board, [p for p in held.placed(active) if p not in kept])
    sweep(board, held, before)
    return before
