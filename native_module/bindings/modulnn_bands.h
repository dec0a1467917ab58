// SPDX-License-Identifier: MIT
// `ulnn.bands` of the MicroPython module (SPEC section 5): a part of modulnn.c.
#include "../core/ulnn_bands.h"

typedef struct _ulnn_obj_bands_t {
    mp_obj_base_t base;
    ulnn_bands_t *bands; // on the heap, a block of its own
} ulnn_obj_bands_t;

static ulnn_bands_t *ulnn_bands_of(mp_obj_t self_in) {
    return ((ulnn_obj_bands_t *)MP_OBJ_TO_PTR(self_in))->bands;
}

static mp_obj_t ulnn_obj_bands_feed(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    ulnn_bands_t *bands = ulnn_bands_of(args[0]);
    mp_buffer_info_t x;
    ulnn_get_int16(args[1], &x, MP_BUFFER_READ, "x");
    const mp_int_t first = mp_obj_get_int(args[2]), count = mp_obj_get_int(args[3]);
    // So that nothing below overflows
    if (((mp_uint_t)first | (mp_uint_t)count) >> 24 != 0) {
        ulnn_raise(ulnn_text("first, count: expected 0 to 16777215"));
    }
    const size_t channels = (size_t)bands->channels, start = (size_t)first * channels;
    const size_t want = start + (size_t)count * channels;
    if (want > x.len / 2) {
        ulnn_raise_size("x", " values", want, x.len / 2);
    }
    ulnn_bands_feed(bands, (const int16_t *)x.buf + start, (size_t)count);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ulnn_obj_bands_feed_obj, 4, 4, ulnn_obj_bands_feed);

static mp_obj_t ulnn_obj_bands_read(mp_obj_t self_in, mp_obj_t y) {
    ulnn_bands_t *bands = ulnn_bands_of(self_in);
    ulnn_bands_read(bands, ulnn_get_values(y, MP_BUFFER_WRITE, (size_t)bands->outputs, "y"));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(ulnn_obj_bands_read_obj, ulnn_obj_bands_read);

static mp_obj_t ulnn_obj_bands_reset(mp_obj_t self_in) {
    ulnn_bands_reset(ulnn_bands_of(self_in));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(ulnn_obj_bands_reset_obj, ulnn_obj_bands_reset);

#if ULNN_NATMOD
mp_obj_full_type_t ulnn_bands_type;
#else
static const mp_rom_map_elem_t ulnn_bands_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_feed), MP_ROM_PTR(&ulnn_obj_bands_feed_obj)},
    {MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&ulnn_obj_bands_read_obj)},
    {MP_ROM_QSTR(MP_QSTR_reset), MP_ROM_PTR(&ulnn_obj_bands_reset_obj)},
};
static MP_DEFINE_CONST_DICT(ulnn_bands_locals, ulnn_bands_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    ulnn_bands_type, MP_QSTR_Bands, MP_TYPE_FLAG_NONE, locals_dict, &ulnn_bands_locals);
#endif

static mp_obj_t ulnn_module_bands(mp_obj_t track_in) {
    mp_buffer_info_t track;
    ulnn_get_int16(track_in, &track, MP_BUFFER_READ, "track");
    const size_t need = ulnn_bands_size(track.buf, track.len / 2);
    if (need == 0) {
        ulnn_raise(ulnn_text("track: not supported"));
    }
    ulnn_obj_bands_t *self =
        mp_obj_malloc(ulnn_obj_bands_t, (const mp_obj_type_t *)&ulnn_bands_type);
    self->bands = ulnn_bands_make(track.buf, track.len / 2, m_new(byte, need));
    return MP_OBJ_FROM_PTR(self);
}
static MP_DEFINE_CONST_FUN_OBJ_1(ulnn_module_bands_obj, ulnn_module_bands);
