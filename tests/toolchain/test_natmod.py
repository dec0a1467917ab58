"""Native modules: their builds, and the choice for a board."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ulnn_host.base import paths
from ulnn_host.base.errors import UlnnError
from ulnn_host.toolchain import natmod
from ulnn_host.toolchain.micropython_source import find_micropython

COMPILED = [arch for arch in natmod.BUILDABLE if arch != "xtensawin"]


@pytest.mark.parametrize("arch", COMPILED)
def test_builds(arch: str) -> None:
    if not natmod.has_compiler(arch):
        pytest.skip(f"no {natmod.TOOLCHAINS[arch].compiler} here")
    path = natmod.build(arch)
    head = path.read_bytes()[:3]
    assert head[:2] == b"M\x06"
    assert natmod.ARCHES[head[2] >> 2 & 15] == arch
    assert head[2] & 3 == 3
    if arch.startswith("arm"):
        assert natmod.text_size(arch) <= 21 * 1024  # features take 3.4 KB of it
    written = path.stat().st_mtime_ns
    assert natmod.build(arch) == path
    assert path.stat().st_mtime_ns == written, "built again without a reason"


@pytest.mark.parametrize("arch", [arch for arch in COMPILED if arch.startswith("arm")])
def test_a_build_with_fewer_cells_is_small(arch: str) -> None:
    if not natmod.has_compiler(arch):
        pytest.skip(f"no {natmod.TOOLCHAINS[arch].compiler} here")
    assert natmod.build(arch, "cfc") != natmod.build(arch)
    assert natmod.text_size(arch, "cfc") <= 12 * 1024


def test_unknown_cells() -> None:
    with pytest.raises(UlnnError, match="cells 'gru': expected cfc, or nothing"):
        natmod.build("x64", "gru")


def test_an_unknown_architecture() -> None:
    with pytest.raises(UlnnError, match="native architecture 'z80': expected one of x64"):
        natmod.build("z80")


def test_a_missing_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(natmod.TOOLCHAINS, "x64", natmod.Toolchain("no-gcc", "gcc"))
    with pytest.raises(UlnnError, match=r"no no-gcc here.*apt-get install gcc"):
        natmod.build("x64")


def newer_tree(folder: Path) -> Path:
    """The MicroPython tree with the folder and the compiler of 1.29's make rules."""
    tree = find_micropython()
    folder.mkdir()
    for path in tree.iterdir():
        if path.name != "py":
            (folder / path.name).symlink_to(path)
    shutil.copytree(tree / "py", folder / "py")
    rules = folder / "py" / "dynruntime.mk"
    text = rules.read_text()
    for old, new in (
        ("BUILD ?= build\n", "BUILD ?= build-$(ARCH)\n"),
        ("# x64\nCROSS =\n", "# x64\nCROSS = x86_64-linux-gnu-\n"),
    ):
        assert old in text or new in text
        text = text.replace(old, new)
    rules.write_text(text)
    return folder


@pytest.mark.parametrize("newer", [False, True], ids=["this tree", "1.29's rules"])
def test_a_build_that_fails(newer: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if newer:
        monkeypatch.setenv("MPY_DIR", str(newer_tree(tmp_path / "tree")))
    natmod.build("x64")
    fake = tmp_path / "gcc"
    fake.write_text("#!/bin/sh\n[ $1 = --version ] && exit 0\necho 'a.c:1: error: no'; exit 1\n")
    fake.chmod(0o755)
    # In a folder of its own: other tests use the module meanwhile.
    monkeypatch.setattr(natmod, "_folder", lambda arch, cells: tmp_path / arch)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        with pytest.raises(UlnnError, match=r"for x64 failed: a\.c:1: error: no"):
            natmod.build("x64")
    assert natmod.build("x64").is_file()


@pytest.mark.parametrize(
    ("arch", "best"),
    [
        ("armv7emdp", ("armv7emdp", "armv7emsp", "armv7m", "armv6m")),
        ("armv7emsp", ("armv7emsp", "armv7m", "armv6m")),
        ("armv7em", ("armv7m", "armv6m")),
        ("armv6m", ("armv6m",)),
        ("rv32imc", ("rv32imc",)),
        ("xtensawin", ("xtensawin",)),
        ("x86", ()),
    ],
)
def test_what_a_board_accepts(arch: str, best: tuple[str, ...]) -> None:
    assert natmod.accepted(arch) == best
    index = next(number for number, name in natmod.ARCHES.items() if name == arch)
    assert natmod.choose(index << 10 | 3 << 8 | 6) == next(iter(best), None)


def test_choice_from_what_boards_say() -> None:
    assert natmod.choose(2822) == "x64"  # the unix port
    assert natmod.choose(208646) is None or natmod.arch_name(208646) == "rv32imc"  # with flags
    assert natmod.choose(8 << 10 | 2 << 8 | 6) is None  # .mpy 6.2
    assert natmod.choose(3 << 8 | 6) is None  # no native code
    assert natmod.choose(None) is None
    assert natmod.choose(0) is None


def test_without_a_checkout_the_copy_in_the_package_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = tmp_path / "natmod" / "armv6m" / "ulnn.mpy"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"M")
    assert natmod.find("x64") == natmod.build("x64")
    monkeypatch.setattr(paths, "COPIES", tmp_path)
    monkeypatch.setattr(paths, "checkout", lambda: None)
    monkeypatch.setattr(natmod, "checkout", lambda: None)
    assert natmod.find("armv6m") == copy
    with pytest.raises(UlnnError, match=r"natmod/armv6m-cfc/ulnn\.mpy is not in this"):
        natmod.find("armv6m", "cfc")
