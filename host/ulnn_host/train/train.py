"""Training a network as a recipe says; checkpoints; accuracy in float.

A checkpoint is `NAME.safetensors`: a plain state_dict with the keys of ncps.torch 1.0.1 (CfC,
wired, LTC, mixed memory) or of torch.nn (LSTM, GRU), and in its metadata, as TOML,
hyper-parameters, input normalisation, labels, metrics and history.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..base import files, toml_text
from ..base.errors import UlnnError, UlnnWarning
from ..base.progress import bar
from ..data import sets, targets
from ..data.matched import matched
from ..data.sampling import sampling
from ..data.scores import ClassScores, Scores, score
from ..data.sequences import Sequences, Statistics
from ..importers import checkpoint
from ..importers.checkpoint_toml import METADATA, read_hyper
from ..network.float_network import FloatNetwork
from . import augment, networks
from .recipe import DataRecipe, Recipe
from .rollout import Rollout
from .start import time_constants
from .target import target_of
from .times import warn_of_times

# the products of a step are so small that a second thread costs more than it gives
THREADS = 1
CONSISTENCY_NOISE = 0.1  # standard deviations of a channel


@dataclass(frozen=True)
class TrainedNetwork:
    """Weights and all that is needed to use them.

    state: a state_dict. hyper: what its metadata say: dialect ("ncps.torch", "ulnn" for our
    own wired CfC, "torch" for LSTM and GRU, "ulnn.float" for cells that are float only), cell,
    the cell's own (mode, activation, backbone_units, backbone_layers, layers, dt_input,
    ode_unfolds, implicit_param_constraints, wiring; of cells that are float only a table model;
    `networks.describe`), input_size, hidden_size, output_size, proj_size, time_scale (s),
    fixed_dt (s, where dt is not used), mean, std, readout, labels, and the tables training,
    metrics and history. validation: its measures on what was held out, None where nothing was,
    and in a checkpoint that was read.
    """

    state: dict[str, Tensor]
    hyper: dict[str, Any]
    validation: Scores | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        hyper = self.hyper
        measured = hyper.get("metrics", {}).get("validation", {})
        scores = [
            f", {name} {measured[key]:.4g} held out"
            for key, name in (("balanced", "balanced accuracy"), ("rmse", "RMSE"))
            if key in measured
        ]
        return (
            f"<TrainedNetwork {hyper['cell']}: {hyper['input_size']} inputs, "
            f"{hyper['output_size']} outputs, "
            f"{sum(value.numel() for value in self.state.values()):,} weights{''.join(scores)}>"
        )

    @property
    def readout(self) -> str:
        """What decides: last, mean or each."""
        return str(self.hyper["readout"])

    def network(self) -> Rollout:
        """The network, ready to evaluate."""
        net = networks.from_hyper(self.hyper)
        net.load_state_dict(self.state)
        return net.eval()

    def float_network(self, **hyper: Any) -> FloatNetwork:
        """The network as the converter takes it. hyper: in place of its own."""
        weights = {key: value.double().numpy() for key, value in self.state.items()}
        return checkpoint.from_weights(weights, self.hyper | hyper).network

    def outputs(self, data: Sequences, batch: int = 512) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Float outputs (N, T, O) of whole sequences, each from a zero state."""
        net = self.network()
        data = data.in_order(self.hyper.get("channels", ()))
        mean, std = (np.asarray(self.hyper[key], np.float32) for key in ("mean", "std"))
        if data.x.shape[2] != len(mean):
            raise UlnnError(f"the data have {data.x.shape[2]} channels, the network {len(mean)}")
        x, dt = _tensors(
            data, Statistics(mean, std), self.hyper["time_scale"], self.hyper.get("fixed_dt", 0.0)
        )
        with torch.no_grad(), settings(THREADS):
            parts = [
                net(x[k : k + batch], timespans=dt[k : k + batch])[0]
                for k in range(0, len(x), batch)
            ]
        return torch.cat(parts).numpy()

    def save(self, path: Path) -> None:
        """Write PATH (.safetensors), weights and hyper-parameters in one. Raises UlnnError."""
        from safetensors.torch import save as to_bytes

        if path.suffix != ".safetensors":
            raise UlnnError(f"{path}: expected a name that ends in .safetensors")
        tensors = {key: value.detach().contiguous() for key, value in self.state.items()}
        files.write(path, to_bytes(tensors, {METADATA: toml_text.dumps(self.hyper)}))


