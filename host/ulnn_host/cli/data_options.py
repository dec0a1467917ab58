"""The options about data, the same for every command that reads some: those of `DataOptions`."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from ..base.errors import UlnnError
from ..data.options import DataOptions
from .options import names

PANEL = "How the data are read"


def with_data_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameter `data_options: DataOptions` is an option for each key."""

    @functools.wraps(command)
    def run(**values: Any) -> None:
        said = {key: values.pop(key) for key in keys}
        lists = {"channels": str, "missing_values": float}
        for key, kind in lists.items():
            said[key] = tuple(_list(key, said[key], kind))
        command(**values, data_options=DataOptions(**said))

    keys = [spec.name for spec in dataclasses.fields(DataOptions)]
    hints = get_type_hints(command, include_extras=True)
    kept = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "data_options"
    ]
    kept += [_parameter(spec) for spec in dataclasses.fields(DataOptions)]
    run.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in kept}
    return run


def _parameter(spec: dataclasses.Field[Any]) -> inspect.Parameter:
    name = "--" + spec.name.replace("_", "-")
    option = typer.Option(name, help=spec.metadata["help"], rich_help_panel=PANEL)
    number = isinstance(spec.default, float)
    return inspect.Parameter(
        spec.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=spec.default if number else spec.default or "",
        annotation=Annotated[float if number else str, option],
    )


def _list(key: str, text: str, kind: Callable[[str], Any]) -> list[Any]:
    try:
        return [kind(word) for word in names(text)]
    except ValueError:
        raise UlnnError(f"--{key.replace('_', '-')} is {text!r}, expected numbers") from None
