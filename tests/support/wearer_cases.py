"""A model that a wearer can teach, for tests of the app."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from support import app_cases as cases
from ulnn_host.format import container
from ulnn_host.format.model import Centres


@cache
def model_bytes() -> bytes:
    """The app's model with centres, and windows that do not vote."""
    model = container.read(cases.model_bytes())
    assert model.decision is not None
    rule = replace(model.decision, votes=1, enter=0, leave=0)
    start = np.diag([3000] * model.output_size) - 500
    return container.write(replace(model, decision=rule, centres=Centres(2, start)))
