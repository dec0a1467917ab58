"""What is committed: one claim whole, in a quick form, and the check of the document."""

from __future__ import annotations

import json
from pathlib import Path

from claims import __main__ as command
from claims import gait, privacy, running
from claims.claim import QUICK, Run
from claims.registry import CLAIMS, UNTESTED
from support.paths import ROOT


def test_the_document_is_what_the_results_give() -> None:
    document = (ROOT / "host" / command.DOCUMENT).read_text(encoding="utf-8")
    assert command.check(command.committed(), document) == []


def test_most_claims_have_an_interval_of_five_seeds() -> None:
    found = command.committed()
    assert all(found[claim.name].findings.seeds >= 5 for claim in CLAIMS)
    assert len(CLAIMS) >= 8
    assert len(UNTESTED) <= 3


def test_a_claim_whole(tmp_path: Path, full: bool) -> None:
    result = command.run_claim(privacy.CLAIM, Run(QUICK, tmp_path))
    assert result.verdict == "no verdict"
    assert result.findings.measured.value == 100
    *rows, control = result.findings.tables[0].rows
    assert {name for name, _, _ in rows} >= {"masked tables", "net.ulnn", "what the app stores"}
    assert all(hits == "0" for _, _, hits in rows)
    assert control[1] == control[2]


def test_the_gait_is_the_one_of_the_figures() -> None:
    content = json.loads(gait.GAIT.read_text())
    assert [len(row) for row in content["matrix"]] == [gait.OBSERVED] * gait.ACTIONS
    data = running.frames(0.5, True)
    assert len(data) == running.TEST
    # a tenth of the frames is lost, and what is predicted is the next one that is there
    assert 0.85 < data.length.mean() / running.STEPS < 0.95
    clean = running.frames(0.0, True)
    assert (clean.x[:, 1:][clean.mask[:, 1:]] == clean.y[:, :-1][clean.mask[:, 1:]]).all()
