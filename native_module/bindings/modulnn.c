// SPDX-License-Identifier: MIT
// The MicroPython module `ulnn` (SPEC section 5), for firmware builds and for native modules.
//
// Firmware builds compile this file as it is. natmod/ulnn_natmod.c defines ULNN_NATMOD and includes
// it: there, py/dynruntime.h turns the same calls into jumps through the firmware's table.
//
// Only integers, buffers and strings cross this boundary. Floats would be passed in registers that
// the firmware may not expect: a native module runs on firmware of another float ABI.
#if !ULNN_NATMOD
#include "py/binary.h"
#include "py/objstr.h"
#include "py/runtime.h"
#endif

#include "../core/ulnn.h"

typedef struct _ulnn_obj_model_t {
    mp_obj_base_t base;
    ulnn_model_t *model; // on the heap, a block of its own
    mp_obj_t source;     // keeps the file's buffer alive
    void *copy;          // of the file, or NULL
    mp_obj_t dt_limit;   // 2^32-1, to compare large ints with: a step must not make one
    size_t ram;
    bool in_place;
} ulnn_obj_model_t;

/******************************************************************************/
// Errors. Their texts are put together from str objects: native modules have no formatted raise.

static mp_obj_t ulnn_text(const char *text) {
    size_t length = 0;
    while (text[length] != 0) {
        length++;
    }
    return mp_obj_new_str(text, length);
}

static mp_obj_t ulnn_join(mp_obj_t text, const char *more, mp_obj_t number) {
    text = mp_binary_op(MP_BINARY_OP_ADD, text, ulnn_text(more));
    if (number != MP_OBJ_NULL) {
        number = mp_call_function_n_kw(MP_OBJ_FROM_PTR(&mp_type_str), 1, 0, &number);
        text = mp_binary_op(MP_BINARY_OP_ADD, text, number);
    }
    return text;
}

static void ulnn_raise(mp_obj_t text) {
    mp_raise_type_arg(&mp_type_ValueError, text);
}

static void ulnn_raise_refused(const ulnn_error_t *error) {
    char text[ULNN_TEXT_MAX];
    size_t length = ulnn_error_text(error, text);
    ulnn_raise(mp_obj_new_str(text, length));
}

static void ulnn_raise_size(const char *name, const char *unit, size_t want, size_t got) {
    mp_obj_t text = ulnn_join(ulnn_text(name), ": expected ", mp_obj_new_int_from_uint(want));
    text = ulnn_join(text, unit, MP_OBJ_NULL);
    ulnn_raise(ulnn_join(text, ", got ", mp_obj_new_int_from_uint(got)));
}

static mp_obj_t ulnn_bad_ticks(const char *name, mp_obj_t got) {
    return ulnn_join(ulnn_text(name), ": expected 1 or more ticks, got ", got);
}

/******************************************************************************/
// Arguments

// Gets a buffer of int16 values; `name` is the argument's in the error text.
static MP_NOINLINE void ulnn_get_int16(
    mp_obj_t object, mp_buffer_info_t *buffer, mp_uint_t flags, const char *name) {
    mp_get_buffer_raise(object, buffer, flags);
    if (buffer->typecode != 'h') {
        ulnn_raise(ulnn_join(ulnn_text(name), ": expected int16 values (array 'h')", MP_OBJ_NULL));
    }
}

// The same, of as many values as it is to have.
static MP_NOINLINE void *ulnn_get_values(
    mp_obj_t object, mp_uint_t flags, size_t want, const char *name) {
    mp_buffer_info_t buffer;
    ulnn_get_int16(object, &buffer, flags, name);
    if (buffer.len / 2 != want) {
        ulnn_raise_size(name, " values", want, buffer.len / 2);
    }
    return buffer.buf;
}

