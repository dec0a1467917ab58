"""The kernels on bare virtual machines: the reference's bits, and no slower than they were.

After a change that is meant, this writes kernel_counts.json:

    PYTHONPATH=tests:native_module/bench python tests/native/test_kernels.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import count_machines as machines
import cycle_model
from count_calls import count_call_overhead
from count_cases import Case, bench_case
from count_cells import cell_cases
from count_kernels import FIXED_DT, count_kernel
from count_report import TARGETS
from support.random_models import STACKS, Shape, random_input, random_model, random_stack
from support.vectors import all_vectors
from ulnn_host.board.bench import FORMATS, HIDDEN_SIZES
from ulnn_host.format import container
from ulnn_host.format.model import Activation, Kind, Matrix, Mode, ModelFile

COUNTS = Path(__file__).parent / "kernel_counts.json"
MARGIN = 0.02
SHAPES = (("int8", 16), ("int16", 16), ("int8", 64), ("int16", 64))
CELLS = ("wired ulnn (dense)", "wired ulnn (sparse)", "ltc", "lstm", "gru", "mixed memory", "pure")
KERNELS = {f"{kernel.machine.target} {kernel.name}": kernel for kernel in machines.KERNELS}
CALL = "cortex-m7 call overhead"
ASSEMBLY = {name: kernel for name, kernel in KERNELS.items() if kernel.assembly}


def need(kernel: machines.Kernel) -> None:
    if not machines.available(kernel.machine):
        pytest.skip(f"needs {kernel.machine.packages}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bench programs are: each is built once."""
    return tmp_path_factory.mktemp("kernels")


def random_shape(rng: np.random.Generator, seed: int) -> Shape:
    """Every activation, mode and shift; sizes that fill no block, and some that need passes."""
    layers = [Activation.TABLE, Activation(int(rng.integers(1, 4)))]
    wide = 190 if seed % 5 == 0 else 40
    backbone = tuple(
        (int(rng.integers(1, wide)), layers[int(rng.random() < 0.4)])
        for _ in range(int(rng.integers(0, 3)))
    )
    return Shape(
        inputs=int(rng.integers(1, 40)),
        hidden=int(rng.integers(1, 50)) if seed % 3 else seed // 3 + 1,
        backbone=backbone,
        mode=Mode(int(rng.random() < 0.3)),
        weight_bits=int(rng.choice([8, 16])),
        outputs=None if rng.random() < 0.5 else int(rng.integers(1, 9)),
        shift=int(rng.integers(0, 9)) if rng.random() < 0.3 else 0,
        gate_shift=int(rng.integers(0, 13)) if rng.random() < 0.3 else 0,
        dt_fixed=int(rng.integers(1, 2**31 - 1)) if seed % 3 == 0 else 0,
        dt_max=int(rng.integers(1, 2**31 - 1)),
        layers=int(rng.integers(1, 4)),
        extreme=bool(rng.random() < 0.4),
    )


def random_cases(count: int) -> list[Case]:
    rng = np.random.default_rng(7)
    cases = []
    for seed in range(count):
        model = random_model(seed, random_shape(rng, seed))
        cases.append(Case(model, *random_input(seed, model, 6)))
    return cases


