"""The command: PYTHONPATH=host python -m claims. `make claims`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from ulnn_host.base import console, files
from ulnn_host.base.errors import UlnnError
from ulnn_host.base.paths import project_root

from . import page, pictures, results, texts
from .claim import FULL, QUICK, Claim, Run
from .registry import CLAIMS, UNTESTED
from .results import Result

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
DOCUMENT = "CLAIMS.md"


def committed() -> dict[str, Result]:
    """The results that are kept with the source. Raises UlnnError."""
    paths = sorted(results.FOLDER.glob("*.json"))
    return {path.stem: Result.read(path) for path in paths}


def check(found: dict[str, Result], document: str, pictured: Path = pictures.FOLDER) -> list[str]:
    """What is wrong with results and their document, a line each."""
    wrong = []
    for claim in CLAIMS:
        again = f"make claims CLAIM={claim.name} FULL=1"
        result = found.get(claim.name)
        if result is None:
            wrong.append(f"no result of the claim {claim.name}: {again}")
        elif not result.full:
            wrong.append(f"the result of the claim {claim.name} is of a quick run: {again}")
        elif result.definition != results.definition(claim):
            wrong.append(f"the test of the claim {claim.name} was changed since it ran: {again}")
        elif result != Result.of(claim, FULL, result.findings, result.seconds, result.code):
            wrong.append(f"the verdict of the claim {claim.name} is not the rule's: {again}")
        elif not (pictured / f"{claim.name}.svg").exists():
            wrong.append(f"no picture of the claim {claim.name}: {again}")
    if not wrong and document != page.page(CLAIMS, UNTESTED, found):
        wrong.append(f"host/{DOCUMENT} is not what the results give: make claims PAGE=1")
    return wrong


def run_claim(claim: Claim, run: Run) -> Result:
    """Test a claim. Raises UlnnError."""
    started, before = time.monotonic(), results.definition(claim)
    findings = claim.test(run)
    if results.definition(claim) != before:
        raise UlnnError(
            f"the test of the claim {claim.name} was changed while it ran: run it again"
        )
    seconds = time.monotonic() - started + sum(run.kept)
    return Result.of(claim, run.plan, findings, seconds)


@app.command()
def main(
    claim: Annotated[list[str] | None, typer.Option(help="one of the claims; else all")] = None,
    full: Annotated[bool, typer.Option("--full", help="all seeds and folds")] = False,
    count: Annotated[bool, typer.Option("--count", help="full, of kept trainings alone")] = False,
    only_page: Annotated[bool, typer.Option("--page", help="write the page of results")] = False,
    only_check: Annotated[bool, typer.Option("--check", help="is all as it ran?")] = False,
) -> None:
    """Test claims; minutes, and up to 40 minutes each with --full.

    Example: PYTHONPATH=host python -m claims --claim timing
    """
    root = project_root()
    document = root / "host" / DOCUMENT
    if only_check:
        text = document.read_text(encoding="utf-8") if document.exists() else ""
        wrong = check(committed(), text)
        for line in wrong:
            typer.echo(f"error: {line}", err=True)
        raise typer.Exit(bool(wrong))
    named = {c.name: c for c in CLAIMS}
    if unknown := [name for name in claim or () if name not in named]:
        raise UlnnError(f"--claim {unknown[0]}: expected one of {', '.join(named)}")
    whole, build = full or count or only_page, root / "build" / "claims"
    target = root / "host" if whole else build
    folder = results.FOLDER if whole else build / "results"
    pictured = pictures.FOLDER if whole else build / "claims" / "pictures"
    files.check_output(target / DOCUMENT)

    def report(note: str) -> None:
        typer.echo(note, err=True)

    for name in () if only_page else claim or named:
        typer.echo(f"claim {name}", err=True)
        plan, workers = FULL if whole else QUICK, os.cpu_count() or 1
        run = Run(plan, build / "cache", report, train=not count, workers=workers)
        result = run_claim(named[name], run)
        result.save(folder / f"{name}.json")
        shown = texts.words(result.findings.measured, result.unit)
        typer.echo(f"{name}: {shown}: {result.verdict}", err=True)
    found = {path.stem: Result.read(path) for path in sorted(folder.glob("*.json"))}
    for name, result in found.items():
        pictures.draw(result.findings.chart, pictured / f"{name}.svg")
    files.write(target / DOCUMENT, page.page(CLAIMS, UNTESTED, found))
    summaries = [found[c.name].summary() for c in CLAIMS if c.name in found]
    files.write_json(build / "claims.json", summaries)
    typer.echo(f"wrote {target / DOCUMENT} and {build / 'claims.json'}", err=True)


if __name__ == "__main__":
    console.run(app, "claims")
