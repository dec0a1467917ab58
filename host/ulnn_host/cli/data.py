"""`ulnn data`: other people's files to one data file."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer

from ..data.options import DataOptions
from .data_options import with_data_options
from .options import Json, out


@with_data_options
def data(
    paths: Annotated[
        list[str], typer.Argument(help="files (.csv, .tsv, .txt, .parquet, .npz), folders, globs")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="data file to write (.npz)")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="picture to write (.png, .svg or .pdf)")
    ] = None,
    as_json: Json = False,
    data_options: DataOptions = DataOptions(),  # noqa: B008, it is frozen
) -> None:
    """Read logs of other people and say what is in them: recordings, sampling, gaps, ranges,
    classes. With -o, write them as one file.

    The same options are keys of [data] in a recipe, with _ for -.

    Example: ulnn data logs/ -o train.npz --label activity --per sequence --group "{}_*.csv"
    """
    from ..base import files
    from ..base.errors import UlnnError, UlnnWarning
    from ..data.logs import read_logs
    from ..data.npz import save_npz
    from ..data.sources import find_files
    from ..data.summary import summary

    inputs = find_files(paths)
    if output:
        if output.suffix != ".npz":
            raise UlnnError(f"{output}: expected a name that ends in .npz")
        for what in ("features", "beats"):
            if getattr(data_options, what):
                raise UlnnError(
                    f"-o writes raw samples: leave --{what} away, and say it to the command that "
                    f"reads the file; models are made with their recipe of {what}"
                )
        files.check_output(output, *inputs)
    if plot:
        from ..report import pictures

        pictures.check_picture(plot)
        files.check_output(plot, *inputs)
    reading = read_logs(inputs, data_options)
    for line in reading.warnings:
        warnings.warn(line, UlnnWarning, stacklevel=1)
    made = summary(reading)
    if output:
        save_npz(output, reading.data)
    if plot:
        from ..report.data_picture import picture

        pictures.save(picture(reading.data, made), plot)
    if as_json:
        print(json.dumps({"data": str(output) if output else None} | made.to_dict(), indent=2))
        return
    from ..report.data_text import show

    show(made, out)
    if output:
        out.print(f"{output}: {output.stat().st_size:,} bytes", highlight=False)
    if plot:
        out.print(f"picture: {plot}", highlight=False)
