"""All claims, in the order of the document."""

from __future__ import annotations

from . import cheetah, drift, events, joules, missing, neurons, patient, privacy, speed, timing
from .claim import Claim, Untested

CLAIMS: tuple[Claim, ...] = (
    timing.CLAIM,
    missing.CLAIM,
    speed.CLAIM,
    neurons.CLAIM,
    joules.CLAIM,
    cheetah.CLAIM,
    events.CLAIM,
    privacy.CLAIM,
    patient.CLAIM,
    drift.CLAIM,
)
UNTESTED: tuple[Untested, ...] = (
    Untested(
        "Weeks before a failure",
        "A liquid network warns of a failure weeks before it.",
        "No recordings of machines that ran for weeks until they failed can be had in a package; "
        "a generated machine fails when its generator decides. Which detector warns first at "
        "equal false alarms can be tested, and has a page of its own.",
    ),
    Untested(
        "Costs of egress",
        "Deciding on the device saves so much a year in the costs of sending data to a cloud.",
        "Prices are those of a contract, and change. The bytes that are not sent are on the page "
        "about data.",
    ),
    Untested(
        "Quantum computers",
        "Liquid networks on quantum computers will be faster still.",
        "It is a claim about the future, and the article describes no experiment.",
    ),
)
