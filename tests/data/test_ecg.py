"""Generated patients: always the same, and right about their own beats."""

import numpy as np
import pytest

from ulnn_host.base.errors import UlnnError
from ulnn_host.data import ecg

QUIET = ecg.Noise(muscle=0, wander=0, mains=0)


def test_a_patient_is_always_the_same_and_another_than_the_next():
    one, again, other = ecg.patient(3, 20), ecg.patient(3, 20), ecg.patient(4, 20)
    assert np.array_equal(one.signal, again.signal)
    assert np.array_equal(one.r, again.r)
    assert not np.array_equal(one.signal, other.signal)
    assert not np.array_equal(one.signal, ecg.patient(3, 20, seed=2).signal)


@pytest.mark.parametrize("rate", [180, 250, 360])
def test_a_beat_is_where_its_patient_says(rate):
    for number in range(6):
        one = ecg.patient(number, 30, rate, QUIET)
        quick = one.classes != ecg.VENTRICULAR
        for r in one.r[one.seen & quick]:
            near = np.abs(one.signal[r - 20 : r + 21])
            assert abs(int(np.argmax(near)) - 20) <= 0.05 * rate


def test_the_rate_changes_the_samples_and_not_the_beats():
    slow, fast = ecg.patient(7, 30, 180), ecg.patient(7, 30, 360)
    assert np.array_equal(slow.classes, fast.classes)
    assert np.abs(slow.r / 180 - fast.r / 360).max() < 1 / 180


def test_forty_patients_have_beats_of_all_classes():
    classes = [ecg.patient(number, 60).classes for number in range(ecg.PATIENTS)]
    counts = np.array([np.bincount(each, minlength=3) for each in classes])
    assert counts[:, ecg.VENTRICULAR].min() >= 1
    assert counts.sum(0).min() > 200
    fibrillates = counts[:, ecg.NORMAL] == 0
    assert 4 <= fibrillates.sum() <= 16


def test_where_the_lead_is_off_no_beat_is_seen():
    one = ecg.patient(1, 120, noise=ecg.Noise(off=4))
    assert one.off
    for first, end in one.off:
        assert np.ptp(one.signal[first:end]) == 0
        assert not one.seen[(one.r >= first) & (one.r < end)].any()


def test_each_sample_has_the_class_of_its_beat():
    found = [ecg.patient(number, 30 + number) for number in range(3)]
    data = ecg.sequences(found)
    assert data.channels == ("ecg",)
    assert data.labels == ecg.CLASSES
    for row, one in enumerate(found):
        assert data.length[row] == len(one.signal)
        assert np.array_equal(data.y[row, one.r], one.classes)


def test_impossible_recordings_are_refused():
    with pytest.raises(UlnnError, match=r"0\.5 s at 250 samples a second: expected 1 s and 50"):
        ecg.patient(1, 0.5)
