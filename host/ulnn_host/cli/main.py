"""The command `ulnn`. Every command is a thin layer over a module of the same purpose."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import __version__
from .base import console

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train liquid networks, convert them to integers, run and prove them on boards. "
    "Errors are one line; --debug anywhere shows the traceback.",
)
out = Console()

ModelPath = Annotated[Path, typer.Argument(help="model file (.ulnn)")]
DataPath = Annotated[Path, typer.Argument(help="data file (.npz: x, dt, optional y; or .csv)")]
CheckpointPath = Annotated[
    Path, typer.Argument(help="checkpoint (.safetensors, .pt, .npz, .keras or .weights.h5)")
]
ModeName = Annotated[str | None, typer.Option("--mode", help="default, no_gate or pure")]
ActivationName = Annotated[
    str | None,
    typer.Option("--activation", help="of the backbone: lecun_tanh, tanh, relu, silu or gelu"),
]
DialectName = Annotated[
    str | None,
    typer.Option(
        "--dialect",
        help="ncps.torch, ncps.keras, raminmh.torch, raminmh.tf, ulnn or torch; "
        "otherwise the file or its names tell",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="recipe (.toml)")],
    output: Annotated[Path, typer.Option("-o", "--output", help="checkpoint (.safetensors)")],
) -> None:
    """Train a network (CfC, wired CfC, LTC, LSTM, GRU, mixed memory) as a recipe says.

    Example: ulnn train recipe.toml -o watch.safetensors
    """
    from .train import train as training

    training.train_command(recipe, output)


@app.command()
def tune(
    recipe: Annotated[Path, typer.Argument(help="recipe (.toml) to start from")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="best recipe (.toml); the picture beside it (.png)"),
    ] = None,
    trials: Annotated[int, typer.Option(help="short trainings")] = 20,
    seed: Annotated[int, typer.Option(help="of the search; the same gives the same trials")] = 0,
    minutes: Annotated[float, typer.Option(help="begin no trial that ends later; 0: all")] = 0.0,
    epochs: Annotated[
        int | None, typer.Option(help="of each training; else a fifth of the recipe's")
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option(help="largest int8 model file that may be chosen")
    ] = None,
    as_json: Json = False,
) -> None:
    """Search sizes, wirings, time scales and learning rates: accuracy against bytes.

    Writes the best recipe (RECIPE_tuned.toml) and a picture of all trials.

    Example: ulnn tune recipe.toml --trials 30 --minutes 10 -o best.toml
    """
    from .experiments.tune import tune_command

    tune_command(recipe, output, trials, seed, minutes, epochs, max_bytes, as_json)


@app.command()
def convert(
    checkpoint: CheckpointPath,
    calib: Annotated[Path, typer.Option(help="data to calibrate on (.npz or .csv)")],
    output: Annotated[Path, typer.Option("-o", "--output", help="model file (.ulnn)")],
    bits: Annotated[int | None, typer.Option(help="weight width, 8 or 16 (8)")] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(help="largest file: chooses 8 or 16 bits for each matrix by rollout error"),
    ] = None,
    calibration: Annotated[
        str,
        typer.Option(help="ranges from max, percentile or mse; search tries all, with margins"),
    ] = "max",
    mode: ModeName = None,
    activation: ActivationName = None,
    dialect: DialectName = None,
    tick_ns: Annotated[int, typer.Option(help="length of a tick of dt, ns")] = 1000,
    fixed_dt: Annotated[
        float | None,
        typer.Option(help="promise that all samples are this many seconds apart: a faster model"),
    ] = None,
    sparse: Annotated[
        str,
        typer.Option(
            help="store only real synapses: auto (where that is faster), always or never"
        ),
    ] = "auto",
    finetune: Annotated[
        int,
        typer.Option(help="epochs of quantisation-aware training on the calibration data", min=0),
    ] = 0,
    towards: Annotated[
        str, typer.Option(help="what --finetune aims at: the outputs in float, or the labels y")
    ] = "float",
    learning_rate: Annotated[float, typer.Option(help="of --finetune", min=1e-7)] = 1e-4,
    report: Annotated[Path | None, typer.Option(help="picture to write (.png or .svg)")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="int8 and int16 side by side")
    ] = False,
    as_json: Json = False,
) -> None:
    """Convert a checkpoint to an integer model, calibrated on data.

    A .pt file is a torch state_dict: of ncps.torch (CfC, wired CfC, LTC) or of nn.LSTM, nn.GRU.
    Prints how far the integer model is from the float network over whole sequences, what
    saturates, and what a step costs; warns of layers in which errors grow along the rollout.

    Example: ulnn convert watch.safetensors --calib train.npz --bits 8 -o watch.ulnn --report w.png
    """
    from . import convert_command
    from .data import sequences as data
    from .importers import checkpoint as checkpoints
    from .quantize import quantize
    from .report import convert_show

    loaded = checkpoints.load(checkpoint, mode, activation, dialect)
    for line in loaded.assumed:
        print(f"assumed: {line}", file=sys.stderr)
    sequences = data.load(calib)
    options = quantize.Options(
        tick_ns=tick_ns,
        fixed_dt=fixed_dt,
        name=checkpoint.stem,
        sparse=quantize.sparsity(sparse),
    )
    wishes = convert_command.Wishes(
        bits, max_bytes, calibration, compare, report, finetune, towards, learning_rate
    )
    with Console(stderr=True).status("") as status:
        done = convert_command.convert_to_file(
            loaded.network, sequences, options, wishes, output, status.update
        )
    for line in done.warnings:
        print(f"warning: {line}", file=sys.stderr)
    if as_json:
        print(json.dumps({"model": str(output)} | done.to_dict(), indent=2))
        return
    made = done.model
    out.print(f"{output}: {made.file_bytes} bytes, {made.name} weights, {made.macs} MACs a step")
    out.print(
        f"against float over {made.steps} calibration steps: "
        f"max error {made.max_error:.5f}, rms {made.rms_error:.6f}"
    )
    convert_show.show(done, out)
    if report:
        out.print(f"picture: {report}")


@app.command()
def export(
    checkpoint: CheckpointPath,
    onnx: Annotated[Path, typer.Option(help="ONNX file to write (.onnx)")],
    mode: ModeName = None,
    activation: ActivationName = None,
    dialect: DialectName = None,
    as_json: Json = False,
) -> None:
    """Write one step of a checkpoint's network as float32 ONNX, states in and out.

    Inputs x (raw values), dt (seconds) and a state_... each; outputs y and next_state_...

    Example: ulnn export watch.safetensors --onnx watch.onnx
    """
    from .importers import checkpoint as checkpoints
    from .network import export as exporter

    loaded = checkpoints.load(checkpoint, mode, activation, dialect)
    for line in loaded.assumed:
        print(f"assumed: {line}", file=sys.stderr)
    done = exporter.write(loaded.network, onnx)
    if as_json:
        facts = {"model": str(onnx), "bytes": done.size, "inputs": done.inputs}
        facts |= {"outputs": done.outputs, "steps": exporter.STEPS}
        print(json.dumps(facts | {"max_error": done.difference}, indent=2))
        return
    out.print(f"{onnx}: {done.size} bytes, inputs {', '.join(done.inputs)}")
    if done.difference is None:
        out.print("not checked: onnxruntime is not installed (pip install onnxruntime)")
    else:
        out.print(
            f"against float64 over {exporter.STEPS} random steps: max error {done.difference:.2e}"
        )


@app.command()
def info(
    model: ModelPath,
    as_json: Json = False,
    graph: Annotated[
        Path | None, typer.Option(help="draw neurons and synapses (.svg, .png or .pdf)")
    ] = None,
) -> None:
    """Say what is in a model file.

    Example: ulnn info watch.ulnn --graph watch.svg
    """
    from .format import facts

    content = facts.of_file(model)
    if graph is not None:
        from .format import container
        from .report import graph as graphs

        graphs.save(graphs.of_model(container.read_file(model)[1]), graph, model.stem)
    if as_json:
        print(json.dumps(content, indent=2))
        return
    for title, rows in content.items():
        table = Table(title=title, show_header=False, title_justify="left", title_style="bold")
        for key, value in rows.items():
            table.add_row(key, Text(str(value), overflow="fold"))
        out.print(table)


@app.command()
def run(
    model: ModelPath,
    data: DataPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="outputs (.npz)")],
    engine: Annotated[
        str, typer.Option(help="reference, native, pure, unix, cortex-m7 or rv32")
    ] = "reference",
) -> None:
    """Run a model over data; the state is reset before each sequence.

    Writes y_int (int16), y (float32) and state (int16, after each sequence's last step).

    Example: ulnn run watch.ulnn test.npz -o out.npz --engine cortex-m7
    """
    from .data import sequences as datasets
    from .engines import registry as engines
    from .format import container

    content, parsed = container.read_file(model)
    sequences = datasets.load(data)
    batch = engines.quantise(parsed, sequences)
    result = engines.run(content, batch, engine)
    y_int, state = result.y, result.state
    y = np.where(sequences.mask[..., None], parsed.dequantise_output(y_int), 0).astype(np.float32)
    if sequences.flat:
        y_int, y, state = y_int[0], y[0], state[0]
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        np.savez(file, y_int=y_int, y=y, state=state)
    out.print(f"{output}: {int(sequences.length.sum())} steps under {engine}")


@app.command()
def validate(
    model: ModelPath,
    data: DataPath,
    port: Annotated[str, typer.Option(help="serial port, or virtual:cortex-m7, virtual:rv32")],
    json_path: Annotated[Path | None, typer.Option("--json", help="write a JSON report")] = None,
    html_path: Annotated[Path | None, typer.Option("--html", help="write an HTML report")] = None,
    to: Annotated[str | None, typer.Option(help="path of the model on the board")] = None,
    no_deploy: Annotated[
        bool, typer.Option("--no-deploy", help="fail when the model is not on the board")
    ] = False,
    window: Annotated[
        int | None, typer.Option(help="bytes the board's port can hold while a step runs")
    ] = None,
) -> None:
    """Stream data through the model on a board; compare every output with the reference.

    Deploys what is missing first. Exit status 0 only when every output is equal bit for bit.

    Example: ulnn validate watch.ulnn test.npz --port /dev/ttyACM0 --html report.html
    """
    from .board.validate import validate_command

    report = validate_command(
        model,
        data,
        port,
        json_path=json_path,
        html_path=html_path,
        to=to,
        deploy=not no_deploy,
        window=window,
    )
    if not report.equal:
        raise typer.Exit(1)


@app.command()
def bench(
    port: Annotated[
        str | None, typer.Option(help="time the board at this serial port instead")
    ] = None,
) -> None:
    """Count the instructions of every kernel in QEMU; with --port, time a board's steps.

    Without --port it writes build/bench/kernels.json and native_module/BENCHMARKS.md (some
    minutes). A board prints CPU cycles where it has a counter (DWT, CCOUNT).

    Example: ulnn bench --port /dev/ttyACM0
    """
    if port:
        from .bench_board import board_table

        print(board_table(port))
    else:
        from .bench import main as count

        count()


@app.command()
def version() -> None:
    """Print the version of ulnn.

    Example: ulnn version
    """
    print(__version__)


def main() -> Any:
    """Entry point of the command `ulnn`."""
    console.run(app, "ulnn")


if __name__ == "__main__":
    main()
