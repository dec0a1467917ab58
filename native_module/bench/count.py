"""Counts what a step costs: instructions in QEMU, modelled cycles, code, stack, memory.

python native_module/bench/count.py     # build/bench/kernels.json, native_module/BENCHMARKS.md
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any

from count_bands import count_bands
from count_calls import count_calls
from count_kernels import count_all
from count_machines import CMSIS_VARIABLE, CORTEX_M7, available
from count_report import recorded_peers, render
from ulnn_host.base.errors import UlnnError
from ulnn_host.base.paragraphs import wrapped
from ulnn_host.base.paths import project_root


def main() -> None:
    """Writes build/bench/kernels.json and native_module/BENCHMARKS.md."""
    root = project_root()
    folder = root / "build" / "bench"
    counts = count_all(folder)
    if not os.environ.get(CMSIS_VARIABLE):
        counts += recorded_peers()
    calls = count_calls() if available(CORTEX_M7) else []
    bands = count_bands() if available(CORTEX_M7) else []
    listed: list[dict[str, Any]] = [asdict(count) for count in counts]
    listed += calls + bands
    (folder / "kernels.json").write_text(json.dumps(listed, indent=1) + "\n")
    target = root / "native_module" / "BENCHMARKS.md"
    target.write_text(wrapped(render(counts, calls, bands)))
    print(f"{folder / 'kernels.json'}\n{target}")


if __name__ == "__main__":
    try:
        main()
    except UlnnError as error:
        sys.exit(f"error: {error}")
