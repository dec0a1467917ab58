"""A training recipe: a TOML file as dataclasses that refuse what they do not know."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from ..base import toml_tables, toml_text
from ..base.errors import UlnnError
from ..base.toml_tables import choice, number, table
from ..data import sets
from ..data.degrade import FILLS, PATTERNS
from ..data.options import DataOptions
from .cells import cell_of
from .model_recipe import ModelRecipe

RECIPES = Path(__file__).parent / "recipes"
# Keys of [data] that name files beside a recipe
FILES = ("source", "valid", "mask", "features", "beats")


@dataclass(frozen=True)
class DataRecipe(DataOptions):
    """Where samples come from, and how they are read (the keys of `DataOptions`).

    source                a file of data, a folder or a pattern (relative to the recipe); or
                          "watch", the demo set, or "vowels", JapaneseVowels
    valid                 a second one to validate on, or instead of it
    valid_groups          groups held out of the source, by name or number, or instead of it
    valid_fraction        share of the sequences held out at random
    window                seconds, cut at random places afresh in each epoch; 0: whole sequences
    windows_per_sequence  how many of them in an epoch
    drop                  share of samples dropped at random, afresh in each epoch; [0, 0.6]: a
                          share between these for each sequence
    drop_pattern          "samples" drops each for itself, "bursts" some in a row
    fill                  "skip": dt becomes the time since the last sample that is there; "hold",
                          "mean": the value before, or the channel's mean, is put in its place
    """

    source: str
    valid: str = ""
    valid_groups: tuple[int | str, ...] = ()
    valid_fraction: float = number(0.0, 0.0, 0.9)
    window: float = number(0.0, 0.0)
    windows_per_sequence: int = number(1, 1)
    drop: float | tuple[float, ...] = number(0.0, 0.0, 0.99)
    drop_pattern: str = choice("samples", *PATTERNS)
    fill: str = choice("skip", *FILLS)

    @property
    def drop_range(self) -> tuple[float, float]:
        """The lowest and the highest share of dropped samples."""
        low, *_, high = self.drop if isinstance(self.drop, tuple) else (self.drop, self.drop)
        return low, high

    @property
    def stretch(self) -> float:
        """How much longer the elapsed times are in the mean when samples are skipped."""
        return 1 / (1 - sum(self.drop_range) / 2) if self.fill == "skip" else 1.0


@dataclass(frozen=True)
class TrainingRecipe:
    """The optimiser, AdamW with warm-up and a cosine schedule.

    warmup        share of the training in which the learning rate rises
    clip          largest norm of a gradient
    patience      epochs without a better validation before training stops; 0: never. The best
                  epoch is kept in any case where there is something to validate on
    average       decay of the running mean of the weights, which is the result; 0: the last ones
    weight_limit  largest absolute weight, small weights quantise well; 0: none. It and
                  weight_decay are for weights and biases, not for an LTC's own numbers
    consistency   weight of a penalty on what a little noise on the inputs changes in the outputs;
                  it makes a network insensitive to rounding, and training twice as long; 0: none
    """

    epochs: int = number(100, 1)
    batch: int = number(64, 1)
    learning_rate: float = number(0.005, 1e-7, 10.0)
    weight_decay: float = number(0.01, 0.0, 10.0)
    warmup: float = number(0.1, 0.0, 0.9)
    clip: float = number(1.0, 1e-6)
    patience: int = number(0, 0)
    average: float = number(0.98, 0.0, 0.9999)
    label_smoothing: float = number(0.0, 0.0, 0.9)
    class_weights: bool = True
    weight_limit: float = number(0.0, 0.0)
    consistency: float = number(0.0, 0.0, 100.0)


@dataclass(frozen=True)
class AugmentRecipe:
    """Random changes of training sequences, one draw per sequence.

    mirror  sign of each channel in the mirrored sequence, for every second one; empty: never
    rotate  degrees (standard deviation) of a turn of the channels in threes, x y z of a sensor
    scale   spread of a factor, one per channel: standard deviation of its logarithm; channels of
            equal spread share the factor
    speed   spread of a factor by which time runs faster
    rates   channels that grow with the speed
    noise   on each value, in standard deviations of its channel
    """

    mirror: tuple[float, ...] = ()
    rotate: float = number(0.0, 0.0, 180.0)
    scale: tuple[float, ...] = number((), 0.0, 2.0)
    speed: float = number(0.0, 0.0, 2.0)
    rates: tuple[int, ...] = number((), 0)
    noise: float = number(0.0, 0.0, 10.0)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides about a training."""

    data: DataRecipe
    model: ModelRecipe = field(default_factory=ModelRecipe)
    training: TrainingRecipe = TrainingRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    seed: int = number(0, 0, 2**63 - 1)


