"""The claim that a liquid network adapts to irregular timing without being trained again."""

from __future__ import annotations

import numpy as np

from ulnn_host.experiments.intervals import Interval, interval

from . import cells, tone
from .claim import Chart, Claim, Dot, Findings, Run, Table
from .study import Found

IRREGULAR = (tone.MISSING, tone.RANDOM)


def guess() -> float:
    """The mean squared error of the targets' mean."""
    return float(np.var(np.asarray(tone.tones(tone.REGULAR, tone.TEST, 2).y)))


def kept(found: Found, name: str) -> Interval:
    """The share of the skill that is left on irregular samples, in percent.
    Skill is what the error is less than that of a guess."""
    regular, *irregular = (found.drawn(name, test) for test in (tone.REGULAR, *IRREGULAR))
    value, draws = (
        100 * (1 - sum(each[k] for each in irregular) / len(irregular) / guess())
        / (1 - regular[k] / guess())
        for k in (0, 1)
    )  # fmt: skip
    return interval(float(value), np.asarray(draws))


def test(run: Run) -> Findings:
    """Train on regular samples and test on irregular ones; and train on irregular ones."""
    regular, varied = (tone.found(run, name) for name in (tone.REGULAR, tone.RANDOM))
    rows, dots, shares = [], [], {}
    for trained, found in ((tone.REGULAR, regular), (tone.RANDOM, varied)):
        for name in (*tone.NAMES, tone.RULE):
            if name == tone.RULE and found is varied:
                continue
            share = shares[name, trained] = kept(found, name)
            words_of = [found.cell(name, test) for test in tone.PATTERNS]
            words = "" if name == tone.RULE else trained
            left = ""
            if found.mean(name, tone.REGULAR).value < guess() / 2:  # a share of little says little
                left = f"{share.value:.1f} ({share.low:.1f} to {share.high:.1f})"
                dots.append(Dot.of(name, f"trained: {words}" if words else "not trained", share))
            rows.append((name, words, *found.shape(name), *words_of, left))
    head = ("network", "trained on", "neurons", "bytes", "cycles", *tone.PATTERNS, "skill left, %")
    losses = [f"trained regular; {text}" for text in regular.losses(cells.CFC, tone.PATTERNS)]
    losses += [
        f"trained at random times; {text}" for text in varied.losses(cells.CFC, tone.PATTERNS)
    ]
    return Findings(
        measured=kept(regular, cells.CFC),
        seeds=regular.seeds,
        clusters=f"{len(regular.clusters)} clusters of {tone.CLUSTER} sequences, then seeds",
        tables=(Table("Mean squared error, by how the test is sampled", head, tuple(rows)),),
        chart=Chart("Skill on irregular samples", "% of that on regular ones", tuple(dots), 100.0),
        losses=tuple(losses),
        notes=(
            f"A guess has an error of {guess():.4f}; where a network explains less than half of "
            "it on regular samples, what it keeps is not in the table. Trained on regular "
            f"samples, CfC keeps {_share(shares, cells.CFC)} of its skill, with a constant dt "
            f"{_share(shares, cells.NO_TIME)}, a GRU without the elapsed time "
            f"{_share(shares, cells.GRU)}: what does not vary in training is not learnt. Trained "
            f"at random times, they keep {_share(shares, cells.CFC, tone.RANDOM)}, "
            f"{_share(shares, cells.NO_TIME, tone.RANDOM)} and "
            f"{_share(shares, cells.GRU, tone.RANDOM)}.",
        ),
        data={"trained regular": regular.data, "trained at random times": varied.data},
    )


def _share(shares: dict[tuple[str, str], Interval], name: str, trained: str = tone.REGULAR) -> str:
    return f"{shares[name, trained].value:.0f} %"


CLAIM = Claim(
    name="timing",
    title="Irregular timing",
    says="Liquid networks adapt to irregular timing without being trained again.",
    effect="skill of CfC that is left on irregular samples, trained on regular ones",
    claimed=100.0,
    unit="%",
    how=f"""{tone.WORDS} Skill is the share of the targets' variance that a network explains. What
counts is CfC trained on regular samples: its skill on irregular ones (30 % missing, and random
times, the mean of both), as a share of that on regular ones. The true elapsed time is given to
every network that takes it. Size: {tone.BUDGET} each.""",
    sources=(tone.SOURCE,),
    test=test,
    modules=(tone,),
)
