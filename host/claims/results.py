"""What a claim's test gave, as a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ulnn_host.base import files
from ulnn_host.base.errors import UlnnError
from ulnn_host.experiments import hashes
from ulnn_host.experiments.intervals import Interval
from ulnn_host.experiments.trainings import MEASURING_CODE, TRAINING_CODE

from .claim import FULL, Chart, Claim, Dot, Findings, Plan, Table
from .verdict import verdict

FOLDER = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Result:
    """The result of a claim. full: of a whole run; definition, code: hashes of the test, and of
    the toolkit as it was; seconds: that it took, trainings that were kept from before included."""

    claim: str
    full: bool
    verdict: str
    unit: str
    definition: str
    code: str
    seconds: float
    findings: Findings

    @staticmethod
    def of(claim: Claim, plan: Plan, findings: Findings, seconds: float, code: str = "") -> Result:
        """Of what a test gave. code: hash of the toolkit; empty: as it is now."""
        said = verdict(findings.measured, claim.claimed, findings.seeds, claim.nothing)
        rooms = tuple(sorted({*TRAINING_CODE, *MEASURING_CODE}))
        return Result(
            claim.name, plan == FULL, said, claim.unit, definition(claim, plan),
            code or hashes.of_code(rooms), round(seconds, 1), findings,
        )  # fmt: skip

    @staticmethod
    def read(path: Path) -> Result:
        """Of a file. Raises UlnnError."""
        try:
            return _made(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UlnnError(f"{path}: no result of a claim ({error})") from None

    def save(self, path: Path) -> None:
        """Write a file. Raises UlnnError."""
        files.write_json(path, asdict(self))

    def summary(self) -> dict[str, Any]:
        """For claims.json."""
        found = self.findings
        return {
            "claim": self.claim,
            "measured": found.measured.value,
            "low": found.measured.low,
            "high": found.measured.high,
            "unit": self.unit,
            "verdict": self.verdict,
            "seeds": found.seeds,
            "hashes": {"definition": self.definition, "code": self.code, **found.data},
            "seconds": self.seconds,
        }


def definition(claim: Claim, plan: Plan = FULL) -> str:
    """The hash of what is tested: the sources of a claim's modules, and the plan."""
    own = Path(claim.test.__code__.co_filename)
    paths = [own, *(Path(str(module.__file__)) for module in claim.modules)]
    return hashes.digest(repr(plan).encode(), *(path.read_bytes() for path in paths))


def _made(content: dict[str, Any]) -> Result:
    found = content["findings"]
    found["measured"] = Interval(**found["measured"])
    found["tables"] = tuple(
        Table(t["title"], tuple(t["head"]), tuple(map(tuple, t["rows"]))) for t in found["tables"]
    )
    chart = found["chart"]
    dots = tuple(Dot(**dot) for dot in chart["dots"])
    found["chart"] = Chart(chart["title"], chart["axis"], dots, chart["line"])
    for name in ("losses", "notes"):
        found[name] = tuple(found[name])
    content["findings"] = Findings(**found)
    return Result(**{f.name: content[f.name] for f in fields(Result)})
