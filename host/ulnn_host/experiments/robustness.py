"""How good a network is on data as they are, and as they are when samples are lost or noisy.

Float and integer networks get the same degraded data: the same seed loses the same samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..base.errors import UlnnError
from ..data import degrade
from ..data.degrade import Fill, Pattern
from ..data.matched import matched
from ..data.scores import Scores, score
from ..data.sequences import Sequences
from ..engines import decided
from ..engines import registry as engines
from ..engines.batch import quantise
from ..engines.reference import clamped_steps
from ..format import container
from ..format.model import Decision
from ..network.float_network import FloatNetwork

FLOAT = "float"


class Trained(Protocol):
    """What is asked of a network that runs as it was trained (`train.train.TrainedNetwork`)."""

    @property
    def hyper(self) -> dict[str, Any]:
        """What its checkpoint says."""

    @property
    def readout(self) -> str:
        """What decides."""

    def outputs(self, data: Sequences) -> Any:
        """Float outputs (N, T, O)."""


@dataclass(frozen=True)
class Condition:
    """What is done to the data. drop: share of the samples that is lost, alone or in bursts
    (pattern), and what takes their place (fill). noise: in standard deviations of each channel.
    """

    drop: float = 0.0
    noise: float = 0.0
    pattern: Pattern = "samples"
    fill: Fill = "skip"

    def __str__(self) -> str:
        parts = [f"{self.drop:.0%} lost"] if self.drop else []
        parts += [f"noise {self.noise:g}"] if self.noise else []
        return ", ".join(parts) or "as it is"

    def apply(self, data: Sequences, seed: int) -> Sequences:
        """The data under this condition. Raises UlnnError for a share or noise out of range."""
        rng = np.random.default_rng(seed)
        noisy = degrade.noisy(data, self.noise, rng) if self.noise else data
        if not self.drop:
            return noisy
        # the same samples are lost with and without noise
        rng = np.random.default_rng([seed, 1])
        return degrade.drop(noisy, self.drop, rng, pattern=self.pattern, fill=self.fill)


@dataclass(frozen=True)
class Result:
    """One condition. samples: that are there; scores: by network, "float" or as int8; clamped: the
    steps whose elapsed time is not what the integer model computes with, by network.
    """

    condition: Condition
    samples: int
    scores: Mapping[str, Scores]
    clamped: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self.condition) | {
            "samples": self.samples,
            "scores": {name: scores.to_dict(named=True) for name, scores in self.scores.items()},
            "clamped_steps": dict(self.clamped),
        }


@dataclass(frozen=True)
class Robustness:
    """All conditions, the data as they are first."""

    readout: str
    seed: int
    results: tuple[Result, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        results = [result.to_dict() for result in self.results]
        return {"readout": self.readout, "seed": self.seed, "conditions": results}


def conditions(
    drops: Sequence[float] = (),
    noises: Sequence[float] = (),
    pattern: Pattern = "samples",
    fill: Fill = "skip",
) -> tuple[Condition, ...]:
    """Every drop with every noise, the data as they are first."""
    pairs = dict.fromkeys((d, n) for n in (0.0, *noises) for d in (0.0, *drops))
    return tuple(Condition(drop, noise, pattern, fill) for drop, noise in pairs)


def robustness(
    data: Sequences,
    *,
    network: FloatNetwork | Trained | None = None,
    model: bytes | None = None,
    tried: Sequence[Condition] = (Condition(),),
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Robustness:
    """The scores of a float network, of the bytes of a model file, or of both on the same data.

    data: with targets. progress(conditions done, all). Raises UlnnError without a network, and
    where data and networks do not fit each other.
    """
    if data.y is None:
        raise UlnnError(
            "the data have no targets y, so there is nothing to measure; label says where they are"
        )
    runners = list(_runners(network, model))
    if not runners:
        raise UlnnError("expected a float network, a model, or both")
    readout = next((r.readout for r in runners if r.readout), "")
    readout = readout or ("each" if data.per_step else "last")
    file = None if model is None else container.read(model)
    done = []
    for number, condition in enumerate(tried, 1):
        changed = condition.apply(data, seed)
        if file is not None:
            changed = decided.windows(file.decision, file.tick_ns, changed)
        scores, clamped = {}, {}
        for runner in runners:
            known = matched(changed, runner.channels, runner.labels)
            scores[runner.name], late = runner.measure(known, readout)
            if runner.name != FLOAT:
                clamped[runner.name] = late
        done.append(Result(condition, int(changed.length.sum()), scores, clamped))
        progress(number, len(tried))
    return Robustness(readout, seed, tuple(done))


@dataclass(frozen=True)
class _Runner:
    """measure: scores of data for a readout, and clamped steps."""

    name: str
    readout: str
    channels: tuple[str, ...]
    labels: tuple[str, ...]
    measure: Callable[[Sequences, str], tuple[Scores, int]]


def _runners(network: FloatNetwork | Trained | None, model: bytes | None) -> Iterator[_Runner]:
    if isinstance(network, FloatNetwork):
        real = network

        def in_float(data: Sequences, readout: str) -> tuple[Scores, int]:
            if data.x.shape[2] != real.input_size:
                raise UlnnError(
                    f"the data have {data.x.shape[2]} inputs, expected {real.input_size} as in "
                    "the network"
                )
            return score(real.run(data.x, data.dt, data.length).y, data, readout), 0

        yield _Runner(FLOAT, network.readout, network.channels, network.labels, in_float)
    elif network is not None:
        trained, hyper = network, network.hyper

        def as_trained(data: Sequences, readout: str) -> tuple[Scores, int]:
            return score(trained.outputs(data), data, readout), 0

        channels, labels = tuple(hyper.get("channels", ())), tuple(hyper["labels"])
        yield _Runner(FLOAT, trained.readout, channels, labels, as_trained)
    if model is not None:
        content, file = model, container.read(model)
        engine = engines.best(content)

        def in_integers(data: Sequences, readout: str) -> tuple[Scores, int]:
            batch = quantise(file, data)
            outputs = engines.run(content, batch, engine)
            late = int(clamped_steps(file, batch.dt)[data.mask].sum())
            known = file if said else dataclasses.replace(file, decision=Decision(readout))
            return decided.score(known, outputs.y, data), late

        said = file.decision is not None or "readout" in file.meta
        readout = file.readout if said else ""
        yield _Runner(f"int{file.weight_bits}", readout, file.channels, file.labels, in_integers)
