"""The claim about patients: what is taught, what is measured, and what gives no verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import record_208
from claims import cells, hearts, lessons, patient
from claims.claim import QUICK, Findings, Run
from claims.lessons import CENTRES, WHOLE, Learnt, Lesson
from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.data import ecg
from ulnn_host.train import train


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[ecg.Patient]:
    """A generated patient in place of MIT-BIH 208."""
    one = ecg.patient(0, 90, 360)
    monkeypatch.setattr(record_208.mitbih, "excerpt", lambda: one.signal)
    hearts.person.cache_clear()
    yield one
    hearts.person.cache_clear()


def test_a_patients_beats_hold_their_qrs() -> None:
    data = next(d for d in map(hearts.beats, range(10)) if 0 in np.asarray(d.y))
    assert data.x.shape[1:] == (hearts.BEFORE + hearts.AFTER, 2)
    normal = data.take(np.asarray(data.y) == 0)
    at = np.abs(normal.x[..., 0]).argmax(1)
    assert np.median(np.abs(at - hearts.BEFORE)) <= 2


def test_what_is_measured_chooses_nothing(tmp_path: Path) -> None:
    """The same beats with right and with wrong labels: what one gains the other loses."""
    data = waves(labels=("slow", "fast"))
    network = train.train(plan(tmp_path, data, training={"epochs": 4}), quiet=True)
    examples, later = waves(24, seed=1), waves(60, seed=2)
    assert later.y is not None
    wrong = replace(later, y=1 - later.y)
    lesson = Lesson(network.float_network(), data, examples, (later, wrong))
    right, other = (Learnt(np.array(rows)).accuracy for rows in lessons.taught(lesson))
    assert other == pytest.approx(100 - right)
    assert right[2] > right[0]
    assert other[2] < other[0]


def test_the_labels_of_208_are_its_clusters(person: ecg.Patient) -> None:
    data, said = hearts.person()
    assert data is not None
    assert "give no verdict" in said
    kinds = record_208.kinds(data.x[..., 0].astype(np.float64))
    assert np.array_equal(data.y == ecg.VENTRICULAR, kinds == 1)
    assert set(np.asarray(data.y)) == {ecg.NORMAL, ecg.VENTRICULAR}
    # of a patient whose beats are known they are the ventricular ones
    known = np.mean(person.classes == ecg.VENTRICULAR)
    assert known > 0.1
    assert np.mean(kinds) == pytest.approx(known, abs=0.02)


def counts(accuracy: float) -> NDArray[np.float64]:
    """Of normal beats, some are decided atrial, of ventricular ones as many normal."""
    wrong = 1 - accuracy
    return np.array([[accuracy, wrong, 0], [0, 0, 0], [wrong, 0, accuracy]])


def _found(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Findings:
    """The test of the claim, where lessons and the watch are made up."""

    def taught(lesson: Lesson) -> list[list[NDArray[np.float64]]]:
        assert len(lesson.examples) == patient.EXAMPLES
        clustered = ecg.ATRIAL not in np.asarray(lesson.tests[0].y)
        return [[counts(a) for a in ((0.5, 0.9, 0.4) if clustered else (0.5, 0.6, 0.8))]]

    def people(run: Run) -> tuple[patient.Found, str]:
        learnt = Learnt(np.broadcast_to(counts(0.5), (1, 2, 3, 3, 3)))
        tasks = (patient.SAME, patient.OTHER)
        return {(name, task): learnt for name in patient.RIVALS for task in tasks}, ""

    monkeypatch.setattr(lessons, "taught", taught)
    monkeypatch.setattr(patient, "of_people", people)
    monkeypatch.setattr(hearts, "drawn", lambda: [([0, 1, 2, 3], [6, 8])])
    return patient.CLAIM.test(Run(replace(QUICK, epochs=1), folder))


def test_clusters_have_a_table_and_no_verdict(
    person: ecg.Patient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = _found(monkeypatch, tmp_path)
    measured, clustered = found.tables
    assert found.measured.value == pytest.approx(10)
    assert len(measured.rows) == 6
    assert measured.rows[0][3].startswith("+10.0 (+10.0 to +10.0)")
    assert measured.rows[0][4].startswith("+30.0")
    assert measured.rows[0][5].startswith("+20.0")
    assert clustered.title.startswith("No verdict")
    wrong, normal, *_ = clustered.rows
    assert wrong == (cells.CFC, "is wrong", "50.0 %", "+40.0 (+40.0)", "-10.0 (-10.0)")
    assert normal == (cells.CFC, "is normal", "75.0 %", "+20.0 (+20.0)", "-5.0 (-5.0)")
    assert any("**Labels by clustering give no verdict**" in note for note in found.notes)
    assert {dot.label for dot in found.chart.dots} == set(patient.TASKS)


def test_without_network_there_are_no_clusters_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline() -> None:
        raise UlnnError("no network")

    monkeypatch.setattr(record_208.mitbih, "excerpt", offline)
    hearts.person.cache_clear()
    try:
        found = _found(monkeypatch, tmp_path)
    finally:
        hearts.person.cache_clear()
    assert found.measured.value == pytest.approx(10)
    assert len(found.tables) == 1
    assert found.notes == (f"{hearts.MISSING} (no network)",)
    assert "MIT-BIH 208" not in found.data


def test_who_gains_more_is_a_loss_by_way() -> None:
    def learnt(points: tuple[float, float]) -> Learnt:
        before = np.random.default_rng(0).normal(60, 2, (2, 5))
        shares = [before, before + points[0], before + points[1]]
        rows = [[[counts(s[k, c] / 100) for s in shares] for c in range(5)] for k in range(2)]
        return Learnt(np.array(rows))

    found = {
        (name, task): learnt((1, 2) if name == cells.CFC else (1, 5))
        for name in patient.RIVALS
        for task in patient.TASKS
    }
    found[cells.CFC, patient.OTHER] = learnt((-3, 5))
    first, second, worse, more = patient.losses(found)
    assert first.startswith(f"{patient.PATIENTS}, {WHOLE}: {cells.GRU_DT} gains more, +3.0")
    assert second.startswith(patient.SAME)
    assert worse.startswith(f"{patient.OTHER}, {CENTRES}: decisions are worse")
    assert more.startswith(f"{patient.OTHER}, {CENTRES}: {cells.GRU_DT} gains more, +4.0")
