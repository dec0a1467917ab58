"""What `Board.write_file` runs on a board to name a new file, on a filesystem like FAT."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.unix import needs_micropython, unix
from ulnn_host.board.link import _RENAME

# A filesystem that does not rename over a file; its FAULT-th change fails with the error ERRNO, or
# with a power cut (None).
FAT = """
import sys
class Cut(BaseException):
    pass
class Fat:
    def __init__(self, files, fault, errno):
        self.files, self.left, self.errno = dict(files), fault, errno
    def _change(self):
        self.left -= 1
        if self.left == 0 and self.errno:
            raise OSError(self.errno)
        if self.left <= 0 and not self.errno:
            raise Cut
    def rename(self, a, b):
        self._change()
        if a not in self.files:
            raise OSError(2)
        if b in self.files:
            raise OSError(17)
        self.files[b] = self.files.pop(a)
    def remove(self, a):
        if a not in self.files:
            raise OSError(2)
        self._change()
        del self.files[a]
def run(files, fault, errno):
    fat = sys.modules["os"] = Fat(files, fault, errno)
    scope = {}
    exec(RENAME, scope)
    try:
        scope["_ren"]("m.tmp", "m")
        said = "done"
    except OSError as e:
        said = "OSError %d" % e.args[0]
    except Cut:
        said = "cut"
    print(repr((said, fat.files)))
"""


def replaced(
    folder: Path, files: dict[str, str], fault: int = 99, number: int | None = None
) -> tuple[str, dict[str, str]]:
    """How it ended, and what there is after it."""
    call = f"RENAME = {_RENAME!r}\nrun({files!r}, {fault}, {number!r})\n"
    (folder / "fat.py").write_text(FAT + call)
    said, there = eval(unix("fat.py", cwd=folder))
    return said, there


@needs_micropython
def test_a_new_file_takes_the_place_of_the_old(tmp_path: Path) -> None:
    for others in ({}, {"m": "old"}, {"m": "old", "m.old": "older"}):
        assert replaced(tmp_path, {"m.tmp": "new", **others}) == ("done", {"m": "new"})


@needs_micropython
@pytest.mark.parametrize("number", [5, 28, 30])  # EIO, ENOSPC, EROFS
def test_the_old_file_stays_when_rename_fails_for_another_reason(
    tmp_path: Path, number: int
) -> None:
    said, there = replaced(tmp_path, {"m": "old", "m.tmp": "new"}, 1, number)
    assert (said, there) == (f"OSError {number}", {"m": "old", "m.tmp": "new"})


@needs_micropython
def test_the_old_file_stays_when_the_new_one_does_not_get_its_name(tmp_path: Path) -> None:
    """The first change is refused, since the file is there; the third is the second try."""
    said, there = replaced(tmp_path, {"m": "old", "m.tmp": "new"}, 3, 5)
    assert (said, there) == ("OSError 5", {"m": "old", "m.tmp": "new"})


@needs_micropython
@pytest.mark.parametrize("fault", [1, 2, 3, 4, 5])
def test_a_power_cut_loses_no_file(tmp_path: Path, fault: int) -> None:
    _, there = replaced(tmp_path, {"m": "old", "m.tmp": "new"}, fault)
    assert there.get("m", there.get("m.old")) in ("old", "new")
    assert "new" in there.values()
