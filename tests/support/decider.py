"""A decider on a PC whose model runs in the reference engine."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_rules.centres import Centres
from ulnn_rules.decider import Decider


def reference_decider(content: bytes, centres: Centres | None = None) -> Decider:
    """Of a model file's content."""
    engine = Reference(container.read(content))

    class Engine:
        reset = staticmethod(engine.reset)

        @staticmethod
        def step(values: Any, y: array[int], dt: int) -> None:
            y[:] = array("h", engine.step(np.array(values, np.int16), dt).tolist())

    return Decider(content, Engine(), centres)
