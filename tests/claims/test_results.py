"""From findings to a result's file, the page and the check of `make lint`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from claims import __main__ as command
from claims import page, pictures, results
from claims.claim import FULL, QUICK, Chart, Claim, Dot, Findings, Run, Source, Table, Untested
from claims.results import Result
from ulnn_host.base.errors import UlnnError
from ulnn_host.experiments.intervals import Interval

FINDINGS = Findings(
    measured=Interval(9.0, 8.5, 9.5),
    seeds=5,
    clusters="7 people, then seeds",
    tables=(Table("Scores", ("network", "score"), (("CfC", "90.0 %"), ("GRU", "81.0 %"))),),
    chart=Chart("Gains", "points", (Dot("CfC", "a", 9.0, 8.5, 9.5), Dot("GRU", "b", 1, 0, 2)), 0),
    losses=("at night: CfC 0.2, better are GRU 0.1",),
    notes=("Nobody slept.",),
    data={"people": "0123"},
)


def counted(run: Run) -> Findings:
    return replace(FINDINGS, seeds=run.plan.seeds)


CLAIM = Claim(
    "sheep", "Counting sheep", "Liquid networks count sheep.", "sheep that CfC counts more",
    10.0, "sheep", "By hand.", (Source("a meadow", "CC0"),), counted,
)  # fmt: skip
NEVER = Untested("Goats", "Goats, too.", "There are none.")


@pytest.fixture
def one_claim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The command knows one claim, and its folders are these."""
    monkeypatch.setattr(command, "CLAIMS", (CLAIM,))
    monkeypatch.setattr(command, "UNTESTED", (NEVER,))
    monkeypatch.setattr(command, "project_root", lambda: tmp_path)
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(pictures, "FOLDER", tmp_path / "pictures")
    return tmp_path


def test_a_full_run_is_written_read_and_passes_the_check(one_claim: Path) -> None:
    command.main(full=True)
    made = command.committed()
    assert made["sheep"].verdict == "holds"
    text = (one_claim / "host" / "CLAIMS.md").read_text()
    assert command.check(made, text, one_claim / "pictures") == []
    rows = [line for line in text.splitlines() if line.startswith("| [Counting sheep]")]
    assert rows == [
        "| [Counting sheep](#counting-sheep) | Liquid networks count sheep. | 10 sheep | "
        "9 sheep (8.5 to 9.5): sheep that CfC counts more | **holds** |"
    ]
    for part in (
        "| Goats | Goats, too. |  |  | not testable |",
        "There are none.",
        "| GRU | 81.0 % |",
        "* at night: CfC 0.2, better are GRU 0.1",
        "a meadow (licence: CC0)",
        "`make claims CLAIM=sheep FULL=1`",
    ):
        assert part in " ".join(text.split("\n"))
    assert max(map(len, (k for k in text.splitlines() if not k.startswith("|")))) <= 100
    (summary,) = json.loads((one_claim / "build" / "claims" / "claims.json").read_text())
    names = ["claim", "measured", "low", "high", "unit", "verdict", "seeds", "hashes", "seconds"]
    assert list(summary) == names
    assert summary["hashes"]["people"] == "0123"
    picture = (one_claim / "pictures" / "sheep.svg").read_bytes()
    assert picture.startswith(b"<?xml")
    assert len(picture) < 60_000


def test_the_check_refuses_what_did_not_come_of_a_full_run(one_claim: Path) -> None:
    command.main(full=True)
    made, text = command.committed()["sheep"], (one_claim / "host" / "CLAIMS.md").read_text()

    def said(result: Result | None, document: str = text) -> str:
        found = {} if result is None else {"sheep": result}
        (line,) = command.check(found, document, one_claim / "pictures")
        return line

    assert said(None).startswith("no result of the claim sheep: make claims CLAIM=sheep FULL=1")
    assert "changed since it ran" in said(replace(made, definition="other"))
    assert "not the rule's" in said(replace(made, verdict="reversed"))
    assert "quick run" in said(Result.of(CLAIM, QUICK, FINDINGS, 1.0))
    assert "host/CLAIMS.md" in said(made, text.replace("90.0", "99.0"))
    (one_claim / "pictures" / "sheep.svg").unlink()
    assert "no picture" in said(made)


def test_a_quick_run_gives_no_verdict_and_leaves_the_document(one_claim: Path) -> None:
    command.main()
    assert not (one_claim / "host").exists()
    text = (one_claim / "build" / "claims" / "CLAIMS.md").read_text()
    assert "**no verdict**" in text
    assert Result.read(one_claim / "build" / "claims" / "results" / "sheep.json").full is False


def test_what_is_no_claim_and_no_result(one_claim: Path) -> None:
    with pytest.raises(UlnnError, match="--claim goats: expected one of sheep"):
        command.main(claim=["goats"])
    path = one_claim / "x.json"
    path.write_text("{}")
    with pytest.raises(UlnnError, match=r"x\.json: no result of a claim"):
        Result.read(path)


def test_the_definition_is_the_source_and_the_plan() -> None:
    other = replace(FULL, seeds=6)
    assert results.definition(CLAIM) == results.definition(CLAIM, FULL)
    assert results.definition(CLAIM) != results.definition(CLAIM, other)
    assert results.definition(CLAIM) != results.definition(replace(CLAIM, modules=(page,)))
