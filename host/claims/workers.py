"""Work that is spread over the processes of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from joblib import Parallel, delayed

from .claim import Run

Made = TypeVar("Made")


def spread(
    run: Run, title: str, what: str, work: Callable[..., Made], jobs: Sequence[tuple[Any, ...]]
) -> Iterable[Made]:
    """What `work` makes of each of `jobs`, its arguments, in their order, as soon as it is there.
    title: of the work; what: many of it, in words."""
    done = Parallel(run.workers, return_as="generator")(delayed(work)(*job) for job in jobs)
    for count, made in enumerate(done, 1):
        run.report(f"{title} {count} of {len(jobs)} {what}")
        yield made
