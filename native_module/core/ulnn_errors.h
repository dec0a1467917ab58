// SPDX-License-Identifier: MIT
// The reasons for refusing a file, in the order of SPEC section 4 (but for those of LTC layers,
// which some share with others), with their texts.
//
// Read several times with different meanings of ULNN_ERROR(name, text). In a text
//   %g  got      %w  want      %k  index
//   %l  "layer {l}: "          %m  "layer {l} matrix {j}: "
//   ULNN_QUOTE  a limit
//   ULNN_S_...  a phrase that several share, %A and so on, of ulnn_text.c
// One string per line keeps natmods free of pointer tables, which some of them cannot relocate.
ULNN_ERROR(TOO_SHORT, "file too short: %g bytes, expected at least 64")
ULNN_ERROR(MAGIC, "not a ulnn file: it does not start with ULNN")
ULNN_ERROR(FORMAT, "format version" ULNN_S_NOT_SUPPORTED ", expected 1")
ULNN_ERROR(TOO_LARGE, "file too large: %g bytes, expected at most " ULNN_QUOTE(ULNN_FILE_MAX))
ULNN_ERROR(FILE_SIZE, "file size %g bytes, expected %w")
ULNN_ERROR(CRC, "CRC32 does not match: the file is damaged")
ULNN_ERROR(HEADER_RESERVED, "header: " ULNN_S_RESERVED)
ULNN_ERROR(DIALECT, "dialect" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(SECTION_COUNT, "section count" ULNN_S_EXPECTED "1 to " ULNN_QUOTE(ULNN_SECTIONS_MAX))
ULNN_ERROR(INPUT_SIZE, "input size" ULNN_S_EXPECTED "1 to " ULNN_QUOTE(ULNN_SIZE_MAX))
ULNN_ERROR(OUTPUT_SIZE, "output size" ULNN_S_EXPECTED "1 to " ULNN_QUOTE(ULNN_SIZE_MAX))
ULNN_ERROR(SECTION_TABLE, "section table does not fit in the file")

ULNN_ERROR(SECTION_ENTRY, ULNN_S_SECTION "bad entry")
ULNN_ERROR(SECTION_FIT, ULNN_S_SECTION "does not fit in the file")
ULNN_ERROR(SECTION_ORDER, ULNN_S_SECTION "out of order")
ULNN_ERROR(SECTION_TYPE, ULNN_S_SECTION "type" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(SECTION_INDEX, ULNN_S_SECTION "bad index")
ULNN_ERROR(SECTION_SIZE, ULNN_S_SECTION "size" ULNN_S_EXPECTED "%w")
ULNN_ERROR(SECTION_SIZE_MIN, ULNN_S_SECTION "size" ULNN_S_EXPECTED "at least 16")

ULNN_ERROR(NO_TIME, "section TIME is missing")
ULNN_ERROR(NO_INPUT, "section INPUT is missing")
ULNN_ERROR(NO_OUTPUT, "section OUTPUT is missing")
ULNN_ERROR(NO_LAYER, "section LAYER is missing")
ULNN_ERROR(TICK, "tick of 0 ns")
ULNN_ERROR(DT_MAX, "dt_max" ULNN_S_EXPECTED "1 to " ULNN_QUOTE(ULNN_TICKS_MAX))
ULNN_ERROR(TABLE_RANGE, "table %g: segment %k leaves the range")

ULNN_ERROR(LAYER_KIND, "%lkind" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(LAYER_MODE, "%lmode" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(LAYER_GATE_SHIFT, "%lgate shift" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(LAYER_INPUT, "%linput size" ULNN_S_EXPECTED "%w")
ULNN_ERROR(LAYER_OUTPUT, "%loutput size" ULNN_S_EXPECTED "1 to " ULNN_QUOTE(ULNN_SIZE_MAX))
ULNN_ERROR(LAYER_MATRICES, "%lmatrix count" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(LAYER_STATE_SHIFT, "%lstate shift" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(LAYER_CELL_SHIFT, "%lcell shift" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(LAYER_RESERVED, "%l" ULNN_S_RESERVED)
ULNN_ERROR(LAYER_FIXED_DT, "%lfixed dt" ULNN_S_EXPECTED "1 to %w")
ULNN_ERROR(LAYER_FIT, "%ldescriptors do not" ULNN_S_FIT)

ULNN_ERROR(MATRIX_BITS, "%mweight bits" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(MATRIX_ACTIVATION, "%mactivation" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(MATRIX_SHIFT, "%mshift" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(MATRIX_OUTPUT_SHIFT, "%moutput shift" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(MATRIX_TABLE, "%mtable" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(MATRIX_STORAGE, "%mstorage" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(MATRIX_RESERVED, "%m" ULNN_S_RESERVED)
ULNN_ERROR(MATRIX_ROWS, "%mrows" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(MATRIX_COLUMNS, "%mcolumns" ULNN_S_EXPECTED "%w")
ULNN_ERROR(MATRIX_OFFSET, "%moffset" ULNN_S_EXPECTED "%w")
#if !ULNN_CELLS_CFC
ULNN_ERROR(GROUP_COLUMNS, "%mgroup %k: columns" ULNN_S_EXPECTED "1 to %w")
#endif
ULNN_ERROR(MATRIX_FIT, "%mweights do not" ULNN_S_FIT)
#if !ULNN_CELLS_CFC
ULNN_ERROR(MATRIX_ENTRY, "%mentry %k: offset" ULNN_S_NOT_SUPPORTED)
#endif
ULNN_ERROR(ROW_MULTIPLIER, "%mrow %k: multiplier is negative")
ULNN_ERROR(ROW_FILLING, "%mrow %k: filling is not 0")
ULNN_ERROR(ROW_OVERFLOW, "%mrow %k: accumulator can overflow")
#if !ULNN_CELLS_CFC
ULNN_ERROR(NEURONS_FIT, "%lneurons do not" ULNN_S_FIT)
ULNN_ERROR(NEURON_NUMBERS, "%lneuron %k: bad numbers")
#endif
ULNN_ERROR(LAYER_SIZE, "%lsection size" ULNN_S_EXPECTED "%w")

#if !ULNN_CELLS_CFC
ULNN_ERROR(LTC_NEURONS, "%lneurons" ULNN_S_EXPECTED "%w to " ULNN_QUOTE(ULNN_SIZE_MAX))
ULNN_ERROR(LTC_UNFOLDS, "%lunfolds" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(LTC_TABLE, "%ltable" ULNN_S_NOT_SUPPORTED)
ULNN_ERROR(LTC_SYNAPSES_MAX, "%lsynapses" ULNN_S_EXPECTED "at most " ULNN_QUOTE(ULNN_SYNAPSES_MAX))
ULNN_ERROR(LTC_SYNAPSES, "%lsynapses" ULNN_S_EXPECTED "%w")
ULNN_ERROR(LTC_ENTRY, "%lentry %k: offset" ULNN_S_NOT_SUPPORTED)
#endif

ULNN_ERROR(LAST_OUTPUT, "output size" ULNN_S_EXPECTED "%w")
ULNN_ERROR(GOLDEN_SHORT, ULNN_S_GOLDEN "size" ULNN_S_EXPECTED "at least 8")
ULNN_ERROR(GOLDEN_STEPS, ULNN_S_GOLDEN "steps" ULNN_S_EXPECTED "1 to " ULNN_QUOTE(ULNN_GOLDEN_MAX))
ULNN_ERROR(GOLDEN_RESERVED, ULNN_S_GOLDEN ULNN_S_RESERVED)
ULNN_ERROR(GOLDEN_SIZE, ULNN_S_GOLDEN "size" ULNN_S_EXPECTED "%w")
ULNN_ERROR(GOLDEN_DT, ULNN_S_GOLDEN "bad dt at step %k")