// The same in fewer instructions: asks the object's type itself. What is not as it should be goes
// the long way, which raises.
static MP_ALWAYSINLINE inline void *ulnn_get_quickly(
    mp_obj_t object, mp_uint_t flags, size_t want, const char *name) {
    if (mp_obj_is_obj(object)) {
        const mp_obj_type_t *type = ((const mp_obj_base_t *)MP_OBJ_TO_PTR(object))->type;
        mp_buffer_info_t buffer;
        if (MP_OBJ_TYPE_HAS_SLOT(type, buffer) &&
            MP_OBJ_TYPE_GET_SLOT(type, buffer)(object, &buffer, flags) == 0 &&
            buffer.typecode == 'h' && buffer.len / 2 == want) {
            return buffer.buf;
        }
    }
    return ulnn_get_values(object, flags, want, name);
}

// A dt as the core takes it. What exceeds 32 bits is clamped anyway. Allocates nothing.
static MP_NOINLINE uint32_t ulnn_get_dt(ulnn_obj_model_t *self, mp_obj_t object) {
    mp_obj_t one = MP_OBJ_NEW_SMALL_INT(1);
    if (!mp_obj_is_small_int(object)) {
        if (mp_obj_get_type(object) != mp_obj_get_type(one)) {
            // Not an int: this raises the interpreter's TypeError, but for bool.
            object = MP_OBJ_NEW_SMALL_INT((mp_int_t)mp_obj_get_int(object));
        } else if (mp_binary_op(MP_BINARY_OP_MORE, object, self->dt_limit) == mp_const_true) {
            return UINT32_MAX;
        } else if (mp_binary_op(MP_BINARY_OP_LESS, object, one) != mp_const_true) {
            return (uint32_t)mp_obj_get_int_truncated(object);
        }
    }
    if (mp_obj_is_small_int(object)) {
        mp_int_t dt = MP_OBJ_SMALL_INT_VALUE(object);
        if (dt > 0) {
            return (mp_uint_t)dt > UINT32_MAX ? UINT32_MAX : (uint32_t)dt;
        }
    }
    ulnn_raise(ulnn_bad_ticks("dt", object));
    return 0;
}

/******************************************************************************/
// Model

static mp_obj_t ulnn_model_step(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    ulnn_obj_model_t *self = MP_OBJ_TO_PTR(args[0]);
    const ulnn_info_t *info = ulnn_model_info(self->model);
    const void *x = ulnn_get_quickly(args[1], MP_BUFFER_READ, info->input_size, "x");
    void *y = ulnn_get_quickly(args[2], MP_BUFFER_WRITE, info->output_size, "y");
    mp_int_t dt = MP_OBJ_SMALL_INT_VALUE(args[3]);
    if (!mp_obj_is_small_int(args[3]) || dt <= 0 || (mp_uint_t)dt > UINT32_MAX) {
        dt = (mp_int_t)ulnn_get_dt(self, args[3]);
    }
    ulnn_step(self->model, x, y, (uint32_t)dt);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ulnn_model_step_obj, 4, 4, ulnn_model_step);

static uint32_t ulnn_dt_at(const mp_buffer_info_t *dts, size_t k) {
    uint32_t dt;
    memcpy(&dt, (const char *)dts->buf + 4 * k, sizeof(dt));
    return dt;
}

