"""The claim that a liquid network finds a machine's drift before a threshold does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

import bench_machines
from ulnn_host.base.errors import UlnnError
from ulnn_host.data import features, mfpt
from ulnn_host.data.lives import State, generated
from ulnn_host.experiments import hashes
from ulnn_host.experiments import maintain as maintaining
from ulnn_host.experiments import mixes as mixing
from ulnn_host.experiments.intervals import Bootstrap, Interval, Tallies, Tally
from ulnn_host.experiments.maintain import Judged, Plan
from ulnn_host.experiments.mixes import NEVER, Mixes
from ulnn_host.train import recipe
from ulnn_host.train.recipe import Recipe

from . import bearings, cells
from .claim import FULL, Chart, Claim, Dot, Findings, Run, Source, Table
from .texts import signed, words

THRESHOLD = "rms"
MACHINES, FEW = 15, 3
PLAN = Plan(seeds=FULL.seeds)
SOURCE = Source("machines that run to failure, generated (machines.py)", "none needed")
LEFT_OUT = """The MFPT recordings could not be fetched, so their mixes were left out: a table is
missing here."""
Float = NDArray[np.float64]


def networks(**keys: int) -> dict[str, Recipe]:
    """The recipes of both networks. keys: of a recipe, in place of its own."""
    made = bench_machines.networks(**keys)
    return {cells.CFC: made["cfc"], cells.GRU: made["gru"]}


def on_machines(run: Run) -> tuple[Judged, str]:
    """(All detectors on machines that their models have not seen, the hash of the data)."""
    run.report("drift: vibration and its features")
    count = MACHINES if run.plan == FULL else FEW
    made = features.read_recipe(recipe.RECIPES / "machines_features.toml")
    lives = generated("development", made, State.parse(bench_machines.STATE)).of(range(count))
    plan = replace(PLAN, seeds=run.plan.seeds)
    chosen = networks() if run.plan == FULL else networks(epochs=run.plan.epochs)

    def report(done: int, planned: int, what: str) -> None:
        run.report(f"drift: {what}, {done} of {planned}")

    found = maintaining.maintain(lives, chosen, plan, run.cache, report)
    return found.judged, hashes.of_data(lives.data)


def on_mixes(run: Run) -> tuple[Mixes | None, str]:
    """(All detectors on shares of MFPT's faults, ""), or without network (None, what is to be said
    of that)."""
    try:
        recordings = mfpt.recordings()
    except UlnnError as error:
        return None, f"{' '.join(LEFT_OUT.split())} ({error})"
    made = features.read_recipe(recipe.RECIPES / "mfpt_features.toml")
    keys = bench_machines.ON_MIXES | ({} if run.plan == FULL else {"epochs": run.plan.epochs})

    def report(done: int, planned: int, what: str) -> None:
        run.report(f"drift: faults mixed into {what}, {done} of {planned}")

    chosen = networks(**keys)
    return mixing.mixes(made, chosen, run.plan.seeds, run.cache, report, recordings), ""


def less(values: Float, other: Float) -> Interval:
    """The mean of a detector less that of another, paired. Both: (seeds, clusters), of a single
    seed where a detector has none."""
    seeds = max(len(values), len(other))
    rows = [
        [[Tally((v,), (1.0,)) for v in row] for row in np.repeat(a, seeds // len(a), 0).tolist()]
        for a in (values, other)
    ]
    first, second = (Tallies("mean", row) for row in rows)
    return Bootstrap(values.shape[1], seeds).difference(first, second)


def days(judged: Judged, name: str) -> Float:
    """Of warning of a detector: (seeds, machines)."""
    return np.array([alarms.lead for alarms in judged.entry(name).alarms])


def of_machines(judged: Judged) -> tuple[Table, list[str]]:
    """Days of warning, and who warns earlier than CfC by more than chance."""
    rows, losses = [], []
    for entry in judged.entries:
        name = entry.name
        change = less(days(judged, cells.CFC), days(judged, name))
        shape = words(entry.warning, ""), f"{100 * entry.found:.0f} %", f"{entry.rate.value:.3f}"
        rows.append((name, f"{entry.size:,}", *shape, _change(name, change)))
        if change.high < 0:
            losses.append(f"machines: {name} warns {-change.value:.2f} days earlier")
    title = f"Machines: {judged.possible:.1f} days from onset to failure"
    head = ("detector", "bytes", "days of warning", "machines found", "false alarms a day",
            "CfC less it, days")  # fmt: skip
    return Table(title, head, tuple(rows)), losses


def of_mixes(mixed: Mixes) -> tuple[Table, list[str]]:
    """Smallest shares of a fault, and who sees smaller ones than CfC by more than chance."""
    shares = {entry.name: entry.shares.mean(1) for entry in mixed.entries}
    rows, losses = [], []
    for entry in mixed.entries:
        name = entry.name
        change = less(shares[cells.CFC], shares[name])
        never = f"{100 * (entry.shares >= NEVER).mean():.0f} %"
        silent = "yes" if entry.silent else "no"
        rows.append((name, words(entry.mean, ""), never, silent, _change(name, change)))
        if change.low > 0:
            losses.append(f"MFPT mixes: {name} sees shares that are {change.value:.2f} smaller")
    title = f"MFPT mixes: smallest share of {len(mixed.faults)} faults with an alarm"
    head = ("detector", "smallest share", "never seen", "silent before", "CfC less it")
    return Table(title, head, tuple(rows)), losses


def _change(name: str, change: Interval) -> str:
    return "" if name == cells.CFC else signed(change, 2)


def test(run: Run) -> Findings:
    """Judge all detectors on machines that run to failure, and on shares of recorded faults."""
    judged, data = on_machines(run)
    mixed, note = on_mixes(run)
    found, hashed, drawn = [of_machines(judged)], {"machines": data}, ""
    if mixed is not None:
        found.append(of_mixes(mixed))
        hashed["MFPT"] = mfpt.PACKAGE.sha256
        drawn = f" ({len(mixed.faults)} faults)"
    return Findings(
        measured=less(days(judged, cells.CFC), days(judged, THRESHOLD)),
        seeds=run.plan.seeds,
        clusters=f"{len(judged.machines)} machines{drawn}, then seeds",
        tables=tuple(table for table, _ in found),
        chart=Chart(
            "Days of warning, at equal false alarms",
            "days",
            tuple(Dot.of(entry.name, "", entry.warning) for entry in judged.entries),
        ),
        losses=tuple(loss for _, losses in found for loss in losses),
        notes=(
            "The machines are generated from textbook physics: they say how detectors compare on "
            "such machines, and not how long before a failure anybody's machine is found out.",
            *filter(None, [note]),
        ),
        data=hashed,
    )


CLAIM = Claim(
    name="drift",
    title="Drift before a threshold",
    says="A liquid network finds drift before a threshold does.",
    effect="days by which CfC's errors of prediction warn earlier than a threshold of the level",
    claimed=0.0,
    unit="days",
    how=f"""{MACHINES} generated machines whose bearings fail; a CfC and a GRU predict the next
step of the features of vibration, and learn from healthy machines of other folds ({PLAN.folds}).
How wrong they are is looked at by the board's alarm, which learns its own threshold in
{PLAN.learn:g} days on each machine; so are the level (rms), kurtosis, the fault frequencies of the
envelope, and a linear prediction. All have at most {PLAN.false_alarms:g} false alarms a day on the
same machines, and a machine that is not found counts as 0 days ([machines.md](docs/machines.md)
has five more machines). Recorded faults do not grow, so shares of {mixing.SHARES[0]:g} to
{mixing.SHARES[-1]:g} of their amplitude are mixed into a healthy recording of MFPT. Models learn
from the second of the three healthy ones, thresholds from the third, in turn. All detectors are
set such that none of the three gives an alarm; one that is not silent there with any setting has
an advantage. A smaller share is earlier; never counts as {NEVER:g}.""",
    sources=(SOURCE, bearings.SOURCE),
    test=test,
    modules=(bench_machines,),
)
