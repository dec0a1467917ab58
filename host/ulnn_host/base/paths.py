"""Where the project's own files are: in a checkout, or as copies in the installed package."""

from __future__ import annotations

from pathlib import Path

from .errors import UlnnError

PACKAGE = Path(__file__).resolve().parents[1]
COPIES = PACKAGE / "board_files"  # made by `make dist`, only in wheels


def checkout() -> Path | None:
    """The checkout that this package lies in; None when it is installed without one."""
    root = PACKAGE.parents[1]
    return root if (root / "boards" / "qemu" / "Makefile").is_file() else None


def project_root() -> Path:
    """The checkout that this package lies in. Raises UlnnError when there is none."""
    root = checkout()
    if root is None:
        raise UlnnError(
            f"{PACKAGE} is not in a checkout of ulnn, which this needs: clone the repository and "
            "run make setup"
        )
    return root


def board_files(name: str) -> Path:
    """A file for boards: `firmware/ulnn.py`, `firmware/ulnn_rules`, ...; the checkout's, else the
    package's copy. Only copies: `bytecode/ulnn.mpy`, `natmod/x64/ulnn.mpy`, ... Raises UlnnError
    when there is neither.
    """
    root = checkout()
    found = [place / name for place in (root, COPIES) if place and (place / name).exists()]
    if not found:
        raise UlnnError(
            f"{name} is not in this installation: install a wheel of ulnn that `make dist` made"
        )
    return found[0]
