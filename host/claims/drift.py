"""The claim that a liquid network finds a machine's drift before a threshold does."""

from __future__ import annotations

from dataclasses import replace

from ulnn_host.data import features
from ulnn_host.data.lives import State, generated
from ulnn_host.experiments import hashes
from ulnn_host.experiments import maintain as maintaining
from ulnn_host.experiments.intervals import Bootstrap, Interval, Tallies, Tally
from ulnn_host.experiments.maintain import Entry, Plan
from ulnn_host.train import recipe

from .claim import FULL, Chart, Claim, Dot, Findings, Run, Source, Table

CFC, THRESHOLD = "CfC", "rms"
FEATURES = recipe.RECIPES / "machines_features.toml"
RECIPE = recipe.RECIPES / "machines.toml"
STATE = "acc rms > 9"  # the pump runs
MACHINES, FEW = 15, 3
FOLDS, HIDDEN, EPOCHS = 3, 16, 8
LEARN, FALSE_ALARMS = 1.5, 0.1  # days; a day
SOURCE = Source("machines that run to failure, generated (machines.py)", "none needed")


def days(entry: Entry, other: Entry, seeds: int) -> Interval:
    """Days of warning of a detector, less those of another."""
    rows = [_tallies(e, seeds) for e in (entry, other)]
    return Bootstrap(len(entry.alarms[0].lead), seeds).difference(*rows)


def _tallies(entry: Entry, seeds: int) -> Tallies:
    every = entry.alarms * (seeds // len(entry.alarms))  # what has no seed is the same for all
    return Tallies("days", [[Tally((float(v),), (1.0,)) for v in a.lead] for a in every])


def test(run: Run) -> Findings:
    """Judge all detectors on machines that their models have not seen."""
    count = MACHINES if run.plan == FULL else FEW
    run.report("drift: vibration and its features")
    lives = generated("development", features.read_recipe(FEATURES), State.parse(STATE)).of(
        range(count)
    )
    made = recipe.read_recipe(RECIPE, {"hidden": HIDDEN, "epochs": min(EPOCHS, run.plan.epochs)})
    made = replace(made, data=replace(made.data, source="", features=""))
    plan = Plan(LEARN, FALSE_ALARMS, seeds=run.plan.seeds, folds=FOLDS)

    def report(done: int, planned: int, what: str) -> None:
        run.report(f"drift: {what}, {done} of {planned}")

    found = maintaining.maintain(lives, {CFC: made}, plan, run.cache, report).judged
    network = found.entry(CFC)
    rows, dots, losses = [], [], []
    for entry in found.entries:
        change = days(network, entry, plan.seeds)
        ends = f"{change.value:+.2f} ({change.low:+.2f} to {change.high:+.2f})"
        warned = entry.warning
        rows.append(
            (
                entry.name,
                f"{entry.size:,}" if entry.size else "",
                f"{warned.value:.2f} ({warned.low:.2f} to {warned.high:.2f})",
                f"{100 * entry.found:.0f} %",
                f"{entry.rate.value:.3f}",
                "" if entry.name == CFC else ends,
            )
        )
        dots.append(Dot(entry.name, "", *_ends(entry.warning)))
        if change.high < 0:
            losses.append(f"{entry.name} warns {-change.value:.2f} days earlier")
    head = ("detector", "bytes", "days of warning", "machines found", "false alarms a day",
            "CfC less it, days")  # fmt: skip
    return Findings(
        measured=days(network, found.entry(THRESHOLD), plan.seeds),
        seeds=plan.seeds,
        clusters=f"{count} machines, then seeds",
        tables=(Table(f"{found.possible:.1f} days from onset to failure", head, tuple(rows)),),
        chart=Chart("Days of warning, at equal false alarms", "days", tuple(dots)),
        losses=tuple(losses),
        notes=(
            "The machines are generated from textbook physics: they say how detectors compare on "
            "such machines, and not how long before a failure anybody's machine is found out.",
        ),
        data={"machines": hashes.of_data(lives.data)},
    )


def _ends(value: Interval) -> tuple[float, float, float]:
    return value.value, value.low, value.high


CLAIM = Claim(
    name="drift",
    title="Drift before a threshold",
    says="A liquid network finds drift before a threshold does.",
    effect="days by which CfC's errors of prediction warn earlier than a threshold of the level",
    claimed=0.0,
    unit="days",
    how=f"""{MACHINES} generated machines whose bearings fail; a network of {HIDDEN} neurons
predicts the next step of the features of vibration, and learns from healthy machines of other
folds ({FOLDS}). How wrong it is, is looked at by the board's alarm, which learns its own threshold
in {LEARN:g} days on each machine; so are the level (rms), kurtosis, the fault frequencies of the
envelope, and a linear prediction. All have {FALSE_ALARMS:g} false alarms a day on the same
machines.""",
    sources=(SOURCE,),
    test=test,
)
