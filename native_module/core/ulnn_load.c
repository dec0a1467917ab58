// SPDX-License-Identifier: MIT
// The loader: SPEC section 4, check by check, over bytes that anybody may have written.
//
// One pass does all jobs: with memory to write the model to (ulnn_load), without (ulnn_check), and
// without the checks that read every weight (ulnn_memory_size). Every field that decides about an
// address is read once, into a local variable, checked there, and stored from there.
#include "ulnn_loader.h"

enum {
    SECTION_TIME = 1,
    SECTION_INPUT = 2,
    SECTION_OUTPUT = 3,
    SECTION_TABLE = 4,
    SECTION_LAYER = 5,
    SECTION_GOLDEN = 6,
    SECTION_IGNORED = 0x8000, // this type and all above
};

#define TABLE_SIZE 2048u

// CRC-32 by half bytes. The table is made on the stack: 16 entries cost less than 1 KB of flash
// and a native module needs no relocated data for it.
static uint32_t ulnn_crc32(const uint8_t *p, size_t n) {
    uint32_t table[16];
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t c = i;
        for (unsigned bit = 0; bit < 4; bit++) {
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        }
        table[i] = c;
    }
    uint32_t crc = 0xffffffffu;
    for (; n != 0; n--) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

// Checks 1 to 12.
static int ulnn_load_header(ulnn_loader_t *load, uint32_t *section_count) {
    const uint8_t *file = load->file;
    const size_t size = load->size;
    ulnn_info_t *info = &load->info;
    if (size < ULNN_HEADER_SIZE) {
        return ulnn_fail(load, ULNN_TOO_SHORT, size, 0);
    }
    if (ulnn_u32(file) != 0x4e4e4c55u) {
        return ulnn_fail(load, ULNN_MAGIC, 0, 0);
    }
    if (file[4] != ULNN_FORMAT_MAJOR) {
        return ulnn_fail(load, ULNN_FORMAT, file[4], 0);
    }
    if (size > ULNN_FILE_MAX) {
        return ulnn_fail(load, ULNN_TOO_LARGE, size, 0);
    }
    if (ulnn_u32(file + 8) != size) {
        return ulnn_fail(load, ULNN_FILE_SIZE, size, ulnn_u32(file + 8));
    }
    if (!load->size_only && ulnn_crc32(file + 16, size - 16) != ulnn_u32(file + 12)) {
        return ulnn_fail(load, ULNN_CRC, 0, 0);
    }
    if (ulnn_u16(file + 6) != 0 || ulnn_u32(file + 60) != 0) {
        return ulnn_fail(load, ULNN_HEADER_RESERVED, 0, 0);
    }
    info->format_minor = file[5];
    info->file_size = (uint32_t)size;
    memcpy(info->sha256, file + 16, sizeof(info->sha256));
    info->model_version = ulnn_u32(file + 48);
    info->dialect = (uint16_t)ulnn_u16(file + 52);
    if (info->dialect < 1 || info->dialect > ULNN_DIALECTS_MAX) {
        return ulnn_fail(load, ULNN_DIALECT, info->dialect, 0);
    }
    uint32_t sections = ulnn_u16(file + 54);
    if (sections < 1 || sections > ULNN_SECTIONS_MAX) {
        return ulnn_fail(load, ULNN_SECTION_COUNT, sections, 0);
    }
    info->input_size = (uint16_t)ulnn_u16(file + 56);
    if (info->input_size < 1 || info->input_size > ULNN_SIZE_MAX) {
        return ulnn_fail(load, ULNN_INPUT_SIZE, info->input_size, 0);
    }
    info->output_size = (uint16_t)ulnn_u16(file + 58);
    if (info->output_size < 1 || info->output_size > ULNN_SIZE_MAX) {
        return ulnn_fail(load, ULNN_OUTPUT_SIZE, info->output_size, 0);
    }
    if (size < ULNN_HEADER_SIZE + 16 * sections) {
        return ulnn_fail(load, ULNN_SECTION_TABLE, 0, 0);
    }
    *section_count = sections;
    return 1;
}

