// The reasons for refusing a file, in the order of SPEC section 4 (but for those of LTC layers,
// which some share with others), with their texts.
//
// Read several times with different meanings of ULNN_ERROR(name, text). In a text
//   %g  got      %w  want      %k  index
//   %l  "layer {l}: "          %m  "layer {l} matrix {j}: "
// One string per line keeps natmods free of pointer tables, which some of them cannot relocate.
ULNN_ERROR(TOO_SHORT, "file too short: %g bytes, expected at least 64")
ULNN_ERROR(MAGIC, "not a ulnn file: it does not start with ULNN")
ULNN_ERROR(FORMAT, "format version %g not supported, expected 1")
ULNN_ERROR(TOO_LARGE, "file too large: %g bytes, expected at most 16777216")
ULNN_ERROR(FILE_SIZE, "file size %g bytes, expected %w")
ULNN_ERROR(CRC, "CRC32 does not match: the file is damaged")
ULNN_ERROR(HEADER_RESERVED, "header: reserved field is not 0")
ULNN_ERROR(DIALECT, "dialect %g not supported")
ULNN_ERROR(SECTION_COUNT, "section count %g, expected 1 to 64")
ULNN_ERROR(INPUT_SIZE, "input size %g, expected 1 to 1024")
ULNN_ERROR(OUTPUT_SIZE, "output size %g, expected 1 to 1024")
ULNN_ERROR(SECTION_TABLE, "section table does not fit in the file")

ULNN_ERROR(SECTION_ENTRY, "section %k: bad entry")
ULNN_ERROR(SECTION_FIT, "section %k: does not fit in the file")
ULNN_ERROR(SECTION_ORDER, "section %k: out of order")
ULNN_ERROR(SECTION_TYPE, "section %k: type %g not supported")
ULNN_ERROR(SECTION_INDEX, "section %k: bad index")
ULNN_ERROR(SECTION_SIZE, "section %k: size %g, expected %w")
ULNN_ERROR(SECTION_SIZE_MIN, "section %k: size %g, expected at least 16")

ULNN_ERROR(NO_TIME, "section TIME is missing")
ULNN_ERROR(NO_INPUT, "section INPUT is missing")
ULNN_ERROR(NO_OUTPUT, "section OUTPUT is missing")
ULNN_ERROR(NO_LAYER, "section LAYER is missing")
ULNN_ERROR(TICK, "tick of 0 ns")
ULNN_ERROR(DT_MAX, "dt_max %g, expected 1 to 2147483647")
ULNN_ERROR(TABLE_RANGE, "table %g: segment %k leaves the range")

ULNN_ERROR(LAYER_KIND, "%lkind %g not supported")
ULNN_ERROR(LAYER_MODE, "%lmode %g not supported")
ULNN_ERROR(LAYER_GATE_SHIFT, "%lgate shift %g not supported")
ULNN_ERROR(LAYER_INPUT, "%linput size %g, expected %w")
ULNN_ERROR(LAYER_OUTPUT, "%loutput size %g, expected 1 to 1024")
ULNN_ERROR(LAYER_MATRICES, "%lmatrix count %g not supported")
ULNN_ERROR(LAYER_STATE_SHIFT, "%lstate shift %g not supported")
ULNN_ERROR(LAYER_CELL_SHIFT, "%lcell shift %g not supported")
ULNN_ERROR(LAYER_RESERVED, "%lreserved field is not 0")
ULNN_ERROR(LAYER_FIXED_DT, "%lfixed dt %g, expected 1 to %w")
ULNN_ERROR(LAYER_FIT, "%ldescriptors do not fit in the section")

ULNN_ERROR(MATRIX_BITS, "%mweight bits %g not supported")
ULNN_ERROR(MATRIX_ACTIVATION, "%mactivation %g not supported")
ULNN_ERROR(MATRIX_SHIFT, "%mshift %g not supported")
ULNN_ERROR(MATRIX_OUTPUT_SHIFT, "%moutput shift %g not supported")
ULNN_ERROR(MATRIX_TABLE, "%mtable %g not supported")
ULNN_ERROR(MATRIX_STORAGE, "%mstorage %g not supported")
ULNN_ERROR(MATRIX_RESERVED, "%mreserved field is not 0")
ULNN_ERROR(MATRIX_ROWS, "%mrows %g not supported")
ULNN_ERROR(MATRIX_COLUMNS, "%mcolumns %g, expected %w")
ULNN_ERROR(MATRIX_OFFSET, "%moffset %g, expected %w")
#if !ULNN_CELLS_CFC
ULNN_ERROR(GROUP_COLUMNS, "%mgroup %k: columns %g, expected 1 to %w")
#endif
ULNN_ERROR(MATRIX_FIT, "%mweights do not fit in the section")
#if !ULNN_CELLS_CFC
ULNN_ERROR(MATRIX_ENTRY, "%mentry %k: offset %g not supported")
#endif
ULNN_ERROR(ROW_MULTIPLIER, "%mrow %k: multiplier is negative")
ULNN_ERROR(ROW_FILLING, "%mrow %k: filling is not 0")
ULNN_ERROR(ROW_OVERFLOW, "%mrow %k: accumulator can overflow")
#if !ULNN_CELLS_CFC
ULNN_ERROR(NEURONS_FIT, "%lneurons do not fit in the section")
ULNN_ERROR(NEURON_NUMBERS, "%lneuron %k: bad numbers")
#endif
ULNN_ERROR(LAYER_SIZE, "%lsection size %g, expected %w")

#if !ULNN_CELLS_CFC
ULNN_ERROR(LTC_NEURONS, "%lneurons %g, expected %w to 1024")
ULNN_ERROR(LTC_UNFOLDS, "%lunfolds %g not supported")
ULNN_ERROR(LTC_TABLE, "%ltable %g not supported")
ULNN_ERROR(LTC_SYNAPSES_MAX, "%lsynapses %g, expected at most 1048576")
ULNN_ERROR(LTC_SYNAPSES, "%lsynapses %g, expected %w")
ULNN_ERROR(LTC_ENTRY, "%lentry %k: offset %g not supported")
#endif

ULNN_ERROR(LAST_OUTPUT, "output size %g, expected %w")
ULNN_ERROR(GOLDEN_SHORT, "golden vectors: size %g, expected at least 8")
ULNN_ERROR(GOLDEN_STEPS, "golden vectors: steps %g, expected 1 to 4096")
ULNN_ERROR(GOLDEN_RESERVED, "golden vectors: reserved field is not 0")
ULNN_ERROR(GOLDEN_SIZE, "golden vectors: size %g, expected %w")
ULNN_ERROR(GOLDEN_DT, "golden vectors: bad dt at step %k")
