"""What warns longest before machines fail: on machines for development, on five others that are
looked at once, and on the MFPT recordings. Writes host/docs/machines.md. `make bench-machines`,
or: python host/bench/bench_machines.py --seeds 1 --output machines.md
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ulnn_host.base import console, files
from ulnn_host.base.paragraphs import wrapped
from ulnn_host.base.paths import project_root
from ulnn_host.base.progress import bar
from ulnn_host.data import lives, machines
from ulnn_host.data.features import read_recipe as read_features
from ulnn_host.experiments import maintain, mixes
from ulnn_host.experiments.compare import FEW
from ulnn_host.experiments.maintain import Judged, Maintained, Plan
from ulnn_host.experiments.mixes import NEVER, Mixes, Seen
from ulnn_host.report import maintain_picture, pictures
from ulnn_host.report.maintain_text import ends, table
from ulnn_host.report.scores_text import Cells
from ulnn_host.train import recipe
from ulnn_host.train.model_recipe import ModelRecipe

TARGET, PICTURE = "host/docs/machines.md", "machines.png"
SEEDS = 5
STATE = "acc rms > 9"
ON_MIXES = {"hidden": 16, "epochs": 60, "batch": 8}  # two recordings are few sequences
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def networks(**keys: int) -> dict[str, recipe.Recipe]:
    """The recipes of both networks, of the same neurons."""
    made = recipe.read_recipe(recipe.RECIPES / "machines.toml", keys)
    plain = ModelRecipe(cell="gru", hidden=made.model.hidden, readout="each")
    return {"cfc": made, "gru": replace(made, model=plain)}


def on_lives(seeds: int, cache: Path) -> tuple[Maintained, Judged]:
    """On the machines for development, and on the five others."""
    features = read_features(recipe.RECIPES / "machines_features.toml")
    state = lives.State.parse(STATE)
    with bar("machines", lines=True) as shown:
        made = lives.generated("development", features, state)
        found = maintain.maintain(made, networks(), Plan(seeds=seeds), cache, shown.update)
    return found, maintain.judge(found, lives.generated("final", features, state))


def on_mixes(seeds: int, cache: Path) -> Mixes:
    """On the MFPT recordings."""
    features = read_features(recipe.RECIPES / "mfpt_features.toml")
    with bar("MFPT", lines=True) as shown:
        return mixes.mixes(features, networks(**ON_MIXES), seeds, cache, shown.update)


def page(found: Maintained, final: Judged, mixed: Mixes, seeds: int) -> str:
    """The document."""
    plan = found.judged.plan
    facts = {
        "seeds": f"{seeds} seed{'s' * (seeds > 1)}",
        "few": f" {seeds} seeds are too few for narrow intervals." * (1 < seeds < FEW),
        "rate": f"{plan.false_alarms:g}",
        "learn": f"{plan.learn:g}",
        "possible": f"{found.judged.possible:.2f}",
        "count": str(machines.COUNT["development"]),
        "picture": PICTURE,
    }
    text = HEAD
    for key, value in facts.items():
        text = text.replace(f"<{key}>", value)
    parts = [
        text, _markdown(table(found.judged)), f"**Chosen:** {found.why} {_place(found.judged)}",
        FINAL, _markdown(table(final)), _verdict(found, final), MIXES,
        _markdown(_shares(mixed)), _rank([entry.name for entry in _by_share(mixed)]), LIMITS,
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _markdown(cells: Cells) -> str:
    lines = [cells.header, ("---",) * len(cells.header), *cells.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _verdict(found: Maintained, final: Judged) -> str:
    best = max(final.entries, key=lambda entry: entry.warning.value)
    chosen = final.entry(found.chosen)
    return (
        f"Chosen was {found.chosen}, which warns {chosen.warning.value:.2f} days before these "
        f"failures; the longest here is {best.name} with {best.warning.value:.2f}. A fault lasts "
        f"{final.possible:.2f} days. {_place(final)}"
    )


def _place(judged: Judged) -> str:
    ordered = sorted(judged.entries, key=lambda entry: -entry.warning.value)
    return _rank([entry.name for entry in ordered])


def _rank(names: list[str]) -> str:
    return f"The CfC is number {names.index('cfc') + 1} of {len(names)}."


def _by_share(mixed: Mixes) -> list[Seen]:
    return sorted(mixed.entries, key=lambda entry: entry.mean.value)


def _shares(mixed: Mixes) -> Cells:
    rows = []
    for entry in _by_share(mixed):
        never = (entry.shares >= NEVER).mean()
        row = (entry.name, f"{entry.mean.value:.2f}", ends(entry.mean), f"{never:.0%}")
        rows.append((*row, "yes" if entry.silent else "no"))
    return Cells(("detector", "smallest share", "95 %", "never", "silent before"), tuple(rows))


HEAD = """# Machines: what warns before they fail

