import dataclasses

import numpy as np
import pytest

from ulnn_host.data import machines
from ulnn_host.data.machines import COUNT, ORDERS, RATE, SHA256

SOME = {  # of every 97th snapshot
    "development": "2dcfb88d467dad91b7a7a9cb5df7985f783838f60e8254bbabb3bab219588c16",
    "final": "d4ca476c2c315c6e441a2ea1a7f7852128b47f0abbd0813787975383845f6636",
}


@pytest.mark.parametrize("split", SOME)
def test_the_set_is_the_same_everywhere(split):
    assert machines.content_hash(split, 97) == SOME[split]


@pytest.mark.slow
@pytest.mark.parametrize("split", SHA256)
def test_all_of_the_set_is_the_same_everywhere(split, full):
    if not full:
        pytest.skip("hashes 9,441 seconds of samples: --full")
    assert machines.content_hash(split) == SHA256[split]


@pytest.mark.parametrize("split", COUNT)
def test_lives_have_a_healthy_part_and_an_end(split):
    made = machines.machines(split)
    assert len(made) == COUNT[split]
    assert len({machine.name for machine in made}) == len(made)
    for machine in made:
        share = machine.healthy.mean()
        assert 0.4 < share < 0.85
        assert (machine.severity[machine.healthy] == 0).all()
        assert machine.severity[~machine.healthy][-5:].max() > 0.5
        assert machine.running.mean() > 0.5


@pytest.mark.parametrize("number", range(3))
def test_the_envelope_shows_the_fault_and_nothing_before_it(number):
    """The envelope's spectrum around the bearing's resonance: the line at the fault frequency."""
    machine = machines.machines("development")[number]
    # a stronger fault, that two machines' noise does not hide
    machine = dataclasses.replace(machine, peak=4 * machine.peak)
    running = np.flatnonzero(machine.running)
    line = _line(machine, int(running[-1]))
    assert line > 10
    assert _line(machine, int(running[machine.healthy[running]][-1])) < line / 3


def _line(machine, k):
    """Strength of the fault's line in the median of the spectrum of the envelope."""
    x = machine.snapshot(k).astype(float)
    spectrum, frequency = np.fft.rfft(x), np.fft.rfftfreq(len(x), 1 / RATE)
    spectrum[np.abs(frequency - machine.bearing.frequency) > 800] = 0
    envelope = np.abs(np.fft.irfft(spectrum))
    lines = np.abs(np.fft.rfft(envelope - envelope.mean()))
    wanted = ORDERS[machine.fault] * machine.speed[k]
    near = np.abs(frequency - wanted) < 3
    return lines[near].max() / np.median(lines[(frequency > 40) & (frequency < 400)])
