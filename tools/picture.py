#!/usr/bin/env python3
"""Write the README's picture, host/docs/report.png: the top of the report of the last `make demo`.

make demo && make picture        # needs Chromium: apt-get install chromium
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "build" / "demo" / "report.html"
PICTURE = ROOT / "host" / "docs" / "report.png"
SIZE = (1030, 725)


def main() -> None:
    """Takes the picture. Exit status 1 with one line where something is missing."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("error: no Chromium here, which takes the picture: apt-get install chromium")
    if not PAGE.exists():
        sys.exit(f"error: no {PAGE.relative_to(ROOT)}: make demo")
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder) / "report.png"
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--disable-background-networking", f"--user-data-dir={folder}/profile",
            f"--window-size={SIZE[0]},{SIZE[1]}", f"--screenshot={taken}", PAGE.as_uri(),
        ]  # fmt: skip
        subprocess.run(command, capture_output=True, check=False, timeout=120)
        if not taken.exists():
            sys.exit(f"error: {browser} wrote no picture of {PAGE}")
        shutil.copyfile(taken, PICTURE)
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
