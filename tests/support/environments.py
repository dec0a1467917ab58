"""Interpreters, and environments with a wheel and nothing else of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

STEPS = 40


def interpreters() -> dict[str, str]:
    """By version: the one that runs this, and 3.11 and 3.13 where they are."""
    own = "{}.{}".format(*sys.version_info)
    found = {own: str(Path(sys.base_prefix, "bin", f"python{own}"))}
    for version in ("3.11", "3.13"):
        name = f"python{version}"
        beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}*/bin/{name}"))
        for candidate in (shutil.which(name), *map(str, beside)):
            if candidate and _works(candidate):
                found.setdefault(version, candidate)
    return found


def _works(program: str) -> bool:
    """The name may be that of a version manager's, for a version that is not chosen."""
    return subprocess.run([program, "-c", "import venv"], capture_output=True).returncode == 0


INTERPRETERS = interpreters()
ENVIRONMENTS = [(version, "platform") for version in INTERPRETERS]
ENVIRONMENTS.append((next(iter(INTERPRETERS)), "pure"))


def make_dist(root: Path, out: Path) -> None:
    """`make dist` of a checkout into a folder."""
    command = [sys.executable, root / "tools" / "make_dist.py", "--out", out]
    folders = [str(root / "host"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, folders))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Environment:
    """A virtual environment with a wheel and what it depends on, and nothing else."""

    path: Path
    kind: str
    """`platform`, or `pure`: without the C extension."""

    @property
    def lib(self) -> Path:
        """All that is installed."""
        return self.path / "lib"

    def run(self, *words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        """A program of the environment; nothing else is in PATH, so there is no compiler."""
        program, *arguments = words
        return subprocess.run(
            [self.path / "bin" / program, *arguments],
            cwd=cwd,
            env={"PATH": str(self.path / "bin"), "HOME": str(cwd), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=300,
        )
