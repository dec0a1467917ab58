"""Options of the whole suite."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("ulnn", derandomize=True, deadline=None)
settings.load_profile("ulnn")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--port", help="board that the board tests use instead of a virtual Cortex-M7"
    )
    parser.addoption("--full", action="store_true", help="run the full form of the slow tests")


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the full forms run."""
    return bool(request.config.getoption("--full"))