def read_trained(path: Path) -> TrainedNetwork:
    """A checkpoint written by `TrainedNetwork.save`, or by older versions as a pair of
    .safetensors and .toml. Raises UlnnError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.exists():
        raise UlnnError(f"{path}: no such file; expected a .safetensors of ulnn train")
    hyper = read_hyper(path)
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise UlnnError(f"{path}: not a readable checkpoint ({error})") from None
    if not hyper:
        raise UlnnError(f"{path}: holds no hyper-parameters, expected a checkpoint of ulnn train")
    return TrainedNetwork(state, hyper)


def evaluate(checkpoint: TrainedNetwork, data: Sequences) -> Scores:
    """Scores of the float network on sequences with targets. Raises UlnnError without."""
    hyper = checkpoint.hyper
    data = matched(data, hyper.get("channels", ()), hyper["labels"])
    return score(checkpoint.outputs(data), data, hyper["readout"])


class Diverged(UlnnError):
    """The loss was no number any more."""


class Stopped(KeyboardInterrupt):
    """Ctrl-C, after at least one epoch. network: the best so far, as if training had ended."""

    def __init__(self, network: TrainedNetwork) -> None:
        super().__init__("stopped")
        self.network = network


def train(recipe: Recipe, data: Sequences | None = None, *, quiet: bool = False) -> TrainedNetwork:
    """Train; the same recipe and data give the same weights on one machine. data: in place of the
    recipe's source.

    The result is the epoch with the best validation, or the last one where nothing is held out.
    Raises UlnnError, and Stopped (a KeyboardInterrupt) with the best so far.
    """
    fit, valid = split(recipe, data)
    if not quiet:
        if not recipe.data.target and (doubt := targets.doubt(fit)):
            warnings.warn(doubt, UlnnWarning, stacklevel=3)
        warn_of_times(recipe, fit, valid)
    with settings(THREADS), torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return _Training(recipe, fit, valid).run(quiet)


def untrained(recipe: Recipe, data: Sequences) -> TrainedNetwork:
    """The network of a recipe as training would start with it, and all that is needed to use it.
    Raises UlnnError."""
    with settings(THREADS), torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return _Training(recipe, data, None).now()


def split(recipe: Recipe, data: Sequences | None = None) -> tuple[Sequences, Sequences | None]:
    """(to fit, to validate) of the recipe's data, or of `data` in place of its source; what is
    validated has the windows and dropped samples of the recipe, always the same. Raises UlnnError.
    """
    source, readout = recipe.data, recipe.model.readout
    if data is None:
        data = sets.read_source(source.source, source, readout)
    elif source.target:
        data = targets.settle(data, source)
    fit = _targets(data, readout)
    valid: Sequences | None = None
    rng = np.random.default_rng(recipe.seed)
    if source.valid:
        valid = sets.read_source(source.valid, source, readout, held_out=True)
        valid = _targets(matched(valid, fit.channels, fit.labels), readout)
    elif source.valid_groups:
        fit, valid = fit.split(source.valid_groups)
    elif source.valid_fraction:
        count = round(len(fit) * source.valid_fraction)
        if not 0 < count < len(fit):
            raise UlnnError(
                f"data.valid_fraction {source.valid_fraction} of {len(fit)} sequences "
                f"leaves {count} to validate"
            )
        order = rng.permutation(len(fit))
        fit, valid = fit.take(order[count:]), fit.take(order[:count])
    if valid is not None:
        if valid.x.shape[2] != fit.x.shape[2]:
            raise UlnnError(
                f"{source.valid} has {valid.x.shape[2]} channels, expected {fit.x.shape[2]}"
            )
        valid = as_validated(valid, source, Statistics.of(fit), rng)
    return fit, valid


def as_validated(
    data: Sequences, source: DataRecipe, statistics: Statistics, rng: np.random.Generator
) -> Sequences:
    """Sequences with the windows and dropped samples of a recipe, without random changes."""
    if source.window:
        data = data.windows(source.window, source.window)
    return augment.dropped(data, source, statistics, rng)


def _targets(data: Sequences, readout: str) -> Sequences:
    """The data for a readout: with "each", targets belong to steps."""
    if data.y is None or data.per or readout != "each":
        return data
    return dataclasses.replace(data, per="step")


_CHOICES = ("unit", "missing", "clock", "target", "per", "drop", "drop_pattern", "fill")


def _public(data: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint keeps of [data]: numbers and choices. Names of files, columns and groups
    are those of people."""
    return {
        key: value
        for key, value in data.items()
        if not isinstance(value, str | tuple) or key in _CHOICES or value in sets.NAMES
    }