// Checks 16 to 19, for a section whose bytes are known to lie in the file.
static int ulnn_load_section(
    ulnn_loader_t *load, uint32_t type, uint32_t index, ulnn_section_t section) {
    uint32_t want = 0;
    uint32_t number = 0; // the index that the section must have
    uint32_t limit = 1;
    switch (type) {
        case SECTION_TIME:
            load->time = section;
            want = 8;
            break;
        case SECTION_INPUT:
            want = 8u * load->info.input_size;
            break;
        case SECTION_OUTPUT:
            want = 8u * load->info.output_size;
            break;
        case SECTION_TABLE:
            number = load->table_count;
            limit = ULNN_TABLES_MAX;
            want = TABLE_SIZE;
            break;
        case SECTION_LAYER:
            number = load->info.layers;
            limit = ULNN_LAYERS_MAX;
            break;
        case SECTION_GOLDEN:
            load->golden = section;
            break;
        default:
            if (type >= SECTION_IGNORED) {
                return 1;
            }
            return ulnn_fail(load, ULNN_SECTION_TYPE, type, 0);
    }
    if (index != number || index >= limit) {
        return ulnn_fail(load, ULNN_SECTION_INDEX, 0, 0);
    }
    if (want != 0 && section.size != want) {
        return ulnn_fail(load, ULNN_SECTION_SIZE, section.size, want);
    }
    load->parts_seen |= (uint8_t)(1u << type);
    if (type == SECTION_TABLE) {
        load->tables[load->table_count++] = section.data;
    } else if (type == SECTION_LAYER) {
        if (section.size < 16) {
            return ulnn_fail(load, ULNN_SECTION_SIZE_MIN, section.size, 0);
        }
        load->layers[load->info.layers++] = section;
    }
    return 1;
}

// Checks 13 to 20.
static int ulnn_load_sections(ulnn_loader_t *load, uint32_t count) {
    const uint8_t *entry = load->file + ULNN_HEADER_SIZE;
    const uint32_t size = (uint32_t)load->size;
    uint32_t end = ULNN_HEADER_SIZE + 16 * count;
    uint32_t key = 0; // (type, index) of the entry before; starts below every key but (0, 0)
    for (uint32_t k = 0; k < count; k++, entry += 16) {
        load->error.index = k;
        uint32_t type = ulnn_u16(entry);
        uint32_t index = ulnn_u16(entry + 2);
        uint32_t offset = ulnn_u32(entry + 4);
        ulnn_section_t section = {NULL, ulnn_u32(entry + 8)};
        if (ulnn_u32(entry + 12) != 0 || (offset & 15) != 0) {
            return ulnn_fail(load, ULNN_SECTION_ENTRY, 0, 0);
        }
        if (offset < end || offset > size || section.size > size - offset) {
            return ulnn_fail(load, ULNN_SECTION_FIT, 0, 0);
        }
        if (k != 0 && (type << 16 | index) <= key) {
            return ulnn_fail(load, ULNN_SECTION_ORDER, 0, 0);
        }
        key = type << 16 | index;
        end = offset + section.size;
        section.data = load->file + offset;
        if (!ulnn_load_section(load, type, index, section)) {
            return 0;
        }
    }
    // The reasons stand in the order of the types.
    for (unsigned t = SECTION_TIME; t <= SECTION_LAYER; t++) {
        if (t != SECTION_TABLE && (load->parts_seen >> t & 1) == 0) {
            unsigned missing = t == SECTION_LAYER ? 3 : t - SECTION_TIME;
            return ulnn_fail(load, (ulnn_status_t)(ULNN_NO_TIME + missing), 0, 0);
        }
    }
    return 1;
}

// Checks 21 to 23.
static int ulnn_load_time_tables(ulnn_loader_t *load) {
    ulnn_info_t *info = &load->info;
    info->tick_ns = ulnn_u32(load->time.data);
    info->dt_max = ulnn_u32(load->time.data + 4);
    if (info->tick_ns == 0) {
        return ulnn_fail(load, ULNN_TICK, 0, 0);
    }
    if (info->dt_max == 0 || info->dt_max > ULNN_TICKS_MAX) {
        return ulnn_fail(load, ULNN_DT_MAX, info->dt_max, 0);
    }
    for (uint32_t t = 0; t < load->table_count && !load->size_only; t++) {
        const uint8_t *entry = load->tables[t];
        for (uint32_t k = 0; k < TABLE_SIZE / 4; k++, entry += 4) {
            const int32_t slope = (int16_t)ulnn_u16(entry), offset = (int16_t)ulnn_u16(entry + 2);
            const int32_t u = ((int32_t)k - 256) * 8192;
            int32_t low = ulnn_line(slope, offset, u * 1024);
            int32_t high = ulnn_line(slope, offset, (u + 8191) * 1024);
            if (low < -32767 || low > 32767 || high < -32767 || high > 32767) {
                load->error.index = k;
                return ulnn_fail(load, ULNN_TABLE_RANGE, t, 0);
            }
        }
    }
    return 1;
}

