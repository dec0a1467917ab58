"""A model as C: a header and a source for firmware without MicroPython and without files.

The source holds the file's bytes as they are, so its SHA-256 and its golden vectors stay what they
are in the file. Both compile as C99 and as C++11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..base.errors import UlnnError
from .model import ModelFile

MADE = "// Made by `ulnn export --c`; do not edit."
_WORDS_PER_LINE = 8
# A folder with the model is searched for headers, and may have a main.c.
_RESERVED = {
    *("main", "assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646"),
    *(
        "limits",
        "locale",
        "math",
        "setjmp",
        "signal",
        "stdalign",
        "stdarg",
        "stdatomic",
        "stdbool",
    ),
    *("stddef", "stdint", "stdio", "stdlib", "stdnoreturn", "string", "strings", "tgmath"),
    *("threads", "time", "uchar", "wchar", "wctype", "alloca", "endian", "fcntl", "features"),
    *("malloc", "memory", "poll", "sched", "search", "select", "unistd"),
}


@dataclass(frozen=True)
class CSource:
    """name: what all identifiers start with, and the files' names without `.h` and `.c`.
    memory: bytes that ulnn_load wants at most, on any machine."""

    name: str
    header: str
    source: str
    memory: int


def identifier(name: str) -> str:
    """A C identifier from a model's name, in lower case, with `model_` before a digit and before
    names that others have. Raises UlnnError where no letter of English or digit is in it."""
    made = re.sub(r"[\W_]+", "_", name, flags=re.ASCII).strip("_").lower()
    if not made:
        raise UlnnError(
            f"the name {name!r} makes no C identifier: expected letters a to z or digits"
        )
    taken = made in _RESERVED or made.startswith("ulnn") or made[0].isdigit()
    return f"model_{made}" if taken else made


def c_source(content: bytes, model: ModelFile, name: str, memory: int) -> CSource:
    """Header and source of a model file.

    memory: bytes that `ulnn_memory_size` answers on this PC. Labels that are not a list of texts
    are left out. Raises UlnnError for a name without letters or digits, and for scales that are
    not finite.
    """
    low = identifier(name)
    high = low.upper()
    scales = (model.input_scale, model.input_offset, model.output_scale, model.output_offset)
    if not all(np.isfinite(values).all() for values in scales):
        raise UlnnError(
            "the model has a scale or an offset that is not a finite number: convert it again"
        )
    memory += _LIST_BYTES * _sparse_blocks(model)
    labels = model.labels
    header = _header(low, high, model, memory, len(labels))
    return CSource(low, header, _code(low, high, content, model, labels), memory)


# Kernels for Cortex-M have four offsets of 32 bits for each block of a sparse matrix, others of 16
# (ULNN_KERNEL_SPARSE_OFFSET). Everything else is as large on a PC as anywhere, or larger.
_LIST_BYTES = 4 * 2


def _sparse_blocks(model: ModelFile) -> int:
    lists = [matrix.lists or () for layer in model.layers for matrix in layer.matrices]
    return sum((len(group) + 3) // 4 for groups in lists for group in groups)


def _header(low: str, high: str, model: ModelFile, memory: int, labels: int) -> str:
    label = f"""
// Names of the classes, in the order of the outputs.
extern const char *const {low}_labels[{high}_LABELS];
"""
    return f"""{MADE}
// Model {model.sha256}
#ifndef {high}_H
#define {high}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {high}_SHA256 "{model.sha256}"
#define {high}_FILE_SIZE {model.file_size}u // bytes
#define {high}_MEMORY_SIZE {memory}u // bytes for ulnn_load, on any machine
#define {high}_INPUTS {model.input_size}
#define {high}_OUTPUTS {model.output_size}
#define {high}_LABELS {labels}
#define {high}_TICK_NS {model.tick_ns}u // length of a tick of dt
#define {high}_DT_MAX {model.dt_max}u // ticks; longer ones are clamped and counted

