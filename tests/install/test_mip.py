"""The packages for `mip`: served on this machine, installed on both virtual boards."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import ulnn_host


class Quiet(SimpleHTTPRequestHandler):
    """Without a line for each request."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def address(dist: Path) -> Iterator[str]:
    """Where dist/mip/VERSION is served."""
    handler = functools.partial(Quiet, directory=dist)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/mip/{ulnn_host.__version__}"
        server.shutdown()


def test_the_files_of_every_package(dist: Path) -> None:
    folders = {path.name: path for path in (dist / "mip" / ulnn_host.__version__).iterdir()}
    native = ("x64", "armv6m", "armv7m", "armv7emsp", "armv7emdp", "rv32imc", "xtensa")
    assert {f"{arch}_6.3" for arch in (*native, "pure")} <= set(folders)
    for name, folder in folders.items():
        listed = json.loads((folder / "package.json").read_text())
        assert listed["version"] == ulnn_host.__version__
        targets = [target for target, _ in listed["urls"]]
        assert "ulnn.mpy" in targets
        assert "ulnn.py" not in targets, f"{name}: it would hide ulnn.mpy"
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
        assert {source for _, source in listed["urls"]} == there - {"package.json"}
        # A native module says its architecture where bytecode has 0 (py/persistentcode.h).
        head = (folder / "ulnn.mpy").read_bytes()[:3]
        assert (head[2] >> 2 == 0) == name.startswith("pure")


def test_the_one_installed_last_is_there(
    empty: Path, board: tuple[str, str], address: str
) -> None:
    port, arch = board

    def mpremote(*words: str) -> str:
        command = [sys.executable, "-m", "mpremote", "connect", port, *words]
        done = subprocess.run(command, cwd=empty, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    mpremote("fs", "cp", "m.ulnn", ":/m.ulnn")
    code = "import ulnn; print(ulnn.ENGINE, ulnn.load('/m.ulnn').self_test() > 0)"
    for package, engine in ((arch, "native"), ("pure", "pure"), (arch, "native")):
        mpremote("mip", "install", f"{address}/{package}_6.3/package.json")
        assert mpremote("soft-reset", "exec", code).split() == [engine, "True"]
    assert mpremote("exec", "import ulnn_stream; print(ulnn_stream.MAJOR)").strip().isdigit()
