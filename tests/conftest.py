"""Options of the whole suite.

With ULNN_NO_SKIP=1 (`make test`) a test that is skipped for want of a tool fails: a missing
compiler or emulator must not pass for success. Only the full forms of slow tests may be left out.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

# Tests run side by side, and threads that wait for a busy core take more time than they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("ulnn", derandomize=True, deadline=None)
settings.load_profile("ulnn")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--port", help="board that the board tests use instead of a virtual Cortex-M7"
    )
    parser.addoption("--full", action="store_true", help="run the full form of the slow tests")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--port") and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--port: one board runs one test at a time; leave -n away")


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the full forms run."""
    return bool(request.config.getoption("--full"))


def _counts_as_failure(report: pytest.TestReport | pytest.CollectReport) -> bool:
    return bool(
        report.skipped and os.environ.get("ULNN_NO_SKIP") and "--full" not in str(report.longrepr)
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _counts_as_failure(report):
        report.outcome = "failed"
        report.longrepr = f"skipped: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that is left out whole, as importorskip does."""
    report = yield
    if _counts_as_failure(report):
        report.outcome = "failed"
        report.longrepr = f"skipped: {report.longrepr}"
    return report