Written by `make bench-machines`; do not edit. `ulnn maintain` learns from healthy machines alone,
and compares days of warning before the failure at equal false alarms. Each detector is a score, in
the integers that a board computes ([features.md](features.md), `ulnn_rules.novelty`), and a
threshold that each machine itself teaches in its first <learn> running days. Rivals of the
networks: level (rms), kurtosis, the envelope at the three fault frequencies (three alarms side by
side), and a linear predictor of the next step, ridge in closed form. Networks predict the next
step, too; scores of predictors are their error. All models are int8. CfC and GRU have 24 neurons
and <seeds>. How it works: [maintain.md](maintain.md).

## The generated set: machines for development

`ulnn_host.data.machines`: pumps of one kind with a bearing that fails, a second of vibration every
half hour over 7 to 12 days: impulses at the fault frequency with slip and load zone, ring-down,
shaft, vanes, noise, knocks, changing loads, pauses (McFadden and Smith 1984, Randall and Antoni
2011). The hash of its samples was committed before there was a detector. <count> machines, each
held out once in five folds; thresholds are set such that each detector has at most <rate> false
alarms a day on the machines held out. A fault lasts <possible> days in the mean; machines without
an alarm count as 0 days. Intervals are of machines and seeds (hierarchical bootstrap); differences
are paired.<few>

![days of warning on each machine](<picture>)"""
FINAL = """## Five other machines, looked at once

Of another seed. All choices, settings of thresholds included, were made above; detectors are those
trained on all machines for development. False alarms are what they come to. Five machines make
wide intervals."""
MIXES = """## MFPT: shares of a real fault

17 faults of a bearing on a test rig, recorded (MFPT; CC BY-NC-SA 4.0, downloaded at a pinned hash,
`ulnn_host.data.mfpt`). There is no run to failure in them: shares of a fault, from 0.05 to 1 of
its amplitude, are mixed into a healthy recording. Models learn from one healthy recording,
thresholds from another, faults are mixed into the third, each of the three once. All detectors are
set to be silent on the healthy parts, with a margin of ten in the false alarms that are expected.
The figure is the smallest share with an alarm, the mean over faults, healthy recordings and seeds;
smaller is earlier; never counts as 1.2."""
LIMITS = """## What this does not say

* The generated set is a model: it has what its authors knew, and no machine's dirt. Days, and the
  order of detectors, depend on how its faults grow.
* False alarms are counted in some 50 days of watching, so a tenth a day is five of them.
* Between two snapshots a network's state begins at zero here. On a board that sleeps in between it
  goes on, with the elapsed time.
* 18 healthy seconds of MFPT say nothing about false alarms a day."""


@app.command()
def main(
    seeds: Annotated[int, typer.Option(help="trainings of each network")] = SEEDS,
    output: Annotated[Path | None, typer.Option(help="document to write")] = None,
    cache: Annotated[Path | None, typer.Option(help="folder of trainings that are done")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, too")] = False,
) -> None:
    """Judge all detectors; some ten minutes of one core.

    Example: python host/bench/bench_machines.py --seeds 1 --output machines.md
    """
    target = output or project_root() / TARGET
    files.check_output(target)
    folder = cache or project_root() / "build" / "bench" / "machines"
    found, final = on_lives(seeds, folder)
    mixed = on_mixes(seeds, folder)
    pictures.save(maintain_picture.picture(found.judged), target.parent / PICTURE)
    files.write(target, wrapped(page(found, final, mixed, seeds)))
    if as_json:
        both = {"development": found.to_dict(), "final": final.to_dict(), "mfpt": mixed.to_dict()}
        print(json.dumps(both, indent=2))
    typer.echo(f"wrote {target}", err=True)


if __name__ == "__main__":
    console.run(app, "bench_machines")
