"""Logs as a phone writes them, to try the five commands of the README: one CSV for each person,
times in ms, a word for what the person does.

    python host/examples/takes.py [FOLDER]

makes takes/ (five people) and new/ (one more) in FOLDER. Samples come every 18 to 22 ms, and now
and then some are missing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

# steps a second and how strongly they shake the phone, in g
WHAT = {"rest": (0.0, 0.05), "walk": (1.8, 0.6), "run": (2.8, 1.4)}
PEOPLE = {"takes": ("anna", "bob", "cem", "dora", "eve"), "new": ("fay",)}
SAMPLES = 250  # of each thing that a person does
TIMES = 4  # each person does each thing this often


def take(rng: np.random.Generator) -> str:
    """The CSV of one person."""
    lines, time, phase = ["timestamp_ms,ax,ay,az,what"], 0, 0.0
    for what in np.concatenate([rng.permutation(list(WHAT)) for _ in range(TIMES)]):
        speed, strength = np.array(WHAT[what]) * rng.uniform(0.85, 1.15, 2)
        for _ in range(SAMPLES):
            step = int(rng.integers(18, 23))
            if rng.random() < 0.02:
                step += int(rng.integers(40, 200))
            time, phase = time + step, phase + 2 * np.pi * speed * step / 1000
            shake = strength * np.array([np.sin(phase), np.cos(2 * phase), np.sin(phase + 1) / 2])
            ax, ay, az = shake + [0, 0, 1] + 0.1 * rng.normal(size=3)
            lines.append(f"{time},{ax:.4f},{ay:.4f},{az:.4f},{what}")
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    """Write the files of all people."""
    rng = np.random.default_rng(0)
    for name, people in PEOPLE.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for person in people:
            (folder / name / f"{person}.csv").write_text(take(rng), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
