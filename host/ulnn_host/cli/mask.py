"""`ulnn mask` and `ulnn new-key`: private data stay, by one policy for boards and PC."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..data.options import DataOptions
from .options import Json, out


def mask(
    policy: Annotated[Path, typer.Argument(help="policy (JSON), as host/docs/privacy.md says")],
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="a table (.csv, .parquet ...) or JSON lines")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="file to write, of the same kind")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; say what would leave, and small groups")
    ] = False,
    purpose: Annotated[
        str, typer.Option("--for", help="what it is for: store, send, log or network")
    ] = "send",
    names: Annotated[
        bool,
        typer.Option("--names", help="name the columns that the policy does not know: they may be "
                     "private themselves"),
    ] = False,
    separator: Annotated[str, typer.Option(help="between columns; else it is found")] = "",
    decimal: Annotated[str, typer.Option(help="sign of decimals; else it is found")] = "",
    encoding: Annotated[str, typer.Option(help="of the text: utf-8, cp1252 ...")] = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Mask a file by a policy: what the policy does not allow does not leave. The output is there
    whole, or not at all.

    What is printed may be shared: it holds no value from before, and examples of what leaves.

    Example: ulnn mask policy.json visits.csv -o masked.csv
    """
    from ..base.errors import UlnnError
    from ..base.progress import BYTES, bars
    from ..data import mask as masking

    if check == (output is not None):
        raise UlnnError("give -o OUT to mask the file, or --check to see what would leave")
    options = DataOptions(separator=separator, decimal=decimal, encoding=encoding)
    done = 0
    with bars(count=BYTES) as shown:
        running = shown.bar("masking", source.stat().st_size if source.is_file() else None)

        def progress(read: int) -> None:
            nonlocal done
            done += read
            running.update(done)

        made = masking.mask(
            policy, source, output, purpose=purpose, options=options, progress=progress
        )
    if as_json:
        print(json.dumps(made.to_dict(), indent=2))
        return
    from ..report.mask_text import show

    show(made, out)
    if names and made.unknown_names:
        out.print(f"not in the policy: {', '.join(made.unknown_names)}", highlight=False)
    if output:
        out.print(f"{output}: {output.stat().st_size:,} bytes", highlight=False)


def new_key(
    keeper: Annotated[Path, typer.Argument(help="the keeper's file (JSON), made where it is not")],
) -> None:
    """Make a new key for pseudonyms. The keeper's file keeps the old ones, and the new one is used
    from now on. Keep the file apart from the masked data.

    Example: ulnn new-key keeper.json
    """
    from ..data.mask import new_key as make

    name = make(keeper)
    out.print(f"{keeper}: new pseudonyms begin with {name}-", highlight=False)
