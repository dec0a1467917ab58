"""`ulnn convert --unknown`: the threshold holds on groups left out, the integers are those of the
fit, and scores count what is unknown."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import ulnn_host as uh
from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines import decided
from ulnn_host.engines import registry as engines
from ulnn_host.engines.batch import quantise
from ulnn_host.quantize import unknown
from ulnn_host.train import train
from ulnn_rules.unknown import Unknown

SHARE = 0.1


def people(seed: int, count: int = 8) -> Sequences:
    """Waves of some people, each of a size of his own."""
    rng = np.random.default_rng(seed)
    data = waves(96, seed=seed)
    group = np.arange(96) % count
    size = rng.uniform(0.8, 1.2, count)[group]
    return dataclasses.replace(data, x=data.x * size[:, None, None].astype("f4"), group=group)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> uh.Model:
    path = tmp_path_factory.mktemp("unknown")
    trained = train.train(plan(path, waves(), training={"epochs": 10}), quiet=True)
    return uh.convert(trained, people(1), unknown=SHARE)


def distances(model: uh.Model, data: Sequences) -> np.ndarray:
    """By the rules of the board."""
    rule = Unknown(model.file.unknown, model.file.input_size)
    x, found = quantise(model.file, data).x, []
    for n, length in enumerate(data.length.tolist()):
        rule.start()
        for row in x[n, :length].tolist():
            rule.add(row)
        found.append(rule.distance())
    return np.array(found)


def test_the_integers_are_those_of_the_fit(model: uh.Model) -> None:
    data = people(1)
    x, mask = quantise(model.file, data).x.astype(np.float64), data.mask
    base = np.rint(x[mask].mean(axis=0))
    found = unknown.statistics(x, mask, base, unknown._floors(x, mask))
    assert data.y is not None
    assert data.group is not None
    want = unknown.fit(found, data.y, data.group).distances(found)
    np.testing.assert_allclose(distances(model, data) / 64, want, rtol=0.06, atol=0.5)


def test_the_threshold_holds_for_people_left_out(model: uh.Model) -> None:
    data = people(1)
    rule = Unknown(model.file.unknown, model.file.input_size)
    assert (distances(model, data) > rule.threshold).mean() < SHARE
    new = (distances(model, people(2, 24)) > rule.threshold).mean()
    assert 0 < new < 3 * SHARE
    strange = dataclasses.replace(data, x=np.zeros_like(data.x))
    assert (distances(model, strange) > rule.threshold).all()


def test_scores_count_what_is_unknown(model: uh.Model) -> None:
    data = people(3)
    x = data.x.copy()
    x[:10] = 0.5
    data = dataclasses.replace(data, x=x)
    y = engines.run(model.content, quantise(model.file, data), "reference").y
    found = decided.score_classes(model.file, y, data)
    far = distances(model, data) > Unknown(model.file.unknown, 2).threshold
    assert far[:10].all()
    assert found.unknown == far.sum()
    assert found.unsure is None
    assert found.count == 96 - far.sum()
    assert found.figures()["unknown"] == far.mean()
    assert found.to_dict()["unknown"] == far.sum()
    assert found.to_dict()["decided"] == pytest.approx(1 - far.mean())


def test_what_has_no_threshold(model: uh.Model) -> None:
    data = people(1)
    alone = dataclasses.replace(data, group=np.zeros(96, np.int64))
    with pytest.raises(UlnnError, match="expected data with two or more groups, or recordings"):
        unknown.section(model.file, alone, SHARE)
    assert model.file.decision is not None
    each = dataclasses.replace(
        model.file, decision=dataclasses.replace(model.file.decision, readout="each")
    )
    with pytest.raises(UlnnError, match="a readout mean, last or vote"):
        unknown.section(each, data, SHARE)
