"""`ulnn compare`: networks against each other, fairly: the same data held out, the same budget,
some seeds each, and differences with intervals.

Every recipe is trained on each fold with each seed, and measured on what the fold holds out, in
float and as the integers that a board runs (`trainings`). Differences to the first recipe are
paired (`intervals`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..base.errors import UlnnError
from ..base.toml_tables import check, choice, number
from ..data import sets
from ..data.options import DataOptions
from ..data.scores import class_names
from ..data.sequences import Sequences
from ..train import train
from ..train.model_recipe import ModelRecipe
from ..train.networks import words
from ..train.recipe import FILES, Recipe, read_recipe
from ..train.target import target_of
from . import folds
from .budget import Budget, solved
from .folds import LEAVE_OUT, Fold, LeaveOut
from .intervals import Bootstrap, Interval, Tallies, Tally
from .measured import ACCURACY, RMSE
from .trainings import Job, Outcome, outcomes

BETTER, WORSE, NOT_SEEN, NO_VERDICT = "better", "worse", "not seen", "no verdict"
BASELINE = "linear"
FEW = 5  # fewer seeds or clusters make intervals that are too narrow


@dataclass(frozen=True)
class Plan:
    """How recipes are compared.

    seeds: of each, 1, 2 ... in place of its own. leave_out: what folds hold out: "group",
    "recording", or "recipe", what the first recipe itself holds out. folds: how many, each of
    which is held out once. budget: what each network is to have at most (`budget.Budget.parse`);
    empty: sizes as in the recipes. rates: learning rates to choose from, for each recipe and fold,
    on a part of what the fold fits; empty: those of the recipes. bits: 8 or 16, of the weights.
    baseline: whether the cell `linear` is compared, too (`with_baseline`). seed: of the folds, of
    the samples lost in what is held out, and of the draws. Raises UlnnError.
    """

    seeds: int = number(5, 1, 1000)
    leave_out: str = choice("group", *LEAVE_OUT)
    folds: int = number(5, 2)
    budget: str = ""
    rates: tuple[float, ...] = number((), 1e-7, 10.0)
    bits: int = 8
    baseline: bool = False
    seed: int = number(0, 0, 2**31 - 1)

    def __post_init__(self) -> None:
        check(self)
        if self.budget:
            Budget.parse(self.budget)
        if self.bits not in (8, 16):
            raise UlnnError(f"bits: expected 8 or 16, got {self.bits}")


@dataclass(frozen=True)
class Entry:
    """A recipe that was compared. recipe: with its size for the budget. rates: the learning rate
    of each fold. size, cycles, products: of the int model, the largest of all trainings. floats,
    integers: means over seeds and clusters; by_seed, by_cluster: of the integers. Of a cell
    without an integer engine integers is None, by_seed and by_cluster are in float, size and
    cycles estimated. seconds: of all its trainings."""

    name: str
    recipe: Recipe
    rates: tuple[float, ...]
    size: int
    cycles: int
    products: int
    floats: Interval
    integers: Interval | None
    by_seed: tuple[float, ...]
    by_cluster: Mapping[str, float]
    seconds: float

    @property
    def what(self) -> str:
        """The network in a few words."""
        return words(self.recipe.model)

    @property
    def judged(self) -> Interval:
        """Of the integers, where there are any."""
        return self.integers or self.floats

    @property
    def float_only(self) -> bool:
        """Whether there is no integer engine for its cell."""
        return self.integers is None


@dataclass(frozen=True)
class Difference:
    """name - first, of the integers, or in_float where one of both has none. verdict: BETTER or
    WORSE than the first, NOT_SEEN where the interval has 0 in it, NO_VERDICT of one seed."""

    name: str
    first: str
    interval: Interval
    verdict: str
    in_float: bool = False


@dataclass(frozen=True)
class Comparison:
    """What was found. measure: ACCURACY (the larger the better) or RMSE. clusters: how many groups
    or recordings were held out; seeds: how many are complete; done, planned: trainings, those that
    choose learning rates included. stopped: by Ctrl-C."""

    plan: Plan
    measure: str
    seeds: int
    done: int
    planned: int
    clusters: int = 0
    entries: tuple[Entry, ...] = ()
    differences: tuple[Difference, ...] = ()
    stopped: bool = False

    @property
    def notes(self) -> list[str]:
        """What to keep in mind."""
        found = []
        for count, what in ((self.seeds, "seeds"), (self.clusters, self.unit)):
            if 1 < count < FEW:
                found.append(f"{count} {what}: intervals are too narrow")
        if self.clusters == 1:
            found.append(f"1 of the {self.unit} is held out: other ones may differ from it")
        if self.seeds == 1:
            found.append("one seed gives no verdict: --seeds 5")
        alone = [entry.name for entry in self.entries if entry.float_only]
        if alone:
            found.append(
                f"float only: {', '.join(alone)}: no board runs it, it is compared in float; its "
                "bytes (~) are int8 weights and what every file has, its cycles (~) those of its "
                "products in CMSIS-NN, activation functions not counted"
            )
        if self.budget:
            most, unit = self.budget.most, self.budget.unit
            costs = {entry.name: getattr(entry, _COST[unit]) for entry in self.entries}
            found += [f"{k} has {v:,} {unit} once trained" for k, v in costs.items() if v > most]
        return found

    @property
    def unit(self) -> str:
        """What the clusters are, in the plural."""
        units = {"group": "groups", "recording": "recordings", "recipe": "groups or recordings"}
        return units[self.plan.leave_out]

    @property
    def integers(self) -> str:
        """What the integer networks are called."""
        return f"int{self.plan.bits}"

    @property
    def budget(self) -> Budget | None:
        """What each network was to have at most."""
        return Budget.parse(self.plan.budget) if self.plan.budget else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self.plan) | {
            "measure": self.measure,
            "clusters": self.clusters,
            "seeds": self.seeds,
            "trainings": self.done,
            "planned": self.planned,
            "stopped": self.stopped,
            "notes": self.notes,
            "networks": [_entry(entry) for entry in self.entries],
            "differences": [dataclasses.asdict(d) for d in self.differences],
        }


_COST = {"bytes": "size", "cycles": "cycles"}
Report = Callable[[int, int, str], None]


def _silent(done: int, planned: int, note: str) -> None:
    pass


def compare(
    recipes: Mapping[str, Recipe],
    plan: Plan,
    cache: Path,
    report: Report = _silent,
    data: Sequences | None = None,
) -> Comparison:
    """Compare recipes, by name, the first with all others. cache: folder of trainings that are
    done; another call goes on from there. report(trainings done, planned, what is done). data: in
    place of the recipes'. Ctrl-C ends it; seeds that all recipes have done count. Raises
    UlnnError.
    """
    return _Comparison(recipes, plan, cache, report, data).run()


def compare_files(
    paths: Sequence[Path], plan: Plan, cache: str | Path | None = None, report: Report = _silent
) -> Comparison:
    """As `compare`, recipes in files. cache: None: compare.cache beside the first."""
    paths = list(dict.fromkeys(paths))
    stems = [path.stem for path in paths]
    recipes = {
        path.stem if stems.count(path.stem) == 1 else str(path): read_recipe(path)
        for path in paths
    }
    beside = (paths[0] if paths else Path()).parent
    return compare(recipes, plan, Path(cache or beside / "compare.cache"), report)


def with_baseline(recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """The recipes, and after them the first one with the cell `linear` (`train.cells.linear`):
    means, spreads and the last samples, without a network. What decides is the last step, which
    has seen all, unless there is a target for every step."""
    first = next(iter(recipes.values()), None)
    if first is None or any(recipe.model.cell == BASELINE for recipe in recipes.values()):
        return dict(recipes)
    name = next(n for n in (BASELINE, "baseline", "linear baseline") if n not in recipes)
    readout = "each" if first.model.readout == "each" else "last"
    model = ModelRecipe(cell=BASELINE, readout=readout, use_dt=first.model.use_dt)
    return dict(recipes) | {name: replace(first, model=model)}


class _Comparison:
    """One process's work."""

    def __init__(
        self,
        recipes: Mapping[str, Recipe],
        plan: Plan,
        cache: Path,
        report: Report,
        data: Sequences | None,
    ) -> None:
        if plan.baseline:
            recipes = with_baseline(recipes)
        if len(recipes) < 2:
            raise UlnnError("expected two different recipes or more, to compare them")
        self.plan, self.cache, self.report = plan, cache, report
        self.first, first = next(iter(recipes.items()))
        _check_alike(recipes, whole=data is None)
        readout = first.model.readout
        if data is None:
            data = sets.read_source(first.data.source, first.data, readout)
        self.folds = _folds(first, data, plan)
        if plan.leave_out == "recipe":
            recipes = {name: _holding_nothing(recipe) for name, recipe in recipes.items()}
        fit = self.folds[0].fit
        self.measure = ACCURACY if target_of(fit, readout).classes else RMSE
        most = Budget.parse(plan.budget) if plan.budget else None
        self.recipes: dict[str, Recipe] = {}
        for name, recipe in recipes.items():
            try:
                self.recipes[name] = solved(recipe, most, fit, plan.bits) if most else recipe
            except UlnnError as error:
                raise UlnnError(f"{name}: {error}") from error
        self.done = 0
        rated = len(plan.rates) if len(plan.rates) > 1 else 0
        self.planned = len(self.recipes) * len(self.folds) * (plan.seeds + rated)

    def run(self) -> Comparison:
        """All trainings, and what follows from them."""
        found: dict[tuple[str, int, int], Outcome] = {}
        rates: dict[tuple[str, int], float] = {}
        stopped = False
        try:
            rates = self._rates()
            keys = [
                (name, seed, k)
                for seed in range(1, self.plan.seeds + 1)
                for k in range(len(self.folds))
                for name in self.recipes
            ]
            jobs = [self._job(*key, self.folds[key[2]], rates[key[0], key[2]]) for key in keys]
            for at, outcome in outcomes(jobs, self.cache):
                name, *_ = keys[at]
                if outcome.failure:
                    raise UlnnError(f"{jobs[at].name}: {outcome.failure}")
                found[keys[at]] = outcome
                self._tick(name)
        except KeyboardInterrupt:
            stopped = True
        return self._result(found, rates, stopped)

    def _rates(self) -> dict[tuple[str, int], float]:
        """The learning rate of each recipe and fold."""
        pairs = [(name, k) for name in self.recipes for k in range(len(self.folds))]
        rates = self.plan.rates
        if len(rates) < 2:
            own = {name: r.training.learning_rate for name, r in self.recipes.items()}
            return {(name, k): rates[0] if rates else own[name] for name, k in pairs}
        conditions = self.recipes[self.first].data
        inside = [folds.inner(f, conditions, self.plan.seed) for f in self.folds]
        keys = [(name, k, rate) for name, k in pairs for rate in rates]
        jobs = [self._job(name, 1, k, inside[k], rate) for name, k, rate in keys]
        losses: dict[tuple[str, int], dict[float, float]] = {pair: {} for pair in pairs}
        for at, outcome in outcomes(jobs, self.cache):
            name, k, rate = keys[at]
            losses[name, k][rate] = self._loss(outcome)
            self._tick(f"{name}, learning rate {rate:g}")
        best = {}
        for pair in pairs:
            rate = min(rates, key=lambda rate: (losses[pair][rate], rates.index(rate)))
            if math.isinf(losses[pair][rate]):
                raise UlnnError(f"{pair[0]} cannot be trained with any of the learning rates")
            best[pair] = rate
        return best

    def _job(self, name: str, seed: int, k: int, fold: Fold, rate: float) -> Job:
        recipe = self.recipes[name]
        training = replace(recipe.training, learning_rate=rate)
        called = f"{name}, seed {seed}, fold {k + 1} of {len(self.folds)}"
        return Job(replace(recipe, seed=seed, training=training), fold, self.plan.bits, called)

    def _tick(self, note: str) -> None:
        self.done += 1
        self.report(self.done, self.planned, note)

    def _loss(self, outcome: Outcome) -> float:
        if outcome.failure:
            return math.inf
        value = Tallies(self.measure, [list(outcome.judged.values())]).mean
        return value if self.measure == RMSE else -value

    def _result(
        self,
        found: Mapping[tuple[str, int, int], Outcome],
        rates: Mapping[tuple[str, int], float],
        stopped: bool,
    ) -> Comparison:
        places = range(len(self.folds))
        complete = [
            seed
            for seed in range(1, self.plan.seeds + 1)
            if all((name, seed, k) in found for name in self.recipes for k in places)
        ]
        done = Comparison(
            self.plan, self.measure, len(complete), self.done, self.planned, stopped=stopped
        )
        if not complete:
            return done
        names = [c for k in places for c in found[self.first, complete[0], k].in_float]
        bootstrap = Bootstrap(len(names), len(complete), self.plan.seed)
        entries: list[Entry] = []
        every_float, judged = dict[str, Tallies](), dict[str, Tallies]()
        for name, recipe in self.recipes.items():
            rows = [[found[name, seed, k] for k in places] for seed in complete]
            floats = self._scores([[o.in_float for o in row] for row in rows])
            scores = self._scores([[o.judged for o in row] for row in rows])
            every = [outcome for row in rows for outcome in row]
            every_float[name], judged[name] = floats, scores
            entries.append(
                Entry(
                    name=name,
                    recipe=recipe,
                    rates=tuple(rates[name, k] for k in places),
                    size=max(o.size for o in every),
                    cycles=max(o.cycles for o in every),
                    products=max(o.products for o in every),
                    floats=bootstrap.mean(floats),
                    integers=bootstrap.mean(scores) if every[0].in_integers else None,
                    by_seed=tuple(scores.by_seed),
                    by_cluster=dict(zip(names, scores.by_cluster, strict=True)),
                    seconds=sum(o.seconds for o in every),
                )
            )
        first, *others = entries
        differences = []
        for other in others:
            in_float = first.float_only or other.float_only
            of = every_float if in_float else judged
            interval = bootstrap.difference(of[other.name], of[first.name])
            change = Difference(
                other.name, first.name, interval, self._verdict(interval, len(complete)), in_float
            )
            differences.append(change)
        return replace(
            done,
            clusters=len(names),
            entries=tuple(entries),
            differences=tuple(differences),
        )

    def _scores(self, rows: list[list[dict[str, Tally]]]) -> Tallies:
        """Of each seed the tallies of all folds' clusters, in one order."""
        return Tallies(
            self.measure, [[t for tallies in row for t in tallies.values()] for row in rows]
        )

    def _verdict(self, interval: Interval, seeds: int) -> str:
        if seeds < 2:
            return NO_VERDICT
        if not interval.without_zero:
            return NOT_SEEN
        return BETTER if (interval.value > 0) == (self.measure == ACCURACY) else WORSE