def read_recipe(path: Path, keys: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe in a file. A file that it names becomes a path relative to the working directory.
    keys: in place of the file's, as for `with_keys`.

    Raises UlnnError, one line that names the file and the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UlnnError(f"{path}: no such file; expected a recipe (.toml)") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UlnnError(f"{path} cannot be read: {reason}; expected a recipe (.toml)") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UlnnError(f"{path}: not valid TOML ({error})") from None
    try:
        recipe = with_keys(content, keys or {})
    except UlnnError as error:
        raise UlnnError(f"{path}: {error}") from None
    beside: dict[str, Any] = {
        key: str(path.parent / getattr(recipe.data, key))
        for key in FILES
        if getattr(recipe.data, key) not in ("", *sets.NAMES) and key not in (keys or {})
    }
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, **beside))


def parse(content: Mapping[str, Any]) -> Recipe:
    """The recipe in a parsed TOML document. Raises UlnnError, one line that names the key."""
    recipe = table(Recipe, content)
    try:
        cell = cell_of(recipe.model.cell)
    except UlnnError as error:
        raise UlnnError(f"model.{error}") from None
    for key in content.get("model", {}):
        if key not in cell.every_key:
            fitting = ", ".join(cell.every_key)
            raise UlnnError(f"model.{key} is not for cell {cell.name!r}, which has {fitting}")
    cell.check(recipe.model)
    drop = recipe.data.drop
    if isinstance(drop, tuple) and (len(drop) != 2 or drop[0] > drop[1]):
        raise UlnnError(
            f"data.drop is {list(drop)}, expected a share, or the lowest and the highest: [0, 0.6]"
        )
    ways = [
        bool(recipe.data.valid),
        bool(recipe.data.valid_groups),
        recipe.data.valid_fraction > 0,
    ]
    if sum(ways) > 1:
        raise UlnnError("data: give one of valid, valid_groups and valid_fraction, not several")
    if recipe.data.target == "next" and recipe.model.readout != "each":
        raise UlnnError(
            'data.target = "next" is a target of each step: model.readout = "each" belongs to it'
        )
    if recipe.training.patience and not any(ways):
        raise UlnnError(
            "training.patience needs something to validate on: "
            "give data.valid, valid_groups or valid_fraction"
        )
    return recipe


def with_keys(content: Mapping[str, Any], keys: Mapping[str, Any]) -> Recipe:
    """The recipe of a parsed document in which some keys have other values. keys: by their names
    alone, as `epochs=50`, since no two tables share one. Raises UlnnError.
    """
    tables = ("data", "model", "training", "augment")
    kinds = get_type_hints(Recipe)
    places = {f.name: name for name in tables for f in dataclasses.fields(kinds[name])}
    changed: dict[str, Any] = {key: content[key] for key in content}
    for key, value in keys.items():
        if key == "seed":
            changed[key] = value
        elif key in places:
            changed[places[key]] = {**changed.get(places[key], {}), key: value}
        else:
            raise toml_tables.unknown_key(key, (*places, "seed"))
    return parse(changed)


def dump(recipe: Recipe, folder: Path) -> str:
    """TOML that `load` reads from a file in that folder; the files it names become relative."""
    content = dataclasses.asdict(recipe)
    for key in FILES:
        value = content["data"][key]
        if value and value not in sets.NAMES:
            content["data"][key] = Path(os.path.relpath(value, folder)).as_posix()
    keys = cell_of(recipe.model.cell).every_key
    content["model"] = {key: value for key, value in content["model"].items() if key in keys}
    return toml_text.dumps({"seed": content.pop("seed"), **content})
