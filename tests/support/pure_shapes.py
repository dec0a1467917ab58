"""Shapes of models for the pure engine under MicroPython: every kind and mode, small."""

from __future__ import annotations

from support.random_models import Shape
from ulnn_host.format.model import Activation, Kind, Mode

SHAPES = [
    Shape(inputs=6, hidden=32, backbone=(), gate_shift=3),
    Shape(hidden=7, backbone=((9, Activation.GATED), (5, Activation.RELU)), weight_bits=16),
    Shape(hidden=6, backbone=((5, Activation.TABLE),) * 3, mode=Mode.NO_GATE, shift=4, layers=2),
    Shape(hidden=6, backbone=((5, Activation.GATED),), outputs=None, extreme=True, gate_shift=12),
    Shape(inputs=16, hidden=5, weight_bits=16, extreme=True, dt_max=2**31 - 1, shift=8),
    Shape(hidden=7, dt_fixed=9000, shift=2, layers=2),
    Shape(hidden=9, backbone=(), mode=Mode.NO_GATE, dt_fixed=1, weight_bits=16),
    Shape(mode=Mode.PURE, hidden=7, gate_shift=2, state_shift=1),
    Shape(mode=Mode.PURE, hidden=7, gate_shift=12, extreme=True, weight_bits=16, density=0.5),
    Shape(hidden=6, linear=True, density=0.4, gate_shift=1),
    Shape(hidden=6, linear=True, extreme=True, weight_bits=16, mode=Mode.NO_GATE),
    Shape(kind=Kind.LSTM, hidden=7, cell_shift=3, dt_input=True),
    Shape(kind=Kind.LSTM, hidden=5, layers=2, extreme=True, density=0.7),
    Shape(kind=Kind.GRU, hidden=7, state_shift=3, density=0.3),
    Shape(kind=Kind.GRU, hidden=6, layers=2, extreme=True, weight_bits=16, dt_input=True),
    Shape(kind=Kind.LTC, hidden=7, motor=2, unfolds=6, density=0.4, outputs=None),
    Shape(kind=Kind.LTC, hidden=6, motor=4, layers=2, extreme=True, dt_max=2**31 - 1),
    Shape(kind=Kind.MIXED, hidden=6, cell_shift=1, density=0.5),
    Shape(kind=Kind.MIXED, hidden=5, extreme=True, layers=2, weight_bits=16, linear=True),
    Shape(kind=Kind.MIXED, hidden=5, mode=Mode.PURE, cell_shift=2, gate_shift=1),
    Shape(kind=Kind.MIXED, hidden=5, mode=Mode.NO_GATE, dt_fixed=500),
]
