"""What an accelerometer measures at a hand that nods (up and down) or shakes (from side to side),
to try host/docs/tutorial.md without a sensor: a virtual board replays it.

    python host/examples/gestures.py [FOLDER]

makes sensor/ in FOLDER: for each gesture of three people a recording and the settings of a source
that replays it, and one person more, who does both twice, with the settings of an app.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# turns a second, how strong (g) and along which axis
GESTURES = {"nod": (1.6, 0.5, 1), "shake": (3.2, 0.9, 0)}
PEOPLE = ("p1", "p2", "p3")
RATE = 50  # Hz
SECONDS = 5


def moved(rng: np.random.Generator, gesture: str) -> NDArray[np.float64]:
    """Acceleration (samples, 3) in g of one person's gesture."""
    speed, strength, axis = GESTURES[gesture]
    t = np.arange(SECONDS * RATE) / RATE
    phase = 2 * np.pi * speed * rng.uniform(0.9, 1.1) * t + rng.uniform(0, 6)
    x = 0.03 * rng.normal(size=(len(t), 3)) + [0, 0, 1]
    x[:, axis] += strength * rng.uniform(0.8, 1.2) * np.sin(phase)
    x[:, 2] += strength / 4 * np.sin(2 * phase)
    return np.asarray(x)


def write(path: Path, x: NDArray[np.float64]) -> None:
    """A CSV with the time in ms."""
    lines = ["time_ms,ax,ay,az"]
    lines += [f"{1000 * k // RATE},{a:.4f},{b:.4f},{c:.4f}" for k, (a, b, c) in enumerate(x)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(folder: Path) -> None:
    """Write all files."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for person in PEOPLE:
        for gesture in GESTURES:
            name = f"{gesture}_{person}"
            write(folder / f"{name}.csv", moved(rng, gesture))
            source = {"kind": "replay", "file": f"{name}.csv", "pace": "fast"}
            (folder / f"{name}.json").write_text(json.dumps(source) + "\n")
    twice = (*GESTURES, *GESTURES)
    write(folder / "new.csv", np.concatenate([moved(rng, gesture) for gesture in twice]))
    app = {"source": {"kind": "replay", "file": "new.csv", "pace": "fast"}}
    (folder / "app.json").write_text(json.dumps(app) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "sensor")
