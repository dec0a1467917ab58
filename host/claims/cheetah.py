"""The claim that CfC predicts a HalfCheetah better than an LSTM, where there is noise."""

from __future__ import annotations

import numpy as np

from ulnn_host.experiments.intervals import Interval, interval

from . import cells, gait, running
from .claim import Chart, Claim, Dot, Findings, Run, Table
from .study import Found
from .texts import signed

NOISY = tuple(running.name_of(level) for level in running.LEVELS[1:])
SEEN = f"trained with noise {running.SEEN:g}"
UNSEEN = "trained without noise"


def lower(found: Found, name: str, other: str, tests: tuple[str, ...]) -> Interval:
    """Percent that the error is lower than that of another, in the mean of some tests."""
    ours, theirs = ([found.drawn(which, test) for test in tests] for which in (name, other))
    shares = [(1 - a / b, 1 - c / d) for (a, c), (b, d) in zip(ours, theirs, strict=True)]
    value, draws = (100 * sum(parts) / len(tests) for parts in zip(*shares, strict=True))
    return interval(float(value), np.asarray(draws))


def test(run: Run) -> Findings:
    """Noise that training has seen, and noise that it has not."""
    seen = running.found(run, running.SEEN)
    both = {SEEN: seen, UNSEEN: running.found(run, 0.0, seen.rates)}
    tests = [running.name_of(level) for level in running.LEVELS]
    tests += [running.name_of_gaps(lost) for lost in running.GAPS]
    tables, losses, dots = [], [], []
    for words, found in both.items():
        rows = []
        for name in (*found.trials, *found.others):
            share = lower(found, name, cells.LSTM, NOISY)
            if name != cells.LSTM:
                dots.append(Dot.of(name, words, share))
            scores = [found.cell(name, t) for t in tests]
            lower_by = "" if name == cells.LSTM else signed(share)
            rows.append((name, *found.shape(name), *scores, lower_by))
        head = ("network", "neurons", "bytes", "cycles", *tests, "lower than LSTM, with noise, %")
        tables.append(Table(f"Mean squared error, {words}", head, tuple(rows)))
        losses += found.losses(cells.CFC, {t: f"{words}, {t}" for t in tests})
    return Findings(
        measured=lower(seen, cells.CFC, cells.LSTM, NOISY),
        seeds=seen.seeds,
        clusters=f"{len(seen.clusters)} episodes, then seeds",
        tables=tuple(tables),
        chart=Chart("Error with noise, how much lower than LSTM's", "%", tuple(dots), 0.0),
        losses=tuple(losses),
        data={words: found.data for words, found in both.items()},
    )


CLAIM = Claim(
    name="cheetah",
    title="HalfCheetah under noise",
    says="Under noise, a liquid network predicts a HalfCheetah with an error that is 25 % lower "
    "than that of an LSTM.",
    effect=f"how much lower CfC's error is than an LSTM's, noise of {running.LEVELS[1]:g} to "
    f"{running.LEVELS[-1]:g}, both {SEEN}",
    claimed=25.0,
    unit="%",
    how=f"""{running.WORDS} What counts are networks that are {SEEN}, fresh in every epoch, and
the mean over the levels of noise of the difference to the LSTM. Size: {running.BUDGET} each.""",
    sources=(running.SOURCE,),
    test=test,
    modules=(running, gait),
)