// Checks 67 to 71.
static int ulnn_load_golden(ulnn_loader_t *load) {
    const uint8_t *data = load->golden.data;
    const uint32_t size = load->golden.size;
    if (data == NULL || load->size_only) {
        return 1;
    }
    if (size < 8) {
        return ulnn_fail(load, ULNN_GOLDEN_SHORT, size, 0);
    }
    const uint32_t steps = ulnn_u32(data);
    if (steps < 1 || steps > ULNN_GOLDEN_MAX) {
        return ulnn_fail(load, ULNN_GOLDEN_STEPS, steps, 0);
    }
    if (ulnn_u32(data + 4) != 0) {
        return ulnn_fail(load, ULNN_GOLDEN_RESERVED, 0, 0);
    }
    const uint32_t values = (uint32_t)load->info.input_size + load->info.output_size;
    const uint32_t want = 8 + steps * (4 + 2 * values) + 2 * load->info.state_size;
    if (size != want) {
        return ulnn_fail(load, ULNN_GOLDEN_SIZE, size, want);
    }
    for (uint32_t k = 0; k < steps; k++) {
        if (ulnn_u32(data + 8 + 4 * k) - 1 >= ULNN_TICKS_MAX) {
            load->error.index = k;
            return ulnn_fail(load, ULNN_GOLDEN_DT, 0, 0);
        }
    }
    load->info.golden_steps = steps;
    return 1;
}

// Where the values stand in the model's memory, and how many bytes they are.
static size_t ulnn_values_at(const ulnn_loader_t *load) {
    return ulnn_align(ulnn_matrices_at(load) + load->matrix_count * sizeof(ulnn_matrix_t));
}

static size_t ulnn_values_bytes(const ulnn_loader_t *load) {
    return (load->values + load->scratch[0] + load->scratch[1]) * sizeof(int16_t);
}

static void ulnn_start(ulnn_loader_t *load, const void *file, size_t size) {
    memset(load, 0, sizeof(*load));
    load->file = file;
    load->size = size;
}

// All checks, and layers and matrices where there is memory. Answers 0 with load->error set, or
// the bytes that the model needs.
static size_t ulnn_load_file(ulnn_loader_t *load) {
    uint32_t sections;
    if (!ulnn_load_header(load, &sections) || !ulnn_load_sections(load, sections) ||
        !ulnn_load_time_tables(load)) {
        return 0;
    }
    ulnn_need_room(load, ulnn_matrices_at(load));
    uint32_t values = load->info.input_size;
    for (uint32_t l = 0; l < load->info.layers; l++) {
        if (!ulnn_load_layer(load, l, &values)) {
            return 0;
        }
    }
    if (values != load->info.output_size) {
        return (size_t)ulnn_fail(load, ULNN_LAST_OUTPUT, values, load->info.output_size);
    }
    if (!ulnn_load_golden(load)) {
        return 0;
    }
    return ulnn_values_at(load) + ulnn_values_bytes(load) + load->lists;
}

static void ulnn_report(const ulnn_loader_t *load, ulnn_error_t *error) {
    if (error != NULL) {
        *error = load->error;
    }
}

ulnn_status_t ulnn_check(const void *file, size_t size, size_t *need, ulnn_error_t *error) {
    ulnn_loader_t load;
    ulnn_start(&load, file, size);
    size_t bytes = ulnn_load_file(&load);
    if (bytes == 0) {
        ulnn_report(&load, error);
        return load.error.status;
    }
    if (need != NULL) {
        *need = bytes;
    }
    return ULNN_OK;
}

size_t ulnn_memory_size(const void *file, size_t size) {
    ulnn_loader_t load;
    ulnn_start(&load, file, size);
    load.size_only = 1;
    return ulnn_load_file(&load);
}

ulnn_model_t *ulnn_load(
    const void *file, size_t size, void *memory, size_t memory_size, ulnn_error_t *error) {
    ulnn_loader_t load;
    ulnn_start(&load, file, size);
    if (((uintptr_t)memory & (ULNN_ALIGN - 1)) == 0) {
        load.memory = memory;
        load.memory_size = memory_size;
    }
    const size_t bytes = ulnn_load_file(&load);
    if (bytes != 0 && ((uintptr_t)file & (ULNN_FILE_ALIGN - 1)) != 0) {
        (void)ulnn_fail(&load, ULNN_BAD_ALIGNMENT, 0, 0);
    } else if (bytes != 0 && (load.memory == NULL || bytes > memory_size)) {
        (void)ulnn_fail(&load, ULNN_BAD_MEMORY, memory_size, bytes);
    }
    if (load.error.status != ULNN_OK) {
        ulnn_report(&load, error);
        return NULL;
    }
    ulnn_model_t *model = memory;
    memset(model, 0, sizeof(*model));
    model->layers = (void *)(load.memory + ulnn_align(sizeof(ulnn_model_t)));
    model->values = (void *)(load.memory + ulnn_values_at(&load));
    model->scratch[0] = model->values + load.values;
    model->scratch[1] = model->scratch[0] + load.scratch[0];
    memset(model->values, 0, ulnn_values_bytes(&load));
    model->info = load.info;
    model->dt_least = load.dt_wanted;
    model->dt_span = load.info.dt_fixed != 0 ? 0 : load.info.dt_max;
    if (load.golden.data != NULL) {
        model->golden = load.golden.data + 8;
    }
    for (uint32_t dt_max = load.info.dt_max; dt_max >> 30 == 0; dt_max <<= 1) {
        model->time_shift++;
    }
    return model;
}
