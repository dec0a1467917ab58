"""Deployment to the unix MicroPython with a real littlefs in RAM, and to the virtual boards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import ulnn_rules
from support.board_tools import RULE_NAMES, model_file, need_tools
from support.paths import ROOT
from support.pty_board import PtyBoard
from support.ram_disk import Disk, fill, forget_modules, sha_of_model
from support.random_models import Shape, random_model
from support.unix import needs_micropython
from ulnn_host.base.errors import UlnnError
from ulnn_host.board import plan as planning
from ulnn_host.board.deploy import DeployError, NoSpaceError, deploy, make_plan
from ulnn_host.board.deployed import listing, rollback
from ulnn_host.board.identity import identify
from ulnn_host.board.link import Board
from ulnn_host.format import container
from ulnn_host.toolchain import bytecode, natmod

TOOL = ROOT / "tools" / "deploy.py"


RULES = {f"ulnn_rules/{name}.mpy" for name in RULE_NAMES}
STUBS = {
    "/lib/ulnn_boot.mpy",
    "/lib/ulnn.mpy",
    "/lib/ulnn_stream.mpy",
    "/lib/ulnn_rules/__init__.mpy",
}
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
    assert {i.name for i in report.plan.items} == {
        "ulnn.mpy", "ulnn_stream.mpy", "/ram/models/m.ulnn", *RULES,
    }  # fmt: skip
    files = there.files()
    stored = {i.path.removeprefix("/ram") for i in report.plan.items}
    numbers = {f"/lib/ulnn_versions/2.{end}" for end in ("json", "ok")}
    assert set(files) == {*STUBS, *stored, *numbers, "/models/m.ulnn"}
    assert files["/models/m.ulnn"] == path.stat().st_size
    assert json.dumps(report.to_json())

    again = deploy(there.link, path)
    assert [i.status for i in again.plan.items] == ["same"] * (3 + len(RULES))
    assert not again.plan.to_send
    assert (report.deployed, again.deployed) == (2, 2)

    model_file(tmp_path, seed=2)
    changed = deploy(there.link, path)
    assert [i.status for i in changed.plan.items] == ["same"] * (2 + len(RULES)) + ["changed"]
    assert (changed.self_test, changed.deployed) == (12, 3)
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
def test_files_in_the_way_of_the_stubs(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk()
    path = model_file(tmp_path)
    deploy(there.link, path)
    there.link.exec(
        "import os\nfor n in ('scaling.py', '__init__.py', 'mine.py', 'readout.mpy.tmp'):\n"
        " open('lib/ulnn_rules/' + n, 'w').close()\n"
        "os.mkdir('ulnn_rules')"
    )
    plan = make_plan(there.link, path)
    assert not plan.to_send
    assert plan.stale == ("/ram/lib/ulnn_rules/readout.mpy.tmp",)
    assert plan.hiding == ("/ram/lib/ulnn_rules/__init__.py",)
    assert plan.leftover == ("/ram/lib/ulnn_rules/scaling.py",)
    hidden = "/ulnn_rules may hide /ram/lib/ulnn_rules/__init__.mpy"
    assert [w for w in plan.warnings if w.startswith(hidden)]
    there.link.exec("os.rmdir('ulnn_rules')")
    deploy(there.link, path)
    files = set(there.files())
    assert files >= {"/lib/ulnn_rules/mine.py", *STUBS}
    assert not files & {f"/lib/ulnn_rules/{n}.py" for n in ("scaling", "__init__")}
    assert uses_rules(there.link, "/ram/models/m.ulnn") == RULES_ANSWER


@needs_micropython
def test_a_module_copied_by_hand_over_a_stub_is_the_one_that_runs(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk()
    path = model_file(tmp_path)
    deploy(there.link, path)
    mine = bytecode.find("ulnn.py")
    there.link.write_file("/ram/lib/ulnn.mpy", mine)
    forget_modules(there)
    assert there.link.eval("__import__('ulnn').__name__") == "ulnn"
    assert not there.link.eval("'ulnn_boot' in __import__('sys').modules")
    report = deploy(there.link, path)
    assert [p for p, _ in report.plan.stubs] == ["/ram/lib/ulnn.mpy"]
    assert there.files()["/lib/ulnn.mpy"] < 100


@needs_micropython
@pytest.mark.parametrize("damaged", ["ulnn_boot.mpy", "ulnn.mpy", "ulnn_versions/2.json", "model"])
def test_a_damaged_file_of_a_deployment_is_mended_by_the_next(
    damaged: str, disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk()
    path = model_file(tmp_path)
    first = deploy(there.link, path)
    name = first.plan.items[-1].path if damaged == "model" else f"/ram/lib/{damaged}"
    there.link.exec(
        f"with open({name!r}, 'r+b') as f:\n f.seek(40)\n c = f.read(1)[0]\n f.seek(40)\n"
        " f.write(bytes([c ^ 4]))"
    )
    again = deploy(there.link, path)
    assert (again.self_test, there.files()["/models/m.ulnn"]) == (12, path.stat().st_size)
    assert [v.whole for v in listing(there.link)][:1] == [True]
    assert not deploy(there.link, path).plan.to_send


@needs_micropython
def test_flat_files_of_an_older_deployment_become_the_version_before(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk(512)
    old, new = model_file(tmp_path, 1, "old.ulnn"), model_file(tmp_path, 2)
    for name in ("ulnn", "ulnn_stream", *(n.removesuffix(".mpy") for n in RULES)):
        there.link.make_folders(f"/ram/lib/{name}")
        there.link.write_file(f"/ram/lib/{name}.mpy", bytecode.find(f"{name}.py"))
    there.link.make_folders("/ram/models/m.ulnn")
    there.link.write_file("/ram/models/m.ulnn", old.read_bytes())
    report = deploy(there.link, new)
    assert [i.name for i in report.plan.to_send] == ["/ram/models/m.ulnn"]  # the rest is copied
    assert sorted(report.plan.leftover) == sorted(
        f"/ram/lib/{name}" for name in RULES if "__init__" not in name
    )
    assert set(there.files()) >= STUBS
    assert not [n for n in there.files() if n.startswith("/lib/ulnn_rules/") and n not in STUBS]
    assert rollback(there.link).now.number == 1
    assert there.files()["/models/m.ulnn"] == old.stat().st_size
    assert sha_of_model(there) == container.read(old.read_bytes()).sha256


@needs_micropython
def test_rules_in_the_firmware(disk: Callable[..., Disk]) -> None:
    """A firmware's own rules come first, so nothing is sent; older ones are named."""
    identity = identify(disk().link)
    assert identity.rules is None
    names = {"ulnn_rules/scaling", "ulnn_app/loop"}
    assert [file[0] for file in planning.package_files(identity, names)] == [
        *("/ram/lib/ulnn_app/loop.mpy", "/ram/lib/ulnn_rules/scaling.mpy"),
    ]
    frozen = replace(identity, rules=ulnn_rules.__version__)
    assert len(planning.package_files(frozen, names)) == 1
    assert planning.outdated(frozen) == ()
    assert planning.outdated(replace(identity, rules="0.0.1")) == (
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
    assert "nothing is deployed now" in str(caught.value)
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
    assert re.search(r"\d+ bytes to send, .* \d+ free", str(caught.value))
    assert there.files() == {}


@needs_micropython
def test_no_space_while_writing_leaves_the_old_file(
    disk: Callable[..., Disk],
    pure_only: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = disk()
    monkeypatch.setattr(planning, "_with_room", lambda board, plan: plan)
    there.link.make_folders("/ram/models/m.ulnn")
    there.link.write_file("/ram/models/m.ulnn", b"old")
    fill(there.link, "/ram", 19000)
    path = model_file(tmp_path)
    path.write_bytes(container.write(random_model(3, Shape(inputs=6, hidden=64, outputs=4))))
    with pytest.raises(NoSpaceError, match=r"no space left on the board's disk"):
        deploy(there.link, path)
    assert set(there.files()) == {"/models/m.ulnn", "/fill"}
    assert there.files()["/models/m.ulnn"] == 3


@needs_micropython
def test_unplugged_while_deploying(
    disk: Callable[..., Disk], pure_only: None, tmp_path: Path
) -> None:
    there = disk()
    path = model_file(tmp_path)
    with pytest.raises(UlnnError, match="plugged in"):
        deploy(there.link, path, progress=lambda *_: there.pty.unplug())
    again = disk()
    stale = ("/ram/lib/ulnn.mpy.tmp", "/ram/models/old.ulnn.tmp",
             "/ram/lib/ulnn_versions/incoming", "/ram/lib/ulnn_versions/9.ok")  # fmt: skip
    for name in (*stale, "/ram/lib/mine.tmp"):
        again.link.make_folders(name)
        again.link.exec(f"open({name!r}, 'w').close()")
    report = deploy(again.link, path)
    assert set(report.plan.stale) == set(stale)
    assert [n for n in again.files() if n.endswith((".tmp", "incoming", "9.ok"))] == [
        "/lib/mine.tmp"
    ]


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
        assert [v.whole for v in listing(link)] == [True]
        assert deploy(link, path).self_test == 12