// The file, for ulnn_load.
extern const uint32_t {low}_file[({high}_FILE_SIZE + 3) / 4];

// Real values are integers * scale + offset (SPEC 2.2).
extern const float {low}_input_scale[{high}_INPUTS];
extern const float {low}_input_offset[{high}_INPUTS];
extern const float {low}_output_scale[{high}_OUTPUTS];
extern const float {low}_output_offset[{high}_OUTPUTS];
{label if labels else ""}
// From {high}_INPUTS real values to the integers x of ulnn_step: to nearest, halves to even,
// saturated. What is not a number becomes 0.
void {low}_quantise(const float *values, int16_t *x);

// From the integers y of ulnn_step to {high}_OUTPUTS real values.
void {low}_dequantise(const int16_t *y, float *values);

#ifdef __cplusplus
}}
#endif

#endif // {high}_H
"""


def _code(low: str, high: str, content: bytes, model: ModelFile, labels: Sequence[str]) -> str:
    padded = content + bytes(-len(content) % 4)
    words = (f"0x{word:08x}u" for word in np.frombuffer(padded, "<u4"))
    names = ""
    if labels:
        listed = _lines((f'"{_escaped(label)}"' for label in labels), 1)
        names = f"const char *const {low}_labels[{high}_LABELS] = {{\n{listed}\n}};\n\n"
    scales = "".join(
        f"const float {low}_{kind}[{high}_{size}] = {{\n{_lines(map(_float, values), 4)}\n}};\n"
        for kind, size, values in (
            ("input_scale", "INPUTS", model.input_scale),
            ("input_offset", "INPUTS", model.input_offset),
            ("output_scale", "OUTPUTS", model.output_scale),
            ("output_offset", "OUTPUTS", model.output_offset),
        )
    )
    return f"""{MADE}
#include "{low}.h"

// Little-endian words of the file.
const uint32_t {low}_file[({high}_FILE_SIZE + 3) / 4] = {{
{_lines(words, _WORDS_PER_LINE)}
}};

{scales}
{names}// To nearest, halves to even.
static int32_t {low}_round(double value) {{
    const int32_t whole = (int32_t)value;
    const double part = value - whole;
    if (part > 0.5 || (part == 0.5 && (whole & 1) != 0)) {{
        return whole + 1;
    }}
    return part < -0.5 || (part == -0.5 && (whole & 1) != 0) ? whole - 1 : whole;
}}

void {low}_quantise(const float *values, int16_t *x) {{
    for (int i = 0; i < {high}_INPUTS; i++) {{
        const double offset = {low}_input_offset[i], scale = {low}_input_scale[i];
        const double value = scale != 0.0 ? ((double)values[i] - offset) / scale : 0.0;
        if (value >= 32767.0) {{
            x[i] = 32767;
        }} else if (value <= -32768.0) {{
            x[i] = -32768;
        }} else {{
            x[i] = value == value ? (int16_t){low}_round(value) : 0;
        }}
    }}
}}

void {low}_dequantise(const int16_t *y, float *values) {{
    for (int i = 0; i < {high}_OUTPUTS; i++) {{
        const double scale = {low}_output_scale[i], offset = {low}_output_offset[i];
        values[i] = (float)(y[i] * scale + offset);
    }}
}}
"""


def _lines(items: Iterable[str], width: int) -> str:
    every = list(items)
    return "\n".join(
        "    " + ", ".join(every[k : k + width]) + "," for k in range(0, len(every), width)
    )


def _float(value: float) -> str:
    """A float32 with all its digits, as a C constant."""
    text = f"{float(np.float32(value)):.9g}"
    return f"{text}f" if any(c in text for c in ".en") else f"{text}.0f"


def _escaped(text: str) -> str:
    """The inside of a C string literal; bytes that are not plain ASCII as octal escapes."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode(errors="replace")
    )
