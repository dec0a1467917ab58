"""Options of the whole suite.

With ULNN_NO_SKIP=1 (`make test`) a test that is skipped for want of a tool fails: a missing
compiler or emulator must not pass for success. Only the full forms of slow tests may be left out.
"""

from __future__ import annotations

import os
from collections.abc import Generator

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("ULNN_NO_SKIP") and "--full" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped: {report.longrepr}"
    return report
