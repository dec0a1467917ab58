"""A board decides what the report on a PC says: windows of real recordings, votes, "unsure"."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from support.board_decisions import decide_on
from support.board_tools import USUAL, port_fixture
from ulnn_host import api
from ulnn_host.data import degrade, watch
from ulnn_host.data.scores import pool
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines import decided
from ulnn_host.train import recipe, train

pytestmark = [
    pytest.mark.board,
    pytest.mark.skipif(
        importlib.util.find_spec("seglearn") is None, reason="the demo set needs seglearn 1.2.5"
    ),
]


def few(split: watch.Split, recordings: int) -> Sequences:
    """Windows of the first recordings of every class."""
    whole = watch.recordings(split)
    chosen = np.concatenate([np.flatnonzero(whole.y == k)[:recordings] for k in range(7)])
    cut = whole.take(chosen).windows(watch.WINDOW, watch.WINDOW)
    return degrade.drop(cut, watch.DROP, np.random.default_rng(3))


@cache
def trained() -> tuple[train.TrainedNetwork, Sequences]:
    """A network after some epochs, with the data it was trained on."""
    made = recipe.read_recipe(recipe.RECIPES / "watch.toml", {"epochs": 12})
    return train.train(made, quiet=True), few("train", 3)


port = port_fixture(*USUAL)


@pytest.mark.parametrize("options", [{}, {"votes": 3, "unsure": 0.2}])
def test_every_decision_is_that_of_the_report(
    port: str, options: dict[str, float], tmp_path: Path
) -> None:
    network, seen = trained()
    model = api.convert(network, seen, **options)
    path = model.save(tmp_path / "m.ulnn")
    unseen = few("unseen", 2)
    y = model.outputs(unseen).y_int
    want = decided.of_sequences(decided.decisions(model.file, y, unseen))
    labels, made = decide_on(port, path, unseen)
    assert labels == model.labels == watch.recordings("unseen").labels
    assert [decision for decision, _, _ in made] == want.tolist()
    assert [name for _, _, name in made] == [(*labels, "unsure")[k] for k in want]
    real = pool(network.outputs(unseen), unseen.length, "mean").argmax(-1)
    if options:
        assert 0 < (want == -1).sum() < len(want)
    else:
        assert (real == want).mean() >= 0.99
