"""From a float network to a model file and a report on it: choices, conversion, measurement."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from ..base.errors import UlnnError
from ..base.toml_tables import check, choice, number
from ..data.outliers import ranges
from ..data.sampling import duration
from ..data.sequences import Sequences
from ..engines import registry as engines
from ..format import container
from ..format.model import ModelFile
from ..network.float_network import FloatNetwork
from ..quantize import precision, quantize, range_search
from ..quantize.calibration import FloatRollout, calibrate, check_fixed_dt, for_usual_dt
from ..quantize.options import Method, Options
from ..quantize.rollouts import rms, sample
from .convert_report import ConvertReport, Reporter, time_doubt

Progress = Callable[[str], None]

COSTLY = 1.1  # times the error without room for longer gaps
RARE = 16  # times the room that nearly all steps need: a rare gap decides


@dataclass(frozen=True)
class Wishes:
    """bits: width of all weights, None: 8, or what max_bytes allows. max_bytes: largest file, for
    mixed widths. calibration: max, percentile, mse or search. compare: measure int8 and int16,
    too. finetune: epochs of quantisation-aware training on the calibration data, 0: none;
    towards: what for, "float" (the float network's outputs) or "labels"; learning_rate: of it.
    Raises UlnnError for a number that cannot be meant."""

    bits: int | None = None
    max_bytes: int | None = number(None, 1)
    calibration: str = "max"
    compare: bool = False
    finetune: int = number(0, 0)
    towards: str = choice("float", "float", "labels")
    learning_rate: float = number(1e-4, 1e-7, 10.0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Conversion:
    """The bytes of a model file, and how good the model is."""

    content: bytes
    report: ConvertReport


def convert_network(
    network: FloatNetwork,
    data: Sequences,
    options: Options,
    wishes: Wishes,
    progress: Progress = lambda text: None,
    test: Sequences | None = None,
) -> Conversion:
    """Convert a network, and measure the model on the data.

    options: all that is not in the wishes. test: data that calibration does not see, for the
    measures of decisions or values. Raises UlnnError for wishes that contradict each other
    or cannot be fulfilled, and when the C engine on this computer does not repeat the model's
    golden vectors.
    """
    if wishes.bits is not None and wishes.max_bytes is not None:
        raise UlnnError("expected --bits or --max-bytes, not both: --max-bytes chooses the widths")
    options = _with_fixed_dt(options, network)
    off = time_doubt(network, data)
    try:
        return _convert(network, data, options, wishes, progress, test)
    except UlnnError as error:
        raise UlnnError(f"{off} Else: {error}" if off else str(error)) from error


def _convert(
    network: FloatNetwork,
    data: Sequences,
    options: Options,
    wishes: Wishes,
    progress: Progress,
    test: Sequences | None,
) -> Conversion:
    options = dataclasses.replace(options, bits=8 if wishes.bits is None else wishes.bits)
    rollout = FloatRollout(network, data)
    check_fixed_dt(rollout.data, options.fixed_dt)
    reporter = Reporter(rollout, test, options.tick_ns)
    searched = chosen = None
    if wishes.calibration == "search":
        searched = range_search.search(
            rollout, options,
            lambda trial: progress(f"ranges: {trial.ranges}, margin {trial.margin:g}"),
        )  # fmt: skip
        options = searched.options
    else:
        options = range_search.with_calibration(options, wishes.calibration)
    if wishes.max_bytes is not None:
        chosen = precision.choose_bits(
            rollout, options, wishes.max_bytes, lambda text: progress(f"widths: {text}")
        )
        options = chosen.options
    progress("converting")
    content = container.write(quantize.convert(rollout, options))
    progress("integer model")
    others = []
    if wishes.finetune:
        others.append(reporter.measure(f"{_name(options)}, before fine-tuning", content))
        progress("fine-tuning")
        content = container.write(_finetuned(rollout, options, wishes, reporter.readout))
        progress("fine-tuned model")
    written = reporter.measure(_name(options), content)
    for bits in (8, 16) if wishes.compare else ():
        name = f"int{bits}"
        if name != written.name:
            progress(name)
            other = dataclasses.replace(options, bits=bits, bits_of={})
            compared = container.write(quantize.convert(rollout, other))
            others.append(reporter.measure(name, compared))
    progress("contraction of the layers")
    report = reporter.report(written, tuple(others), chosen, searched)
    repeated = engines.native_self_test(content)
    report = dataclasses.replace(
        report,
        native_self_test=repeated,
        outliers=_outliers(rollout.data, options.ranges),
        times=(*report.times, *_gaps(rollout, options)),
    )
    return Conversion(content, report)


def _with_fixed_dt(options: Options, network: FloatNetwork) -> Options:
    """The options with the fixed dt of a network that has one."""
    if not network.fixed_dt:
        return options
    if options.fixed_dt not in (None, network.fixed_dt):
        raise UlnnError(
            f"--fixed-dt {options.fixed_dt:g}: the network has a fixed dt of "
            f"{network.fixed_dt:g} s; leave it out"
        )
    return dataclasses.replace(options, fixed_dt=network.fixed_dt)


def _outliers(data: Sequences, method: Method) -> tuple[str, ...]:
    """A line for each input whose range comes from an outlier."""
    if method == "percentile":
        return ()
    return tuple(
        f"the range of input {channel.name} comes from an outlier, {channel.outlier}: "
        "--calibration percentile leaves it out"
        for channel in ranges(data)
        if channel.outliers
    )


def _gaps(rollout: FloatRollout, options: Options) -> tuple[str, ...]:
    """A line where room for long gaps costs resolution: for those of the options, or rare ones of
    the data."""
    wide = calibrate(rollout, options)
    near = for_usual_dt(wide, options)
    said = options.longest_gap is not None
    if wide.dt_max <= near.dt_max * (1 if said else RARE):
        return ()
    measured = rollout.on(sample(rollout.data))
    after, before = (
        rms(measured, quantize.build(rollout.network, made, options)) for made in (wide, near)
    )
    if after <= COSTLY * before:
        return ()
    tick = options.tick_ns / 1e9
    cure = "" if said else ": --gap SECONDS splits recordings there"
    return (
        f"room for gaps to {duration(wide.dt_max * tick)} costs resolution: rms error "
        f"{after:.3g}, {before:.3g} with room to {duration(near.dt_max * tick)}{cure}",
    )


def _finetuned(rollout: FloatRollout, options: Options, wishes: Wishes, readout: str) -> ModelFile:
    from ..quantize import finetune

    loss = None
    if wishes.towards == "labels":
        readout = readout or str(rollout.network.meta.get("readout", "last"))
        loss = finetune.task_loss(rollout.data, readout)
    plan = finetune.Plan(epochs=wishes.finetune, learning_rate=wishes.learning_rate)
    return finetune.finetune(rollout, options, plan, loss=loss)[1]


def _name(options: Options) -> str:
    widths = {options.bits, *options.bits_of.values()}
    return " and ".join(f"int{bits}" for bits in sorted(widths))
