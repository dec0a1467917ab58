#!/usr/bin/env python3
"""Make what a release holds, in dist/ (`make dist`):

    ulnn-VERSION.tar.gz      the source, with bytecode and native modules for boards
    ulnn-VERSION-*.whl       for this platform, and for all platforms (without the C extension)
    mip/VERSION/ARCH_MPY/    packages for mip: native for ARCH, or the engine in Python (`pure`)
    SHA256SUMS               of all of these

Made twice, in whatever folder, from the same files with the same tools, they are the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from ulnn_host import __version__
from ulnn_host.base.errors import UlnnError
from ulnn_host.base.paths import project_root
from ulnn_host.toolchain import bytecode, natmod

FILES = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")
FOLDERS = ("firmware", "host/ulnn_host", "native_module")
NOT = ("__pycache__", "*.so", "*.pyc", "board_files")
EPOCH = "315532800"  # 1980, the first year that a zip archive knows
HOOK = "import sys; from setuptools import build_meta as b; getattr(b, sys.argv[1])(sys.argv[2])"
MPY = ".".join(map(str, bytecode.MPY_VERSION))

Content = dict[str, bytes]


def native_modules(ready: Path | None) -> Content:
    """`ulnn.mpy` by architecture: those in READY/ARCH/ulnn.mpy, and all that build here."""
    found = {}
    for arch in natmod.BUILDABLE:
        made = ready / arch / "ulnn.mpy" if ready else None
        if made and made.is_file():
            found[arch] = made.read_bytes()
        elif natmod.has_compiler(arch):
            found[arch] = natmod.build(arch).read_bytes()
        else:
            compiler = natmod.TOOLCHAINS[arch].compiler
            print(f"no native module for {arch}: no {compiler} here", file=sys.stderr)
    return found


def board_code(root: Path) -> Content:
    """Bytecode by its path on a board, such as `ulnn.mpy`."""
    firmware = root / "firmware"
    sources = [path for path in sorted(firmware.rglob("*.py")) if path.name != "manifest.py"]
    names = [path.relative_to(firmware) for path in sources]
    return {name.with_suffix(".mpy").as_posix(): bytecode.find(str(name)) for name in names}


def put(folder: Path, content: Content) -> None:
    """Write files by their paths."""
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def hook(name: str, source: Path, out: Path, **environment: str) -> Path:
    """Call a hook of the build backend; answers what it made."""
    before = set(out.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", HOOK, name, out],
        cwd=source,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise UlnnError(f"{name} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    (made,) = set(out.iterdir()) - before
    return made


def repack(archive: Path) -> None:
    """The same archive, sorted, and without times, owners and modes of this machine."""
    with tarfile.open(archive) as tar:
        members = sorted(tar.getmembers(), key=lambda member: member.name)
        contents = [tar.extractfile(member) if member.isfile() else None for member in members]
        data = [content.read() if content else b"" for content in contents]
    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for member, content in zip(members, data, strict=True):
            entry = tarfile.TarInfo(member.name)
            entry.type, entry.size = member.type, len(content)
            entry.mode, entry.mtime = 0o755 if member.isdir() else 0o644, int(EPOCH)
            tar.addfile(entry, io.BytesIO(content))


def packages(modules: Content, code: Content, out: Path) -> None:
    """The folders that `mip` installs from. Every engine is `ulnn.mpy` on the board, so that the
    one that is installed last is the one that is there."""
    left_out = ("ulnn.mpy", "deployment/", "start/", "examples/", "circuitpython/")
    others = {name: data for name, data in code.items() if not name.startswith(left_out)}
    for name, engine in {**modules, "pure": code["ulnn.mpy"]}.items():
        content = {"ulnn.mpy": engine, **others}
        listed = {"urls": [[path, path] for path in content], "version": __version__}
        content["package.json"] = json.dumps(listed).encode() + b"\n"
        put(out / f"{name}_{MPY}", content)


def make(root: Path, out: Path, ready: Path | None) -> None:
    """Fill the empty folder `out`. Raises UlnnError."""
    modules, code = native_modules(ready), board_code(root)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        for folder in FOLDERS:
            ignored = shutil.ignore_patterns(*NOT)
            shutil.copytree(
                root / folder, source / folder, ignore=ignored, copy_function=shutil.copyfile
            )
        put(source, {name: (root / name).read_bytes() for name in FILES})
        copies = source / "host" / "ulnn_host" / "board_files"
        put(copies / "natmod", {f"{arch}/ulnn.mpy": data for arch, data in modules.items()})
        put(copies / "bytecode", code)
        archive = hook("build_sdist", source, out)
        repack(archive)
        # From the archive, so that it is known to hold all that is needed.
        for kind, environment in {
            "platform": {"ULNN_WERROR": "1"},
            "pure": {"ULNN_PURE": "1"},
        }.items():
            shutil.unpack_archive(archive, Path(scratch) / kind)
            (unpacked,) = (Path(scratch) / kind).iterdir()
            hook("build_wheel", unpacked, out, SOURCE_DATE_EPOCH=EPOCH, **environment)
    packages(modules, code, out / "mip" / __version__)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    sums = [(hashlib.sha256(path.read_bytes()).hexdigest(), path) for path in files]
    lines = [f"{digest}  {path.relative_to(out).as_posix()}\n" for digest, path in sums]
    (out / "SHA256SUMS").write_text("".join(lines))


def main() -> None:
    """Makes dist/ again, whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder; default: dist/ of the checkout")
    parser.add_argument("--natmods", type=Path, help="ARCH/ulnn.mpy that were built elsewhere")
    options = parser.parse_args()
    root = project_root()
    out = options.out or root / "dist"
    os.umask(0o022)
    new = out.with_name(out.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        make(root, new, options.natmods)
    except UlnnError as error:
        shutil.rmtree(new)
        sys.exit(f"error: {error}")
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    print((out / "SHA256SUMS").read_text(), end="")


if __name__ == "__main__":
    main()