static mp_obj_t ulnn_model_run(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    ulnn_obj_model_t *self = MP_OBJ_TO_PTR(args[0]);
    const ulnn_info_t *info = ulnn_model_info(self->model);
    mp_buffer_info_t dts;
    mp_get_buffer_raise(args[3], &dts, MP_BUFFER_READ);
    const int code = dts.typecode | 0x20; // lower case
    if (code != 'i' && (code != 'l' || sizeof(long) != 4)) {
        ulnn_raise(ulnn_text("dts: expected 32-bit values (array 'I')"));
    }
    const bool is_signed = code == dts.typecode;
    const size_t steps = dts.len / 4;
    const char *x = ulnn_get_values(args[1], MP_BUFFER_READ, steps * info->input_size, "xs");
    char *y = ulnn_get_values(args[2], MP_BUFFER_WRITE, steps * info->output_size, "ys");
    for (size_t k = 0; k < steps; k++) {
        uint32_t dt = ulnn_dt_at(&dts, k);
        if (dt == 0 || (is_signed && dt > INT32_MAX)) {
            mp_obj_t text = ulnn_bad_ticks("dts", mp_obj_new_int((int32_t)dt));
            ulnn_raise(ulnn_join(text, " at step ", mp_obj_new_int_from_uint(k)));
        }
    }
    for (size_t k = 0; k < steps; k++) {
        ulnn_step(self->model, x, y, ulnn_dt_at(&dts, k));
        x += 2 * info->input_size;
        y += 2 * info->output_size;
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ulnn_model_run_obj, 4, 4, ulnn_model_run);

static mp_obj_t ulnn_model_reset(mp_obj_t self_in) {
    ulnn_obj_model_t *self = MP_OBJ_TO_PTR(self_in);
    ulnn_reset(self->model);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(ulnn_model_reset_obj, ulnn_model_reset);

static mp_obj_t ulnn_model_self_test(mp_obj_t self_in) {
    ulnn_obj_model_t *self = MP_OBJ_TO_PTR(self_in);
    uint32_t differs;
    if (!ulnn_self_test(self->model, &differs)) {
        if (differs == ULNN_STATE_DIFFERS) {
            ulnn_raise(ulnn_text("self test: state differs"));
        }
        mp_obj_t text =
            ulnn_join(ulnn_text("self test: step"), " ", mp_obj_new_int_from_uint(differs));
        ulnn_raise(ulnn_join(text, " differs", MP_OBJ_NULL));
    }
    return mp_obj_new_int_from_uint(ulnn_model_info(self->model)->golden_steps);
}
static MP_DEFINE_CONST_FUN_OBJ_1(ulnn_model_self_test_obj, ulnn_model_self_test);

static void ulnn_put(mp_obj_t dict, qstr key, mp_obj_t value) {
    mp_obj_dict_store(dict, MP_OBJ_NEW_QSTR(key), value);
}

static void ulnn_put_int(mp_obj_t dict, qstr key, mp_uint_t value) {
    ulnn_put(dict, key, mp_obj_new_int_from_uint(value));
}

static mp_obj_t ulnn_obj_model_info(mp_obj_t self_in) {
    ulnn_obj_model_t *self = MP_OBJ_TO_PTR(self_in);
    const ulnn_info_t *info = ulnn_model_info(self->model);
    char sha256[2 * sizeof(info->sha256)];
    for (size_t i = 0; i < sizeof(sha256); i++) {
        unsigned digit = info->sha256[i / 2] >> (i & 1 ? 0 : 4) & 15;
        sha256[i] = (char)(digit + (digit < 10 ? '0' : 'a' - 10));
    }
    mp_obj_t dict = mp_obj_new_dict(21);
    mp_obj_t minor = mp_obj_new_int_from_uint(info->format_minor);
    ulnn_put(dict, MP_QSTR_format, ulnn_join(ulnn_text("1"), ".", minor));
    ulnn_put(dict, MP_QSTR_engine, MP_OBJ_NEW_QSTR(MP_QSTR_native));
    ulnn_put(dict, MP_QSTR_kernel, ulnn_text(ulnn_kernel_name()));
    ulnn_put_int(dict, MP_QSTR_model_version, info->model_version);
    ulnn_put(dict, MP_QSTR_dialect, ulnn_text(ulnn_dialect_name(info->dialect)));
    ulnn_put(dict, MP_QSTR_sha256, mp_obj_new_str(sha256, sizeof(sha256)));
    ulnn_put_int(dict, MP_QSTR_file_size, info->file_size);
    ulnn_put_int(dict, MP_QSTR_input_size, info->input_size);
    ulnn_put_int(dict, MP_QSTR_output_size, info->output_size);
    ulnn_put_int(dict, MP_QSTR_state_size, info->state_size);
    ulnn_put_int(dict, MP_QSTR_layers, info->layers);
    ulnn_put_int(dict, MP_QSTR_neurons, info->neurons);
    ulnn_put_int(dict, MP_QSTR_synapses, info->synapses);
    ulnn_put_int(dict, MP_QSTR_weight_bits, info->weight_bits);
    ulnn_put_int(dict, MP_QSTR_macs, info->macs);
    ulnn_put_int(dict, MP_QSTR_tick_ns, info->tick_ns);
    ulnn_put_int(dict, MP_QSTR_dt_max, info->dt_max);
    ulnn_put_int(dict, MP_QSTR_dt_fixed, info->dt_fixed);
    ulnn_put_int(dict, MP_QSTR_golden_steps, info->golden_steps);
    ulnn_put_int(dict, MP_QSTR_ram, self->ram);
    ulnn_put(dict, MP_QSTR_in_place, mp_obj_new_bool(self->in_place));
    return dict;
}
static MP_DEFINE_CONST_FUN_OBJ_1(ulnn_obj_model_info_obj, ulnn_obj_model_info);

static mp_obj_t ulnn_get_state(ulnn_obj_model_t *self, size_t bytes) {
    byte *state = m_new(byte, bytes + 1);
    ulnn_state_get(self->model, state);
    mp_obj_t object = mp_obj_new_bytes(state, bytes);
    m_del(byte, state, bytes + 1);
    return object;
}

static void ulnn_model_attr(mp_obj_t self_in, qstr attribute, mp_obj_t *dest) {
    ulnn_obj_model_t *self = MP_OBJ_TO_PTR(self_in);
    const bool is_load = dest[0] == MP_OBJ_NULL;
    if (attribute == MP_QSTR_state) {
        const size_t bytes = 2 * ulnn_model_info(self->model)->state_size;
        if (is_load) {
            dest[0] = ulnn_get_state(self, bytes);
        } else if (dest[1] != MP_OBJ_NULL) {
            mp_buffer_info_t buffer;
            mp_get_buffer_raise(dest[1], &buffer, MP_BUFFER_READ);
            if (buffer.len != bytes) {
                ulnn_raise_size("state", " bytes", bytes, buffer.len);
            }
            ulnn_state_set(self->model, buffer.buf);
            dest[0] = MP_OBJ_NULL; // stored
        }
    } else if (attribute == MP_QSTR_clamped) {
        if (is_load) {
            dest[0] = mp_obj_new_int_from_uint(ulnn_clamped(self->model));
        }
    } else if (is_load) {
        dest[1] = MP_OBJ_SENTINEL; // look it up among the methods
    }
}

/******************************************************************************/
// Module

#if ULNN_NATMOD
mp_obj_full_type_t ulnn_model_type;
#else
static const mp_rom_map_elem_t ulnn_model_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_step), MP_ROM_PTR(&ulnn_model_step_obj)},
    {MP_ROM_QSTR(MP_QSTR_run), MP_ROM_PTR(&ulnn_model_run_obj)},
    {MP_ROM_QSTR(MP_QSTR_reset), MP_ROM_PTR(&ulnn_model_reset_obj)},
    {MP_ROM_QSTR(MP_QSTR_info), MP_ROM_PTR(&ulnn_obj_model_info_obj)},
    {MP_ROM_QSTR(MP_QSTR_self_test), MP_ROM_PTR(&ulnn_model_self_test_obj)},
};
static MP_DEFINE_CONST_DICT(ulnn_model_locals, ulnn_model_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(ulnn_model_type, MP_QSTR_Model, MP_TYPE_FLAG_NONE, attr,
    ulnn_model_attr, locals_dict, &ulnn_model_locals);
#endif

static mp_obj_t ulnn_call(mp_obj_t object, qstr method, size_t n_args, const mp_obj_t *args) {
    return mp_call_function_n_kw(mp_load_attr(object, method), n_args, 0, args);
}

// Opens a file and gets its bytes: in place where the file system has them in memory (ROMFS), else
// read into a fresh block, which is the answer (*size is what the file says).
static void *ulnn_read_file(mp_obj_t path, ulnn_obj_model_t *self, mp_buffer_info_t *file) {
    // Through the module, as a caller may have a global variable of that name.
    mp_obj_t builtins = mp_import_name(MP_QSTR_builtins, mp_const_none, MP_OBJ_NEW_SMALL_INT(0));
    mp_obj_t open_args[2] = {path, MP_OBJ_NEW_QSTR(MP_QSTR_rb)};
    mp_obj_t stream = ulnn_call(builtins, MP_QSTR_open, 2, open_args);
    self->source = stream;
    if (mp_get_buffer(stream, file, MP_BUFFER_READ)) {
        return NULL;
    }
    mp_obj_t seek_args[2] = {MP_OBJ_NEW_SMALL_INT(0), MP_OBJ_NEW_SMALL_INT(2)};
    file->len = (size_t)mp_obj_get_int(ulnn_call(stream, MP_QSTR_seek, 2, seek_args));
    ulnn_call(stream, MP_QSTR_seek, 1, seek_args);
    // Of a file that is too large, the header is enough to say so.
    const bool too_large = file->len > ULNN_FILE_MAX;
    const size_t size = too_large ? ULNN_HEADER_SIZE : file->len;
    file->buf = m_new(byte, size + 1);
    mp_obj_t into = mp_obj_new_bytearray_by_ref(size, file->buf);
    mp_obj_t got = ulnn_call(stream, MP_QSTR_readinto, 1, &into);
    if (!too_large) {
        file->len = (size_t)mp_obj_get_int(got);
    }
    ulnn_call(stream, MP_QSTR_close, 0, NULL);
    return file->buf;
}

static mp_obj_t ulnn_module_load(mp_obj_t source) {
    ulnn_obj_model_t *self =
        mp_obj_malloc(ulnn_obj_model_t, (const mp_obj_type_t *)&ulnn_model_type);
    self->model = NULL;
    self->copy = NULL;
    self->source = source;
    self->dt_limit = mp_obj_new_int_from_uint(UINT32_MAX);
    mp_buffer_info_t file;
    if (mp_obj_get_type(source) == &mp_type_str) {
        self->copy = ulnn_read_file(source, self, &file);
    } else {
        mp_get_buffer_raise(source, &file, MP_BUFFER_READ);
    }
    const size_t need = ulnn_memory_size(file.buf, file.len);
    // What is refused anyway is not worth a copy.
    if (need != 0 && ((uintptr_t)file.buf & (ULNN_FILE_ALIGN - 1)) != 0) {
        self->copy = m_new(byte, file.len);
        memcpy(self->copy, file.buf, file.len);
        file.buf = self->copy;
    }
    self->in_place = self->copy == NULL;
    self->ram = need + (self->in_place ? 0 : file.len);
    if (!self->in_place) {
        self->source = mp_const_none;
    }
    ulnn_error_t error;
    void *memory = m_new(byte, need);
    self->model = ulnn_load(file.buf, file.len, memory, need, &error);
    if (self->model == NULL) {
        ulnn_raise_refused(&error);
    }
    return MP_OBJ_FROM_PTR(self);
}
static MP_DEFINE_CONST_FUN_OBJ_1(ulnn_module_load_obj, ulnn_module_load);

#if ULNN_BANDS
#include "modulnn_bands.h"
#endif

#if !ULNN_NATMOD
static MP_DEFINE_STR_OBJ(ulnn_version_obj, ULNN_VERSION);

static const mp_rom_map_elem_t ulnn_module_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_ulnn)},
    {MP_ROM_QSTR(MP_QSTR___version__), MP_ROM_PTR(&ulnn_version_obj)},
    {MP_ROM_QSTR(MP_QSTR_ENGINE), MP_ROM_QSTR(MP_QSTR_native)},
    {MP_ROM_QSTR(MP_QSTR_load), MP_ROM_PTR(&ulnn_module_load_obj)},
    {MP_ROM_QSTR(MP_QSTR_Model), MP_ROM_PTR(&ulnn_model_type)},
#if ULNN_BANDS
    {MP_ROM_QSTR(MP_QSTR_bands), MP_ROM_PTR(&ulnn_module_bands_obj)},
#endif
};
static MP_DEFINE_CONST_DICT(ulnn_module_globals, ulnn_module_globals_table);

const mp_obj_module_t ulnn_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&ulnn_module_globals,
};

MP_REGISTER_MODULE(MP_QSTR_ulnn, ulnn_module);
#endif
