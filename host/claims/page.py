"""The document: a table of the claims, then a page for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ulnn_host.base.paragraphs import wrapped

from . import cells
from .claim import FULL, Claim, Table, Untested
from .results import Result
from .texts import number, words
from .verdict import HOLDS, NO_VERDICT, NOT_SEEN, NOT_TESTABLE, REVERSED, SMALLER

HEAD = """# The claims, measured

Written by `make claims FULL=1`; do not edit. An article says what liquid networks can do, with
numbers, and without sources. Here each of its claims is tested, with the integers that a board
runs, on data that training did not see, and the verdict follows from a rule. *Claimed* is the
article's number, or what follows from its words: 22 points less 4 are 18, and what "never leaves"
is 100 %.
"""
RULE = f"""The verdict follows from the 95 % interval of the effect, and from what is claimed:

* **{HOLDS}**: the interval begins at 0.8 of what is claimed, or above; where the article names no
  number, an effect of any size in its direction, none not being within the interval
* **{SMALLER}**: the effect has the direction that is claimed, and the interval begins lower
* **{NOT_SEEN}**: the interval has "no effect" in it (a difference of 0, a ratio of 1)
* **{REVERSED}**: the effect has the other direction
* **{NOT_TESTABLE}**: nothing here can show it
* **{NO_VERDICT}**: one seed

Intervals are a bootstrap of two levels: people, recordings or episodes, then seeds. Differences
are paired. With several rivals and conditions, one of twenty differences is outside of its
interval by chance. Unless a page says otherwise, networks are int8, balanced accuracy is the mean
of the classes' recalls, and cycles are those of a step on a Cortex-M7 from tightly coupled memory,
modelled, of the slowest training (where sums exceed the range of the tables, a slower loop reads
these). The learning rate of each network is chosen on a part of what it is trained on. Trainings
are short, most of {FULL.epochs} epochs, the same for all: what learns slowly does worse here than
it could.

{cells.WORDS}

`make claims` runs all tests in minutes with one seed and gives no verdict;
`make claims CLAIM=NAME FULL=1` makes one page again, and goes on where it was cut off.
`make claims COUNT=1` measures the kept networks again after a change of the converter or the
kernels.
"""
OTHERS = """## What others have

These are the neighbours that were found, and there may be more. `danmcleran/tinymind`, a library
of C++ headers, has an int8 CfC whose elapsed time is a constant, and a CfC with any in floats.
FastGRNN was shown bit-equal on AVR and MSP430, with measured power (arXiv 2606.17249). An elapsed
time that varies, in integers, with engines that agree to the last bit and a counted cost, was seen
in none of them. Power is measured nowhere here: energy is cycles.
"""


def page(
    claims: Sequence[Claim], untested: Sequence[Untested], results: Mapping[str, Result]
) -> str:
    """The document, of the results that are there. Lines are not too long."""
    done = [claim for claim in claims if claim.name in results]
    rows = [_summary(claim, results[claim.name]) for claim in done]
    rows += [(claim.title, claim.says, "", "", NOT_TESTABLE) for claim in untested]
    head = ("", "claim", "claimed", "measured (95 %)", "verdict")
    parts = [HEAD, _table(head, rows), RULE]
    parts += [_claim(claim, results[claim.name]) for claim in done]
    parts += [f"## {claim.title}\n\n> {claim.says}\n\n{_line(claim.why)}\n" for claim in untested]
    parts.append(OTHERS)
    return wrapped("\n".join(parts))


def _summary(claim: Claim, result: Result) -> tuple[str, ...]:
    link = f"[{claim.title}](#{_anchor(claim.title)})"
    claimed = _claimed(claim)
    measured = words(result.findings.measured, claim.unit)
    return link, claim.says, claimed, f"{measured}: {claim.effect}", f"**{result.verdict}**"


def _claimed(claim: Claim) -> str:
    none = claim.claimed == claim.nothing
    return "no number" if none else number(claim.claimed, claim.unit)


def _line(text: str) -> str:
    return " ".join(text.split())


def _anchor(title: str) -> str:
    kept = (c for c in title.lower() if c.isalnum() or c in " -")
    return "".join(kept).replace(" ", "-")


def _claim(claim: Claim, result: Result) -> str:
    found = result.findings
    parts = [
        f"## {claim.title}",
        f"> {claim.says}",
        f"**{result.verdict.capitalize()}.** {claim.effect[0].upper()}{claim.effect[1:]}: "
        f"{words(found.measured, claim.unit)}, claimed: {_claimed(claim)}.",
        f"![{found.chart.title}](claims/pictures/{claim.name}.svg)",
        f"**How.** {_line(claim.how)}",
    ]
    parts += [_named(table) for table in found.tables]
    if found.losses:
        losses = "\n".join(f"* {text}" for text in found.losses)
        parts.append(f"**Where the liquid network loses**, by more than chance:\n\n{losses}")
    else:
        parts.append("**Where the liquid network loses**, by more than chance: nowhere here.")
    parts += [f"**Note.** {note}" for note in found.notes]
    sources = "; ".join(f"{s.name} (licence: {s.licence})" for s in claim.sources)
    kind = "FULL=1" if result.full else "(quick)"
    minutes = f"{result.seconds / 60:.0f} minutes" if result.seconds >= 90 else "about a minute"
    parts.append(
        f"**Data.** {sources}. **Drawn:** {found.clusters}; seeds: {found.seeds}. **Command:** "
        f"`make claims CLAIM={claim.name} {kind}`, {minutes} on two cores."
    )
    return "\n\n".join(parts) + "\n"


def _named(table: Table) -> str:
    return f"{table.title}:\n\n{_table(table.head, table.rows)}".rstrip()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