def _check_alike(recipes: Mapping[str, Recipe], whole: bool) -> None:
    """Raise UlnnError unless all recipes read the same data. whole: their source, too."""
    names = iter(recipes.items())
    first, base = next(names)
    keys = [f.name for f in dataclasses.fields(DataOptions)]
    keys += ["source"] if whole else []

    def said(recipe: Recipe, key: str) -> Any:
        value = getattr(recipe.data, key)
        return str(Path(value).resolve()) if value and key in FILES else value

    for name, recipe in names:
        other = next((k for k in keys if said(recipe, k) != said(base, k)), "")
        if other:
            values = (repr(getattr(r.data, other)) for r in (recipe, base))
            raise UlnnError(
                f"{name} and {first} differ in data.{other} ({', '.join(values)}): recipes that "
                "are compared read the same data"
            )
        if (recipe.model.readout == "each") != (base.model.readout == "each"):
            raise UlnnError(
                f'{name} and {first} differ in model.readout: "each" is compared with "each" alone'
            )


def _folds(recipe: Recipe, data: Sequences, plan: Plan) -> list[Fold]:
    """The folds of a plan; windows and lost samples of what is held out are the recipe's."""
    leave_out = cast(LeaveOut, plan.leave_out)
    if data.y is not None and data.y.dtype.kind in "iu" and not data.labels:
        # so that a fold without the last class has as many outputs
        data = replace(data, labels=class_names((), int(data.y.max()) + 1))
    if leave_out == "recipe":
        source = replace(recipe.data, drop=0.0, window=0.0)
        fit, held = train.split(replace(recipe, data=source), data)
        if held is None:
            raise UlnnError(
                "leave out what the recipe holds out: it holds nothing out, give data.valid, "
                "valid_groups or valid_fraction"
            )
        parts = [(folds.clustered(fit, leave_out), folds.clustered(held, leave_out))]
    else:
        if data.per == "" and recipe.model.readout == "each":
            data = replace(data, per="step")
        parts = folds.dealt(folds.clustered(data, leave_out), plan.folds, plan.seed)
    made = []
    for k, (fit, held) in enumerate(parts):
        try:
            made.append(folds.fold(fit, held, recipe.data, plan.seed + k))
        except UlnnError as error:
            assert held.group is not None
            out = ", ".join(held.groups[g] for g in np.unique(held.group))
            raise UlnnError(f"fold {k + 1} of {len(parts)}, held out {out}: {error}") from error
    return made


def _holding_nothing(recipe: Recipe) -> Recipe:
    """What the recipe holds out is what is measured on, not a part of what is fitted."""
    return replace(recipe, data=replace(recipe.data, valid_fraction=0.0))


def _entry(entry: Entry) -> dict[str, Any]:
    model = entry.recipe.model
    return {
        "name": entry.name,
        "cell": model.cell,
        "what": entry.what,
        "learning_rates": entry.rates,
        "bytes": entry.size,
        "cycles": entry.cycles,
        "products": entry.products,
        "float": dataclasses.asdict(entry.floats),
        "integers": dataclasses.asdict(entry.integers) if entry.integers else None,
        "estimated": entry.float_only,
        "by_seed": entry.by_seed,
        "by_cluster": dict(entry.by_cluster),
        "seconds": round(entry.seconds, 2),
    }
