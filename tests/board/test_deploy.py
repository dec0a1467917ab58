"""Deployment to the unix MicroPython with a real littlefs in RAM, and to the virtual boards."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import ulnn_rules
from support.board_tools import model_file, need_tools
from support.paths import ROOT
from support.pty_board import PtyBoard
from support.random_models import Shape, random_model
from support.unix import needs_micropython
from ulnn_host.base.errors import UlnnError
from ulnn_host.board import plan as planning
from ulnn_host.board.deploy import DeployError, NoSpaceError, deploy, make_plan
from ulnn_host.board.link import Board
from ulnn_host.format import container
from ulnn_host.toolchain import natmod

TOOL = ROOT / "tools" / "deploy.py"

# A board's disk: littlefs on a RAM block device, with lib on it and nothing else importable.
DISK = """
import os, sys, vfs
class Ram:
    def __init__(self, n): self.n, self.data = n, bytearray(512 * n)
    def readblocks(self, k, buf, off=0):
        buf[:] = self.data[512 * k + off : 512 * k + off + len(buf)]
    def writeblocks(self, k, buf, off=None):
        if off is None:
            self.data[512 * k : 512 * k + 512] = b"\\xff" * 512
        off = off or 0
        self.data[512 * k + off : 512 * k + off + len(buf)] = buf
    def ioctl(self, op, arg):
        if op == 4: return self.n
        if op == 5: return 512
        return 0
ram = Ram(BLOCKS)
vfs.VfsLfs2.mkfs(ram)
vfs.mount(ram, "/ram")
os.chdir("/ram")
sys.path[:] = ["", ".frozen", "/ram/lib"]
"""


@dataclass
class Disk:
    link: Board
    pty: PtyBoard

    def files(self) -> dict[str, int]:
        """Sizes of all files on the disk."""
        found: dict[str, int] = self.link.eval(
            "(lambda walk: walk(walk, ''))(lambda walk, d: {k: v for e in "
            "os.ilistdir('/ram' + d) for k, v in (walk(walk, d + '/' + e[0]) if e[1] == 0x4000 "
            "else {d + '/' + e[0]: e[3]}).items()})"
        )
        return found


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Disk]]:
    with contextlib.ExitStack() as stack:

        def make(blocks: int = 256) -> Disk:
            pty = stack.enter_context(PtyBoard(tmp_path / "board", heap="4M"))
            link = stack.enter_context(Board.open(pty.port))
            link.exec(DISK.replace("BLOCKS", str(blocks)))
            return Disk(link, pty)

        yield make


def fill(link: Board, folder: str, left: int) -> None:
    """Fill a board's disk up to `left` bytes."""
    link.exec(
        f"import os\nv = os.statvfs({folder!r})\nn = v[1] * v[4] - {left}\n"
        f"with open({folder!r} + '/fill', 'wb') as f:\n"
        " while n > 0:\n  n -= f.write(bytes(min(n, 1024)))",
        timeout=60,
    )


RULE_NAMES = ("__init__", "float64", "meaning", "readout", "scaling", "sections")
RULES = {f"/lib/ulnn_rules/{name}.mpy" for name in RULE_NAMES}
RULES_ANSWER = f"{ulnn_rules.__version__} 6 2"


def uses_rules(link: Board, model: str) -> str:
    """What a program prints that uses the rules as on a PC."""
    return link.exec(
        "import ulnn_rules\nfrom ulnn_rules import readout, scaling\n"
        f"s = scaling.Scaling({model!r})\n"
        "print(ulnn_rules.__version__, s.input_size, readout.argmax([-3, 1, 7, 7]))"
    ).strip()


@needs_micropython
def test_new_same_changed(disk: Callable[..., Disk], pure_only: None, tmp_path: Path) -> None:
    there = disk()
    path = model_file(tmp_path)
    report = deploy(there.link, path)
    assert [i.status for i in report.plan.items] == ["new"] * (3 + len(RULES))
    assert report.engine == "pure"
    assert report.self_test == 12
    assert report.info["sha256"] == container.read(path.read_bytes()).sha256
    assert any("no compiler for x64" in w for w in report.plan.warnings)
    files = there.files()
    assert set(files) == {"/lib/ulnn.mpy", "/lib/ulnn_stream.mpy", "/models/m.ulnn", *RULES}
    assert files["/models/m.ulnn"] == path.stat().st_size
    assert json.dumps(report.to_json())

    again = deploy(there.link, path)
    assert [i.status for i in again.plan.items] == ["same"] * (3 + len(RULES))
    assert not again.plan.to_send

    model_file(tmp_path, seed=2)
    changed = deploy(there.link, path)
    assert [i.status for i in changed.plan.items] == ["same"] * (2 + len(RULES)) + ["changed"]
    assert changed.self_test == 12
    assert uses_rules(there.link, "/ram/models/m.ulnn") == RULES_ANSWER


