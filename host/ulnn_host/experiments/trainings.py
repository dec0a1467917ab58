"""Trainings that are kept: what was trained and measured once is read from a folder afterwards.

A training is a checkpoint, named by the hash of its recipe, the data that it fits and the code;
what was measured is a small file, whose hash has the other data and more of the code, too. So a
change of the converter measures again, and does not train again. Files are whole or not there, and
processes with the same folder share the work.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from ..base import files
from ..base.errors import UlnnError
from ..train import train
from ..train.recipe import FILES, Recipe
from . import hashes
from .folds import Fold
from .intervals import Tally
from .measured import Measured, NotConverted, measure

TRAINING_CODE = ("data", "network", "train")
MEASURING_CODE = ("data", "engines", "experiments", "format", "network", "quantize")
NOTHING_HELD = dict.fromkeys(FILES, "") | {"valid_groups": (), "target": ""}
PAUSE = 0.2  # seconds between two looks at what other processes work on


@dataclass(frozen=True)
class Job:
    """A training and what is measured of it. recipe: what it holds out by groups or in a file is
    not held out, as the fold says what is. bits: of the weights of the integer model. name: in
    errors."""

    recipe: Recipe
    fold: Fold
    bits: int = 8
    name: str = ""

    @property
    def trained(self) -> Recipe:
        """The recipe as it is trained: on the data of the fold, whatever their place."""
        data = replace(self.recipe.data, **NOTHING_HELD)  # type: ignore[arg-type]
        training = self.recipe.training
        if not data.valid_fraction:
            training = replace(training, patience=0)
        return replace(self.recipe, data=data, training=training)

    @property
    def training_key(self) -> str:
        """The hash of the training."""
        code = hashes.of_code(TRAINING_CODE), torch.__version__, self.fold.fit_hash
        return hashes.digest(hashes.of_recipe(self.trained), *(part.encode() for part in code))

    def checkpoint(self, folder: Path) -> Path:
        """Where its network is kept."""
        return folder / f"{self.training_key}.safetensors"

    @property
    def key(self) -> str:
        """The hash of what is measured."""
        facts = (
            self.training_key, self.fold.test_hash, str(self.bits),
            hashes.of_code(MEASURING_CODE),
        )  # fmt: skip
        return hashes.digest(*(fact.encode() for fact in facts))


@dataclass(frozen=True)
class Outcome:
    """What came out. in_float, in_integers: tallies of each cluster, by its name, no integers
    where there is no engine for them; size, cycles, products as of `Measured`; seconds: of the
    training. failure: why there is nothing else."""

    in_float: dict[str, Tally]
    in_integers: dict[str, Tally]
    size: int = 0
    cycles: int = 0
    products: int = 0
    seconds: float = 0.0
    failure: str = ""

    @staticmethod
    def of(measured: Measured, seconds: float) -> Outcome:
        """Of what was measured; data have groups."""
        in_float, in_integers = (
            {name: Tally.of(part) for name, part in scores.by_group.items()} if scores else {}
            for scores in (measured.in_float, measured.in_integers)
        )
        return Outcome(
            in_float, in_integers, measured.size, measured.cycles, measured.products, seconds
        )

    @property
    def judged(self) -> dict[str, Tally]:
        """Of the integers, where there are any."""
        return self.in_integers or self.in_float

    @staticmethod
    def read(path: Path) -> Outcome | None:
        """Of a file; None where it is none of ours."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            for name in ("in_float", "in_integers"):
                content[name] = {
                    key: Tally(tuple(t["parts"]), tuple(t["counts"]))
                    for key, t in content[name].items()
                }
            return Outcome(**content)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def outcomes(jobs: Sequence[Job], folder: Path) -> Iterator[tuple[int, Outcome]]:
    """(number of the job, what came out), as soon as it is there, whoever makes it. Raises
    UlnnError."""
    waiting = deque(enumerate(jobs))
    passed = 0  # jobs in a row that other processes work on
    while waiting:
        number, job = waiting.popleft()
        path = folder / f"{job.key}.json"
        done = Outcome.read(path)
        if done is None:
            done = _claimed(path, lambda job=job, path=path: _made(job, path, folder))  # type: ignore[misc]
        if done is None:
            waiting.append((number, job))
            passed += 1
            if passed >= len(waiting):
                time.sleep(PAUSE)
                passed = 0
        else:
            passed = 0
            yield number, done


def _claimed(path: Path, make: Callable[[], Outcome]) -> Outcome | None:
    """What is made, unless another process is making it."""
    place = path.with_suffix(".lock")
    lock = FileLock(place, timeout=0)
    with files.named(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            return None
    try:
        return Outcome.read(path) or make()
    finally:
        lock.release()
        with contextlib.suppress(OSError):  # another process may have it
            place.unlink()


def _made(job: Job, path: Path, folder: Path) -> Outcome:
    try:
        network = trained(job, folder)
        found = measure(network, job.fold.calibration, job.fold.test, job.bits)
        done = Outcome.of(found, float(network.hyper["training"]["seconds"]))
    except (train.Diverged, NotConverted) as error:
        done = Outcome({}, {}, failure=str(error))
    except UlnnError as error:
        raise UlnnError(f"{job.name}: {error}" if job.name else str(error)) from error
    files.write_json(path, asdict(done))
    return done


def trained(job: Job, folder: Path) -> train.TrainedNetwork:
    """The network of a job, from the folder or trained. Raises `train.Diverged`."""
    path = job.checkpoint(folder)
    if path.exists():
        try:
            return train.read_trained(path)
        except UlnnError:
            path.unlink(missing_ok=True)  # damaged
    network = train.train(job.trained, job.fold.fit, quiet=True)
    network.save(path)
    return network
