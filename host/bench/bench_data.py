"""Reading large tables: time beside `pyarrow.csv.open_csv` over the same file in the same run, and
memory. `make bench-data`; a minute and 1.3 GB of the temporary folder.

Each measurement is a process of its own. Memory is the peak of the whole process, interpreter
included; "above" is what it has beyond the arrays that are its result.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from ulnn_host.base import console

ROWS = 3_200_000
COLUMNS = 8  # the time among them
LARGE = 1 << 30  # bytes of the second file
ROUNDS = 3
KINDS = ("numbers", "labels", "recordings")

_PEAK = "import resource; peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024"
_OPEN_CSV = f"""
import json, sys, time
start = time.perf_counter()
import pyarrow.csv
rows = sum(batch.num_rows for batch in pyarrow.csv.open_csv(sys.argv[1]))
seconds = time.perf_counter() - start
{_PEAK}
print(json.dumps({{"seconds": seconds, "peak": peak, "result": 0, "torch": False}}))
"""
_READ = f"""
import json, sys, time
start = time.perf_counter()
from ulnn_host.data.logs import read_logs
from ulnn_host.data.options import DataOptions
keys = json.loads(sys.argv[2])
data = read_logs(sys.argv[1], DataOptions(**keys)).data
seconds = time.perf_counter() - start
{_PEAK}
arrays = [data.x, data.dt, data.length, data.y, data.group]
result = sum(values.nbytes for values in arrays if values is not None)
torch = "torch" in sys.modules
print(json.dumps({{"seconds": seconds, "peak": peak, "result": result, "torch": torch}}))
"""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@dataclass(frozen=True)
class Cost:
    """Best of some rounds. peak: bytes of the process; result: bytes of the arrays it made."""

    name: str
    seconds: float
    peak: int
    result: int

    @property
    def above(self) -> int:
        """Bytes beyond the result."""
        return self.peak - self.result


def write(path: Path, rows: int, kind: str, size: int = 0) -> int:
    """Write a table (until it has `size` bytes where that is given); its bytes."""
    rng = np.random.default_rng(0)
    width = COLUMNS - 1 - (kind != "numbers")
    with path.open("w") as file:
        names = [f"c{k}" for k in range(width)] + [kind] * (kind != "numbers")
        file.write(",".join(["timestamp", *names]) + "\n")
        time = done = 0
        while done < rows if not size else file.tell() < size:
            count = min(100_000, rows - done) if not size else 100_000
            times = time + np.cumsum(rng.integers(18_000, 22_000, count))
            values = rng.normal(size=(count, width))
            for k, row in enumerate(values.tolist(), done):
                word = {"labels": f",{'walk' if k // 5000 % 2 else 'run'}"}.get(kind, "")
                word = f",{k // 400_000}" if kind == "recordings" else word
                at = times[k - done] / 1e6
                file.write(f"{at:.6f}," + ",".join(f"{v:.5f}" for v in row) + word + "\n")
            time, done = int(times[-1]), done + count
    return path.stat().st_size


def measure(name: str, code: str, path: Path, keys: dict[str, object], rounds: int) -> Cost:
    """The best of some rounds, each a process."""
    found = []
    for _ in range(rounds):
        command = [sys.executable, "-c", code, str(path), json.dumps(keys)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout))
    if any(one["torch"] for one in found):
        raise SystemExit("error: torch was imported")
    best = min(found, key=lambda one: float(one["seconds"]))
    return Cost(name, best["seconds"], max(one["peak"] for one in found), best["result"])


def keys_of(kind: str) -> dict[str, object]:
    """How a kind of table is read."""
    if kind == "labels":
        return {"label": "labels", "per": "step"}
    return {"group": "recordings"} if kind == "recordings" else {}


@app.command()
def main(
    rows: Annotated[int, typer.Option(help="of the first table")] = ROWS,
    large: Annotated[int, typer.Option(help="bytes of the second; 0: none")] = LARGE,
    kind: Annotated[str, typer.Option(help="numbers, labels or recordings")] = "numbers",
    rounds: Annotated[int, typer.Option(help="the best counts")] = ROUNDS,
) -> None:
    """Measure and print."""
    out = Console(width=100)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        size = write(path, rows, kind)
        plain = measure("pyarrow.csv.open_csv", _OPEN_CSV, path, {}, rounds)
        ours = measure("ulnn", _READ, path, keys_of(kind), rounds)
        out.print(f"{rows:,} rows of {COLUMNS} columns ({kind}), {size / 1e6:.0f} MB")
        for cost in (plain, ours):
            out.print(f"  {cost.name}: {cost.seconds:.2f} s, peak {cost.peak / 1e6:.0f} MB")
        out.print(f"  {ours.seconds / plain.seconds:.2f} times as long")
        path.unlink()
        if large:
            size = write(path, 0, kind, large)
            cost = measure("ulnn", _READ, path, keys_of(kind), 1)
            out.print(
                f"{size / 1e9:.2f} GB: {cost.seconds:.1f} s, peak {cost.peak / 1e6:.0f} MB, "
                f"arrays {cost.result / 1e6:.0f} MB, above them {cost.above / 1e6:.0f} MB"
            )


if __name__ == "__main__":
    console.run(app)
