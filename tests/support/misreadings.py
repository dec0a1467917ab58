"""Plausible misreadings of SPEC.md, as changes of the reference engine's text.

Each has the text that is there once, and what somebody might have written instead. None of them is
another way to say the same: all change numbers.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from ulnn_host.engines import reference

MISREADINGS = {
    # 2.3, 3.4: time
    "n is the bit length of dt_max - 1": (
        "31 - self.model.dt_max.bit_length()",
        "31 - (self.model.dt_max - 1).bit_length()",
    ),
    "a large dt is not replaced": ("np.minimum(ticks, self.model.dt_max)", "ticks"),
    "dt_max itself counts as clamped": ("dt > model.dt_max", "dt >= model.dt_max"),
    "each layer with a fixed dt counts": (
        "found = found | (dt != layer.dt_fixed)",
        "found = found * 1 + (dt != layer.dt_fixed)",
    ),
    "another dt than the fixed one is not counted": (
        "found | (dt != layer.dt_fixed)",
        "found",
    ),
    "dt as an input is Q16": ("(frac >> 16)[..., None]", "(frac >> 15)[..., None]"),
    # 2.4: tables
    "lookup rounds": (
        "((u * table.slope[k].astype(np.int64)) >> 16)",
        "((u * table.slope[k].astype(np.int64) + 32768) >> 16)",
    ),
    "lookup rounds towards 0": (
        "((u * table.slope[k].astype(np.int64)) >> 16)",
        "np.fix(u * table.slope[k] / 65536).astype(np.int64)",
    ),
    # 3.1, 3.2: rows
    "a row is cut off": (
        "(acc * matrix.multiplier + (1 << 31)) >> 32",
        "(acc * matrix.multiplier) >> 32",
    ),
    "a row rounds half away from 0": (
        "(acc * matrix.multiplier + (1 << 31)) >> 32",
        "(acc * matrix.multiplier + (1 << 31) - (acc < 0)) >> 32",
    ),
    "saturation is symmetric": (
        "np.maximum(np.minimum(value, top), -top - 1)",
        "np.maximum(np.minimum(value, top), -top)",
    ),
    "gated: without sat32": ("p = saturate(m << matrix.shift, 32)", "p = m << matrix.shift"),
    "gated: p is saturated to 22 bits": ("product = (p * ((32768", "product = (u * ((32768"),
    "gated: without sat16": (
        "return saturate(product, 16, watch, name)",
        "return product",
    ),
    "gated: cut off": (
        "((32768 + g) << matrix.output_shift) + (1 << 31)) >> 32",
        "((32768 + g) << matrix.output_shift)) >> 32",
    ),
    "relu: values beyond 16 bits wrap": (
        "return saturate(np.maximum(0, p), 16, watch, name)",
        "return np.maximum(0, p).astype(np.int16).astype(np.int64)",
    ),
    # 3.3: CfC
    "h stands before x": (
        "v = np.concatenate([x, h], axis=-1)\n    for",
        "v = np.concatenate([h, x], axis=-1)\n    for",
    ),
    "ff1 and ff2 are exchanged": (
        'squash(m[..., 0], "heads"), squash(m[..., 1], "heads")',
        'squash(m[..., 1], "heads"), squash(m[..., 0], "heads")',
    ),
    "time_a and time_b are exchanged": (
        "m = rows(heads, v).reshape(*v.shape[:-1], -1, layer.mode.heads)",
        "m = rows(heads, v).reshape(*v.shape[:-1], -1, layer.mode.heads)\n"
        "    if layer.mode.heads == 4:\n"
        "        m = m[..., [0, 1, 3, 2]]",
    ),
    "the gate's product is cut off": (
        "m[..., 2] * frac[..., None] + (1 << (31 - layer.gate_shift))",
        "m[..., 2] * frac[..., None]",
    ),
    "default: the mean rounds up": ("((f1 + f2) >> 1) + (", "((f1 + f2 + 1) >> 1) + ("),
    "default: the gate's half rounds towards 0": (
        "(((f2 - f1) * s) >> 16), 16",
        "np.fix((f2 - f1) * s / 65536).astype(np.int64), 16",
    ),
    "no_gate: without + 1": ("((f2 * s) >> 16) + 1) >> 1", "((f2 * s) >> 16)) >> 1"),
    "no_gate: half of f2 rounds towards 0": ("(f2 >> 1)", "np.fix(f2 / 2).astype(np.int64)"),
    "linear heads: without sat16": (
        'saturate(saturate(m[..., :2] << heads.shift, 32), 16, watch, "heads")',
        "saturate(m[..., :2] << heads.shift, 32)",
    ),
    "linear heads: h' without sat16": (
        'new = saturate(((f1 + f2) >> 1) + (((f2 - f1) * s) >> 16), 16, watch, "state")',
        "new = ((f1 + f2) >> 1) + (((f2 - f1) * s) >> 16)",
    ),
    # 3.5: pure
    "pure: z without its sign is forgotten": ("np.abs(z) + pure.tau", "z + pure.tau"),
    "pure: e is cut off": ("e = (root * root + (1 << 14)) >> 15", "e = (root * root) >> 15"),
    "pure: p is cut off": ("p = (e * z + (1 << 14)) >> 15", "p = (e * z) >> 15"),
    "pure: without sat16": (
        "return saturate(pure.a + ((pure.gain * (p << 15) + (1 << 31)) >> 32), 16, watch,",
        "return saturate(pure.a + ((pure.gain * (p << 15) + (1 << 31)) >> 32), 64, watch,",
    ),
    # 3.6: LSTM, mixed memory
    "lstm: input and forget gate are exchanged": (
        "i, f, g, o = (gates[..., k] for k in range(4))",
        "f, i, g, o = (gates[..., k] for k in range(4))",
    ),
    "lstm: the cell state without sat16": (
        'saturate((kept + (1 << 15)) >> 16, 16, watch, "cell")',
        "(kept + (1 << 15)) >> 16",
    ),
    "lstm: the cell state is cut off": ("(kept + (1 << 15)) >> 16", "kept >> 16"),
    "lstm: the output is cut off": (
        "((32768 + o) * squashed + (1 << 15)) >> 16",
        "((32768 + o) * squashed) >> 16",
    ),
    "lstm: the table sees c without its shift": ("c << (3 + cell_shift)", "c << 3"),
    "mixed: the CfC sees the old h": (
        "state[:] = lstm(layer.matrices[0], layer.cell_shift, tables, v, state[1], watch)",
        "h = state[0]\n"
        "            state[:] = lstm(\n"
        "                layer.matrices[0], layer.cell_shift, tables, v, state[1], watch\n"
        "            )\n"
        "            if layer.kind is Kind.MIXED:\n"
        "                state[0] = h",
    ),
    # 3.7: GRU
    "gru: reset and update gate are exchanged": (
        "r, z = gate[..., 0], gate[..., 1]",
        "z, r = gate[..., 0], gate[..., 1]",
    ),
    "gru: half of the reset rounds towards 0": (
        "(((32768 + r) * q) >> 1)",
        "np.fix((32768 + r) * q / 2).astype(np.int64)",
    ),
    "gru: x is not filled up": (
        "v = np.concatenate([filled, h], axis=-1)",
        "v = np.concatenate([x, h, filled[..., x.shape[-1] :]], axis=-1)",
    ),
    "gru: the new and the old state are exchanged": (
        "n * (32768 - z) + h * (32768 + z)",
        "n * (32768 + z) + h * (32768 - z)",
    ),
    "gru: the state is cut off": ("h * (32768 + z) + (1 << 15)) >> 16", "h * (32768 + z)) >> 16"),
    # 3.8: LTC
    "ltc: a synapse's product is cut off": (
        "(values[..., layer.source[part]] << 15) + (1 << 31)) >> 32",
        "(values[..., layer.source[part]] << 15)) >> 32",
    ),
    "ltc: the quotient is cut off": ("(top + (bottom >> 1)) // bottom", "top // bottom"),
    "ltc: the quotient rounds towards 0": (
        "(top + (bottom >> 1)) // bottom",
        "np.fix((top + (bottom >> 1)) / bottom).astype(np.int64)",
    ),
    "ltc: one unfold": ("for _ in range(layer.unfolds)", "for _ in range(1)"),
    "ltc: denominators of 17 bits": (
        "_bit_length(bottom) - 16",
        "_bit_length(bottom) - 17",
    ),
    "ltc: the last neurons are the outputs": (
        "state[0][..., : layer.output_size]",
        "state[0][..., -layer.output_size :]",
    ),
}


def misread(name: str) -> ModuleType:
    """The reference engine with a misreading."""
    old, new = MISREADINGS[name]
    path = reference.__file__
    assert path is not None
    text = Path(path).read_text()
    assert text.count(old) == 1, f"{old!r} does not stand once in {path}"
    module = importlib.util.module_from_spec(ModuleSpec(reference.__name__ + "_misread", None))
    module.__package__ = reference.__package__
    # Dataclasses and the like look for their module.
    sys.modules[module.__name__] = module
    exec(compile(text.replace(old, new), path, "exec"), module.__dict__)
    return module