@needs_micropython
def test_dry_run_writes_nothing(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk()
    report = deploy(there.link, model_file(tmp_path), "/ram/deep/er/", dry_run=True)
    assert report.dry_run
    assert report.plan.model_path == "/ram/deep/er/m.ulnn"
    assert there.files() == {}


@needs_micropython
def test_native_module_where_the_board_takes_one(
    disk: Callable[..., Disk], tmp_path: Path
) -> None:
    if not natmod.has_compiler("x64"):
        pytest.skip("no C compiler")
    there = disk()
    there.link.exec("os.mkdir('lib')\nopen('lib/ulnn.py', 'w').close()")
    report = deploy(there.link, model_file(tmp_path))
    assert report.engine == "native"
    assert report.plan.engine == "native, x64"
    assert report.plan.hiding == ("/ram/lib/ulnn.py",)
    assert "/lib/ulnn.py" not in there.files()
    assert report.self_test == 12


@needs_micropython
def test_native_module_that_the_board_refuses(
    disk: Callable[..., Disk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "ulnn.mpy"
    wrong.write_bytes(b"M\x06\x0f\x1f" + bytes(20))
    monkeypatch.setattr(natmod, "find", lambda arch: wrong)
    report = deploy(disk().link, model_file(tmp_path))
    assert report.engine == "pure"
    assert "refuses the native module (ValueError: incompatible .mpy" in report.warnings[0]
    assert report.self_test == 12


@needs_micropython
def test_rules_in_the_way_of_the_rules(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk()
    path = model_file(tmp_path)
    deploy(there.link, path)
    there.link.exec(
        "import os\nfor n in ('scaling.py', '__init__.py', 'mine.py', 'readout.mpy.tmp'):\n"
        " open('lib/ulnn_rules/' + n, 'w').close()\n"
        "os.mkdir('ulnn_rules')\nos.remove('lib/ulnn_rules/readout.mpy')"
    )
    plan = make_plan(there.link, path)
    assert {i.path for i in plan.to_send} == {"/ram/lib/ulnn_rules/readout.mpy"}
    assert plan.stale == ("/ram/lib/ulnn_rules/readout.mpy.tmp",)
    assert sorted(plan.hiding) == [f"/ram/lib/ulnn_rules/{n}.py" for n in ("__init__", "scaling")]
    hidden = "/ulnn_rules may hide /ram/lib/ulnn_rules/__init__.mpy"
    assert [w for w in plan.warnings if w.startswith(hidden)]
    there.link.exec("os.rmdir('ulnn_rules')")
    deploy(there.link, path)
    assert set(there.files()) >= RULES | {"/lib/ulnn_rules/mine.py"}
    assert uses_rules(there.link, "/ram/models/m.ulnn") == RULES_ANSWER


@needs_micropython
def test_rules_in_the_firmware(disk: Callable[..., Disk]) -> None:
    """A firmware's own rules come first, so nothing is sent; older ones are named."""
    identity = planning.identify(disk().link)
    assert identity.rules is None
    assert planning.rule_files(replace(identity, rules=ulnn_rules.__version__)) == ((), ())
    files, warnings = planning.rule_files(replace(identity, rules="0.0.1"))
    assert files == ()
    assert warnings == (
        f"the firmware's frozen ulnn_rules has version 0.0.1, this program "
        f"{ulnn_rules.__version__}",
    )


@needs_micropython
def test_files_that_are_in_the_way(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk()
    # A file that stays open is closed by the collector, where a disk in Python cannot allocate.
    there.link.exec(
        "for name, text in (('ulnn.py', 'ENGINE = \"mine\"'), ('main.py', 'print(1)')):\n"
        " with open(name, 'w') as f:\n"
        "  f.write(text)"
    )
    plan = make_plan(there.link, model_file(tmp_path))
    assert any(w.startswith("/ulnn.py may hide /ram/lib/ulnn.mpy") for w in plan.warnings)
    assert plan.hiding == ()
    with pytest.raises(DeployError, match="does not work on the board: AttributeError") as caught:
        deploy(there.link, tmp_path / "m.ulnn")
    assert caught.value.status == 5
    assert there.files()["/main.py"] == 8
    assert "/ulnn.py" in there.files()


# ---- no space, bad files, pulled plugs ----------------------------------------------------------


@needs_micropython
def test_no_space_is_found_before_writing(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk(24)
    with pytest.raises(NoSpaceError, match="nothing was written; delete files") as caught:
        deploy(there.link, model_file(tmp_path))
    assert caught.value.status == 4
    assert re.search(r"\d+ bytes to send, \d+ free", str(caught.value))
    assert there.files() == {}


@needs_micropython
def test_no_space_while_writing_leaves_the_old_file(
    disk: Callable[..., Disk],
    pure_only: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = disk()
    monkeypatch.setattr(planning, "_check_space", lambda board, plan: None)
    there.link.make_folders("/ram/models/m.ulnn")
    there.link.write_file("/ram/models/m.ulnn", b"old")
    fill(there.link, "/ram", 19000)
    path = model_file(tmp_path)
    path.write_bytes(container.write(random_model(3, Shape(inputs=6, hidden=64, outputs=4))))
    with pytest.raises(UlnnError, match=r"no space left for /ram/(models|lib)/"):
        deploy(there.link, path)
    assert there.files()["/models/m.ulnn"] == 3
    assert not [name for name in there.files() if name.endswith(".tmp")]


@needs_micropython
def test_unplugged_while_deploying(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk()
    path = model_file(tmp_path)
    with pytest.raises(UlnnError, match="plugged in"):
        deploy(there.link, path, progress=lambda *_: there.pty.unplug())
    again = disk()
    stale = ("/ram/lib/ulnn.mpy.tmp", "/ram/lib/ulnn_old.py.tmp", "/ram/models/old.ulnn.tmp")
    for name in (*stale, "/ram/lib/mine.tmp"):
        again.link.make_folders(name)
        again.link.exec(f"open({name!r}, 'w').close()")
    report = deploy(again.link, path)
    assert set(report.plan.stale) == set(stale)
    assert [n for n in again.files() if n.endswith(".tmp")] == ["/lib/mine.tmp"]


@needs_micropython
def test_stopped_while_deploying(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    """Ctrl-C on the PC."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    there = disk()
    with pytest.raises(KeyboardInterrupt):
        deploy(there.link, model_file(tmp_path), progress=stop)
    assert there.files() == {}


def test_damaged_model_is_refused_here(tmp_path: Path) -> None:
    path = model_file(tmp_path)
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.raises(UlnnError, match=r"m\.ulnn: CRC32 does not match: the file is damaged"):
        container.read_file(path)
    with pytest.raises(UlnnError, match="no such file; expected a model made by"):
        container.read_file(tmp_path / "none.ulnn")


# ---- the command --------------------------------------------------------------------------------


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )


def test_command_errors_are_one_line(tmp_path: Path) -> None:
    path = model_file(tmp_path)
    done = run_tool("--port", "/dev/ttyNONE", str(path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: port /dev/ttyNONE: there is no such port")
    assert done.stderr.count("\n") == 1
    assert "Traceback" in run_tool("--port", "/dev/ttyNONE", str(path), "--debug").stderr
    assert run_tool("--port", "/dev/ttyNONE").returncode == 2
    done = run_tool("--port", "/dev/ttyNONE", str(tmp_path / "none.ulnn"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Example: ulnn deploy" in run_tool("--help").stdout


@needs_micropython
def test_command(tmp_path: Path) -> None:
    path = model_file(tmp_path)
    with PtyBoard(tmp_path / "board", heap="4M") as pty:
        to = f"{tmp_path}/board/models/"
        arguments = ("--port", pty.port, str(path), "--to", to, "--pure")
        dry = run_tool(*arguments, "--dry-run")
        assert dry.returncode == 0
        assert "dry run: nothing was written" in dry.stdout
        done = run_tool(*arguments)
        assert done.returncode == 0, done.stderr
        assert "self test: 12 steps equal" in done.stdout
        again = run_tool(*arguments, "--json")
        content = json.loads(again.stdout)
        assert content["self_test_steps"] == 12
        assert {f["status"] for f in content["files"]} == {"same"}
    assert (tmp_path / "board/models/m.ulnn").read_bytes() == path.read_bytes()


# ---- boards -------------------------------------------------------------------------------------


@pytest.mark.board
@pytest.mark.parametrize(
    ("name", "expected"), [("cortex-m7", "native, armv7emdp"), ("rv32", "native, rv32imc")]
)
def test_virtual_boards(name: str, expected: str, tmp_path: Path) -> None:
    need_tools(name)
    path = model_file(tmp_path)
    with Board.open(f"virtual:{name}") as link:
        report = deploy(link, path)
        assert report.plan.engine == expected
        assert (report.engine, report.self_test) == ("native", 12)
        assert report.plan.board.rules == ulnn_rules.__version__
        assert uses_rules(link, report.plan.model_path) == RULES_ANSWER
        assert not deploy(link, path).plan.to_send
        fill(link, "/", 5 * 4096)
        with pytest.raises(NoSpaceError, match="nothing was written"):
            deploy(link, model_file(tmp_path, 2, "other.ulnn"))
        assert not [n for n in link.eval("os.listdir('/models')") if n != "m.ulnn"]
        assert deploy(link, path).self_test == 12