@dataclass(frozen=True)
class Kept:
    """The epoch that is kept so far. score: the larger the better, of equal ones the lower loss:
    balanced accuracy; for values minus the loss. loss: on what is validated, as in training;
    without validation of the last epoch. scores: measures on what is validated.
    """

    epoch: int = 0
    score: float = -math.inf
    loss: float = math.inf
    state: dict[str, Tensor] = field(default_factory=dict)
    scores: Scores | None = None

    def better_than(self, other: Kept) -> bool:
        """Is this later epoch to be kept instead? Without validation each is."""
        if self.scores is None or not other.epoch:
            return True
        return (self.score, -self.loss) > (other.score, -other.loss)


class _Training:
    """State of one training."""

    def __init__(self, recipe: Recipe, fit: Sequences, valid: Sequences | None) -> None:
        self.recipe, self.fit, self.valid = recipe, fit, valid
        self.target = target_of(fit, recipe.model.readout)
        self.statistics = Statistics.of(fit)
        self.fixed_dt = 0.0 if recipe.model.use_dt else fit.tick
        # the elapsed times grow when samples are skipped
        usual = self.fixed_dt or fit.tick * recipe.data.stretch
        self.time_scale = recipe.model.time_scale or usual
        self.rng = np.random.default_rng(recipe.seed)
        self.net = networks.build(recipe.model, fit.x.shape[2], self.target.size)
        taus = time_constants(fit, usual, recipe.data.window, self.time_scale)
        networks.start(self.net, recipe.model, taus, usual / self.time_scale)
        self.mean_net = copy.deepcopy(self.net)
        self.updates = 0
        self.history: list[dict[str, float]] = []

    def run(self, quiet: bool) -> TrainedNetwork:
        plan, started = self.recipe.training, time.perf_counter()
        per_epoch = math.ceil(len(self.fit) * self.recipe.data.windows_per_sequence / plan.batch)
        weights, others = networks.decayed(self.net)
        groups = [{"params": weights, "weight_decay": plan.weight_decay}]
        if others:
            groups.append({"params": others, "weight_decay": 0.0})
        optimiser = torch.optim.AdamW(groups, plan.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, _cosine(plan.epochs * per_epoch, plan.warmup)
        )
        kept, stopped = Kept(), False
        with bar("training", plan.epochs, quiet=quiet, lines=True) as shown:
            try:
                for epoch in range(1, plan.epochs + 1):
                    now = self._validated(epoch, self._epoch(optimiser, schedule))
                    if now.better_than(kept):
                        kept = now
                    shown.update(epoch, note=_note(self.history[-1]))
                    if plan.patience and epoch - kept.epoch >= plan.patience:
                        break
            except KeyboardInterrupt:
                if not kept.epoch:
                    raise
                stopped = True
        self.mean_net.load_state_dict(kept.state)
        done = self._checkpoint(kept, time.perf_counter() - started, stopped)
        if stopped:
            raise Stopped(done)
        return done

    def _epoch(self, optimiser: torch.optim.Optimizer, schedule: Any) -> float:
        recipe = self.recipe
        data = augment.epoch(self.fit, recipe.data, recipe.augment, self.statistics, self.rng)
        x, dt = _tensors(data, self.statistics, self.time_scale, self.fixed_dt)
        losses = []
        for k in range(0, len(x), recipe.training.batch):
            rows = slice(k, k + recipe.training.batch)
            y, moved = self._outputs(x[rows], dt[rows])
            loss = self.target.loss(
                self.target.real(y), data, rows, recipe.training.label_smoothing, self._weights
            )
            if moved is not None:
                valid = torch.from_numpy(data.mask[rows])
                size = y.detach()[valid].square().mean() + 1e-12
                loss = loss + recipe.training.consistency * moved[valid].square().mean() / size
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), recipe.training.clip)
            optimiser.step()
            schedule.step()
            self._after_update()
            losses.append(loss.item())
        return float(np.mean(losses))

    def _outputs(self, x: Tensor, dt: Tensor) -> tuple[Tensor, Tensor | None]:
        """Outputs, and what noise on the inputs changes in them where that is penalised."""
        if not self.recipe.training.consistency:
            return self.net(x, timespans=dt)[0], None
        noisy = x + CONSISTENCY_NOISE * torch.randn_like(x)
        y, _ = self.net(torch.cat([x, noisy]), timespans=torch.cat([dt, dt]))
        clean, other = y.chunk(2)
        return clean, other - clean

    @torch.no_grad()
    def _after_update(self) -> None:
        plan = self.recipe.training
        self.updates += 1
        if plan.weight_limit:
            for weight in networks.decayed(self.net)[0]:
                weight.clamp_(-plan.weight_limit, plan.weight_limit)
        # the mean must not remember the random start
        decay = min(plan.average, self.updates / (self.updates + 9))
        for slow, weight in zip(self.mean_net.parameters(), self.net.parameters(), strict=True):
            slow.lerp_(weight, 1 - decay)

    @property
    def _weights(self) -> Tensor | None:
        return self.target.weights if self.recipe.training.class_weights else None

    def _validated(self, epoch: int, loss: float) -> Kept:
        """The epoch as it would be kept, and its line in the history."""
        plan = self.recipe.training
        if not math.isfinite(loss):
            raise Diverged(
                f"training diverged in epoch {epoch}: lower training.learning_rate "
                f"({plan.learning_rate:g})"
            )
        state = copy.deepcopy(self.mean_net.state_dict())
        line = {"epoch": epoch, "loss": round(loss, 5)}
        if self.valid is None:
            self.history.append(line)
            return Kept(epoch, loss=loss, state=state)
        y = self.now().outputs(self.valid)
        rows, smoothing = slice(0, len(y)), plan.label_smoothing
        scores = score(y, self.valid, self.recipe.model.readout)
        loss = float(
            self.target.loss(torch.from_numpy(y), self.valid, rows, smoothing, self._weights)
        )
        # of classes that were not in training alone there is no loss
        loss = loss if math.isfinite(loss) else math.inf
        line["valid_loss"] = round(loss, 5)
        if isinstance(scores, ClassScores):
            line["valid_balanced"] = round(scores.balanced, 5)
        self.history.append(line)
        value = scores.balanced if isinstance(scores, ClassScores) else -loss
        return Kept(epoch, value, loss, state, scores)

    def now(self) -> TrainedNetwork:
        """The mean of the weights so far, without metrics."""
        model = self.recipe.model
        hyper = networks.describe(model, self.fit.x.shape[2], self.target.size) | {
            "readout": model.readout,
            "time_scale": self.time_scale,
            "mean": [float(v) for v in self.statistics.mean],
            "std": [float(v) for v in self.statistics.std],
            "labels": list(self.fit.labels),
        }
        if self.fit.channels:
            hyper["channels"] = list(self.fit.channels)
        if self.fixed_dt:
            hyper["fixed_dt"] = self.fixed_dt
        return TrainedNetwork(self.target.in_unit(self.mean_net.state_dict()), hyper)

    def _checkpoint(self, kept: Kept, seconds: float, stopped: bool) -> TrainedNetwork:
        now, recipe = self.now(), self.recipe
        metrics: dict[str, Any] = {"kept_epoch": kept.epoch}
        metrics["loss"] = self.history[kept.epoch - 1]["loss"]
        if kept.scores is not None:
            by = "balanced accuracy, then loss" if self.target.classes else "loss"
            measured = kept.scores.to_dict()
            # names of groups are those of people
            measured.pop("by_group", None)
            metrics |= {"kept_by": by, "score": kept.score, "valid_loss": kept.loss}
            metrics["validation"] = measured
        state = {key: value.detach().clone() for key, value in now.state.items()}
        plain = networks.decayed(self.mean_net)[0]
        metrics["largest_weight"] = max(float(value.detach().abs().max()) for value in plain)
        settings = dataclasses.asdict(recipe)
        settings["data"] = _public(settings["data"])
        training = {
            "seconds": round(seconds, 2),
            "epochs_run": len(self.history),
            "stopped": stopped,
            "sequences": len(self.fit),
            "sampling": sampling(self.fit.dt[self.fit.mask]),
            "torch": torch.__version__,
        }
        return TrainedNetwork(
            state,
            now.hyper
            | {
                "training": training,
                "metrics": metrics,
                "recipe": settings,
                "history": self.history,
            },
            kept.scores,
        )


def _tensors(
    data: Sequences, statistics: Statistics, time_scale: float, fixed_dt: float
) -> tuple[Tensor, Tensor]:
    """Normalised x (N, T, I), and dt (N, T) in units of the cell. fixed_dt: seconds; 0: none."""
    dt = np.full(data.dt.shape, fixed_dt, np.float32) if fixed_dt else data.dt
    return torch.from_numpy(statistics.apply(data.x)), torch.from_numpy(
        dt / np.float32(time_scale)
    )


def _cosine(total: int, warmup: float) -> Callable[[int], float]:
    """Learning rate factor: up in a line over the first share `warmup`, then down in half a
    cosine.
    """
    rise = max(1, round(total * warmup))

    def factor(update: int) -> float:
        if update < rise:
            return (update + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (update - rise) / max(1, total - rise)))

    return factor


def _note(line: Mapping[str, float]) -> str:
    return "  ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in line.items() if k != "epoch")


@contextmanager
def settings(threads: int) -> Iterator[None]:
    """Deterministic, with at most that many threads; what was set before comes back."""
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(max(1, min(threads, os.cpu_count() or 1)))
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict)
