"""The claim that a third of the samples may be missing: CfC loses little, a recurrent net much."""

from __future__ import annotations

from ulnn_host.experiments.intervals import Interval, interval

from . import cells, linear, tone, wrist
from .claim import Chart, Claim, Dot, Findings, Run, Table
from .study import Found

LOST = "skip 30 %"
NAMES = (cells.CFC, cells.NO_TIME, cells.GRU, cells.GRU_DT, cells.LSTM_DT, *cells.FLOAT)
TESTS = (*wrist.CONDITIONS,)


def points(found: Found, name: str, test: str) -> Interval:
    """Points of accuracy that a network loses."""
    whole, left = found.drawn(name, wrist.COMPLETE), found.drawn(name, test)
    return interval(100 * (whole[0] - left[0]), 100 * (whole[1] - left[1]))


def spared(found: Found, name: str, other: str, test: str) -> Interval:
    """Points that `name` loses less than `other`."""
    (a, a_draws), (b, b_draws), (c, c_draws), (d, d_draws) = (
        found.drawn(which, kind) for which in (other, name) for kind in (wrist.COMPLETE, test)
    )
    return interval(100 * (a - b - c + d), 100 * (a_draws - b_draws - c_draws + d_draws))


def test(run: Run) -> Findings:
    """On the watch, trained on complete data and with samples lost; on the tone."""
    whole = wrist.found(
        run, cells.recipes(NAMES, wrist.content(run)), "trained on complete data", TESTS
    )
    lossy = cells.recipes(NAMES, wrist.content(run, (0.0, 0.6)))
    drops = wrist.found(run, lossy, "trained with drops", TESTS, rates=whole.rates)
    tones = tone.found(run, tone.RANDOM)
    tables, losses, dots = [], [], []
    for words, found in (("complete data", whole), ("0 to 60 % lost", drops)):
        rows = [
            (name, *found.shape(name)[1:], *(found.cell(name, test) for test in TESTS))
            for name in (*found.trials, *found.others)
        ]
        head = ("network", "bytes", "cycles", *TESTS)
        tables.append(Table(f"Watch, trained on {words}: balanced accuracy", head, tuple(rows)))
        called = {test: f"watch, trained on {words}, {test}" for test in TESTS}
        losses += found.losses(cells.CFC, called)
        for name in found.trials:
            lost = points(found, name, LOST)
            dots.append(Dot.of(name, f"trained on {words}", lost))
    rows = [(name, *(tones.cell(name, k) for k in tone.PATTERNS)) for name in tone.NAMES]
    title = "Tone, trained at random times: mean squared error"
    tables.append(Table(title, ("network", *tone.PATTERNS), tuple(rows)))
    losses += tones.losses(cells.CFC, {tone.MISSING: f"tone, {tone.PATTERNS[tone.MISSING]}"})
    gains = []
    for words, found in (("complete data", whole), ("0 to 60 % lost", drops)):
        for kind in ("skip 30 %", "skip 60 %", "bursts 60 %"):
            change = found.difference(cells.CFC, cells.NO_TIME, kind)
            ends = f"{100 * change.low:+.1f} to {100 * change.high:+.1f}"
            gains.append(
                (f"watch, trained on {words}, {kind}", f"{100 * change.value:+.1f}", ends)
            )
    head = ("test", "points that dt gives CfC", "95 %")
    tables.append(Table("What the elapsed time gives, watch", head, tuple(gains)))
    return Findings(
        measured=spared(whole, cells.CFC, cells.GRU, LOST),
        seeds=whole.seeds,
        clusters=f"{len(whole.clusters)} people, then seeds",
        tables=tuple(tables),
        chart=Chart("Points of accuracy lost where 30 % are missing", "points", tuple(dots), 0.0),
        losses=tuple(losses),
        data={"watch": whole.data, "tone": tones.data},
    )


CLAIM = Claim(
    name="missing",
    title="Missing samples",
    says="With 30 % of the samples missing, the accuracy of a liquid network falls by 4 points, "
    "that of a recurrent one by 22.",
    effect="points that a GRU loses and CfC does not, where 30 % of the samples are left out",
    claimed=18.0,
    unit="points",
    how=f"""{wrist.WORDS} {wrist.LEFT_OUT}
*Skip* leaves samples out, and the elapsed time is the true one; *bursts*
are gaps of about ten samples; *hold* and *mean* put the value before, or the channel's mean, in
their place. What counts is the GRU without the elapsed time, trained on complete data as CfC is,
and *skip*. Size: {wrist.BUDGET} each. The tone is that of the page on irregular timing; the
HalfCheetah with gaps is on its own page.""",
    sources=(wrist.SOURCE, tone.SOURCE),
    test=test,
    modules=(linear, wrist, tone),
)
