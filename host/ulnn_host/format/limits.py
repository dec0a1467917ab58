"""The limits of the format (SPEC.md section 2). The C core has the same names in ulnn_limits.h."""

from __future__ import annotations

FILE_MAX = 16_777_216
"""Bytes of a file."""
SECTIONS_MAX = 64
TABLES_MAX = 4
LAYERS_MAX = 16
MATRICES_MAX = 16
"""Of a layer."""
DIALECTS_MAX = 6
SIZE_MAX = 1024
"""Inputs, outputs and neurons, of a model and of a layer."""
ROWS_MAX = 4096
"""Of a matrix."""
SYNAPSES_MAX = 1_048_576
"""Of an LTC layer."""
UNFOLDS_MAX = 64
TICKS_MAX = 2**31 - 1
GOLDEN_MAX = 4096
"""Steps of the golden vectors."""