def sparse_shape(rng: np.random.Generator, seed: int) -> Shape:
    """Sparse matrices of every mode, half of them as an ordinary conversion makes them; every
    fifth one another cell."""
    plain = seed % 2 == 0
    kinds = (Kind.LTC, Kind.LSTM, Kind.GRU, Kind.MIXED)
    return Shape(
        kind=kinds[seed // 5 % 4] if seed % 5 == 4 else Kind.CFC,
        inputs=int(rng.integers(1, 40)),
        hidden=int(rng.integers(1, 30)) if seed % 3 else seed // 3 + 1,
        backbone=() if rng.random() < 0.6 else ((int(rng.integers(1, 40)), Activation.TABLE),),
        mode=Mode.DEFAULT if plain else Mode(int(rng.choice([0, 1, 4]))),
        weight_bits=int(rng.choice([8, 16])),
        outputs=None if rng.random() < 0.7 else int(rng.integers(1, 9)),
        shift=0 if plain else int(rng.integers(0, 9)),
        gate_shift=0 if plain else int(rng.integers(0, 13)),
        dt_fixed=int(rng.integers(1, 2**31 - 1)) if seed % 7 == 0 else 0,
        dt_max=int(rng.integers(1, 2**31 - 1)),
        layers=int(rng.integers(1, 4)),
        extreme=bool(rng.random() < 0.4),
        density=float(rng.uniform(0.05, 1.0)),
        linear=not plain and bool(rng.random() < 0.2),
        motor=int(rng.integers(1, 5)),
    )


def sparse_cases(count: int) -> list[Case]:
    rng = np.random.default_rng(11)
    cases = []
    for seed in range(count):
        model = random_model(seed, sparse_shape(rng, seed))
        cases.append(Case(unordered(rng, model), *random_input(seed, model, 6)))
    return cases


def stack_cases() -> list[Case]:
    models = [random_stack(3, layers) for layers in STACKS.values()]
    return [Case(model, *random_input(5, model, 6)) for model in models]


def vector_cases() -> list[Case]:
    return [Case(container.read(v.data), v.x, v.dt) for v in all_vectors()]


def unordered(rng: np.random.Generator, model: ModelFile) -> ModelFile:
    """The model with some lists of sparse matrices in another order, as a file may have them."""

    def shuffled(matrix: Matrix) -> Matrix:
        if matrix.lists is None or rng.random() < 0.5:
            return matrix
        lists = tuple(tuple(int(c) for c in rng.permutation(group)) for group in matrix.lists)
        return replace(matrix, lists=lists)

    layers = tuple(
        replace(layer, matrices=tuple(map(shuffled, layer.matrices))) for layer in model.layers
    )
    return replace(model, layers=layers)


def far_gates(bits: int) -> Case:
    """Gates whose terms are both as far from 0 as can be: their doubled sum has 33 bits."""
    case = bench_case(bits, 48)
    backbone, heads = case.model.layers[0].matrices
    weights, bias, multiplier = heads.weights.copy(), heads.bias.copy(), heads.multiplier.copy()
    for row in (2, 3):
        weights[row::4] = 0
        bias[row::4] = np.where(np.arange(48) % 2, 2**31 - 1, 1 - 2**31)
        multiplier[row::4] = 2**31 - 1
    far = replace(heads, weights=weights, bias=bias, multiplier=multiplier)
    layer = replace(case.model.layers[0], matrices=(backbone, far))
    dt = np.full(len(case.dt), case.model.dt_max)
    return Case(replace(case.model, layers=(layer,)), case.x, dt)


# Short passes, as natmods have them, reach every way through the code.
BLOCKS = {
    "cortex-m7 cortex-m7": (None, 1, 3, 9),
    "cortex-m7 cortex-m4": (None, 3, 9),
    "rv32imc rv32imc": (None, 1, 2, 8),
    "rv32imc rv32imc-fewest": (None, 1, 2, 8),
}


@pytest.mark.parametrize(
    ("name", "blocks"), [(name, n) for name in KERNELS for n in BLOCKS.get(name, (None,))]
)
def test_bits(name: str, blocks: int | None, folder: Path) -> None:
    kernel = KERNELS[name]
    need(kernel)
    elf = machines.build(kernel, folder, blocks=blocks)
    results = machines.run(kernel, elf, [*random_cases(60), far_gates(8), far_gates(16)])
    assert [result.different for result in results] == [0] * 62
    assert {result.kernel for result in results} == {kernel.name}


@pytest.mark.parametrize("name", KERNELS)
def test_bits_of_other_cells(name: str, folder: Path) -> None:
    kernel = KERNELS[name]
    need(kernel)
    cases = [*sparse_cases(100), *stack_cases(), *vector_cases()]
    results = machines.run(kernel, machines.build(kernel, folder), cases)
    assert [result.different for result in results] == [0] * len(cases)


def count(kernel: machines.Kernel, folder: Path) -> dict[str, int]:
    counts = count_kernel(kernel, folder, SHAPES)
    found = {f"{entry.format} H={entry.H}": entry.instructions for entry in counts}
    counts = count_kernel(kernel, folder, SHAPES, fixed_dt=True)
    for entry in counts:
        found[f"{entry.format} H={entry.H}{FIXED_DT}"] = entry.instructions
    cases = [case for case in cell_cases() if case.cell in CELLS]
    results = machines.run(kernel, machines.build(kernel, folder), [case.case for case in cases])
    for case, result in zip(cases, results, strict=True):
        assert result.different == 0, case.cell
        found[f"{case.cell} {case.format}"] = result.instructions
    return found


@pytest.mark.parametrize("name", ASSEMBLY)
def test_instruction_counts(name: str, folder: Path) -> None:
    """Deterministic; the margin is for the compiler's share of a step."""
    need(KERNELS[name])
    expected = json.loads(COUNTS.read_text())[name]
    counted = count(KERNELS[name], folder)
    slower = {key: (counted[key], expected[key]) for key in expected}
    assert all(now <= before * (1 + MARGIN) for now, before in slower.values()), slower


@pytest.mark.parametrize(
    ("machine", "name", "form"), [key[:3] for key in TARGETS if key[3] == "instructions"]
)
def test_targets(machine: str, name: str, form: str, folder: Path) -> None:
    kernel = KERNELS[f"{machine} {name}"]
    need(kernel)
    counts = count_kernel(kernel, folder, [(form, hidden) for hidden in HIDDEN_SIZES])
    limits = TARGETS[machine, name, form, "instructions"]
    assert all(c.instructions <= limit for c, limit in zip(counts, limits, strict=True)), counts


def test_portable_is_not_much_slower(folder: Path) -> None:
    """Compilers differ more than 2 % here."""
    name = "cortex-m7 portable"
    need(KERNELS[name])
    expected = json.loads(COUNTS.read_text())[name]
    for key, now in count(KERNELS[name], folder).items():
        assert now <= expected[key] * 1.1, key


def test_counts_are_repeatable_and_the_plugin_agrees(folder: Path) -> None:
    kernel = KERNELS["cortex-m7 cortex-m7"]
    need(kernel)
    elf = machines.build(kernel, folder)
    cases = [bench_case(8, 16)]
    first, second = machines.run(kernel, elf, cases), machines.run(kernel, elf, cases)
    traced = machines.run(kernel, elf, cases, machines.build_plugin(folder))
    assert first == second
    assert traced[0].instructions == first[0].instructions
    assert traced[0].cycles is not None
    assert 0.5 < traced[0].cycles / first[0].instructions < 0.7


@pytest.mark.board
@pytest.mark.parametrize("form", FORMATS)
def test_a_call_from_micropython(form: str) -> None:
    """What `m.step(x, y, dt)` costs beside the kernel, with the natmod: at most 600."""
    need(KERNELS["cortex-m7 cortex-m7"])
    expected = json.loads(COUNTS.read_text())[CALL][f"{form} H=16"]
    overhead = count_call_overhead(FORMATS[form])
    assert overhead <= min(600, expected * (1 + MARGIN)), (overhead, expected)


def issue(*lines: str) -> int:
    """Modelled cycles of straight code, 200 times over."""
    code = {}
    for k, line in enumerate(lines):
        mnemonic, _, operands = line.partition(" ")
        code[4 * k] = (mnemonic, operands, 4)
    for k in range(len(lines), 200 * len(lines)):
        code[4 * k] = code[4 * (k % len(lines))]
    region = [(pc, 4 * (pc // 4 % 2)) for pc in sorted(code)]
    return round(cycle_model.simulate(region, code).cycles / 200)


def test_cycle_model_facts() -> None:
    """What was measured on an STM32H743 (see cycle_model)."""
    assert issue("smlad r8, r4, r2, r8", "smlad r8, r5, r2, r8") == 2
    assert issue("smlad r8, r4, r2, r8", "ldr r6, [r0, #4]") == 1
    assert issue("sxtb16 r12, r4", "smlad r8, r5, r2, r8") == 1
    assert issue("sxtb16 r12, r4", "sxtb16 r6, r4") == 2
    assert issue("ldr r4, [r0, #0]", "ldr r5, [r0, #4]") == 1
    assert issue("ldrd r4, r5, [r0]") == 1
    assert issue("ldmia r0, {r4, r5, r6, r7}") == 2
    assert issue("add r1, r1, #1", "add r2, r2, #1") == 1
    assert issue("str r1, [r0, #0]", "smlad r8, r4, r2, r8") == 2


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        known = {name: count(kernel, Path(folder)) for name, kernel in KERNELS.items()}
    known[CALL] = {f"{form} H=16": count_call_overhead(FORMATS[form]) for form in FORMATS}
    COUNTS.write_text(json.dumps(known, indent=1) + "\n")
