// SPDX-License-Identifier: MIT
// The native module (.mpy): engine, kernels and binding as one translation unit. The linker of
// MicroPython drops nothing that is not used, so the compiler has to see it all.
#define ULNN_NATMOD (1)

#include "py/dynruntime.h"

// Read-only data of this unit is left global where `static` loses it (micropython issue 14429).
#if defined(__xtensa__)
#define ULNN_CONST const

// mpy_ld.py cannot relocate the address of an element of this table, which newer compilers fold.
static inline const uint16_t *ulnn_qstr_table(void) {
    const uint16_t *table = mp_native_qstr_table;
    __asm__("" : "+r"(table));
    return table;
}
#define mp_native_qstr_table (ulnn_qstr_table())
#endif

// With -fwhole-program everything else is as good as static: smaller, and without the indirections
// that position-independent code needs for what another unit could replace.
#define KEEP __attribute__((externally_visible))

// The compiler calls these, and the firmware has them in its table.
KEEP void *memcpy(void *to, const void *from, size_t n) {
    return mp_fun_table.memmove_(to, from, n);
}

KEEP void *memset(void *to, int value, size_t n) {
    return mp_fun_table.memset_(to, value, n);
}

// Apart from the kernels that call them, which would set up their large frames for every call.
#include "../kernels/ulnn_kernel.h"
MP_NOINLINE void ulnn_portable_rows(const ulnn_matrix_t *, const int16_t *, int16_t *);
MP_NOINLINE void ulnn_portable_heads(const ulnn_matrix_t *, const int16_t *, int32_t, int16_t *);
// Every .c of sources.txt; the Makefile writes this.
#include "ulnn_sources.h"
KEEP extern mp_obj_full_type_t ulnn_model_type; // mpy_ld.py refuses static variables
KEEP extern mp_obj_full_type_t ulnn_bands_type;
#include "../bindings/modulnn.c"

KEEP mp_map_elem_t ulnn_model_locals_table[5];
static MP_DEFINE_CONST_DICT(ulnn_model_locals, ulnn_model_locals_table);

static void ulnn_method(mp_map_elem_t *at, qstr name, const void *function) {
    at->key = MP_OBJ_NEW_QSTR(name);
    at->value = MP_OBJ_FROM_PTR(function);
}

#if ULNN_BANDS
KEEP mp_map_elem_t ulnn_bands_locals_table[3];
static MP_DEFINE_CONST_DICT(ulnn_bands_locals, ulnn_bands_locals_table);
#endif

static void ulnn_class(mp_obj_full_type_t *type, qstr name, const mp_obj_dict_t *locals) {
    type->base.type = mp_fun_table.type_type;
    type->flags = MP_TYPE_FLAG_NONE;
    type->name = name;
    MP_OBJ_TYPE_SET_SLOT(type, locals_dict, (void *)locals, 0);
}

KEEP mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    (void)n_args;
    (void)n_kw;
    (void)args;
    MP_DYNRUNTIME_INIT_ENTRY

    ulnn_method(ulnn_model_locals_table + 0, MP_QSTR_step, &ulnn_model_step_obj);
    ulnn_method(ulnn_model_locals_table + 1, MP_QSTR_run, &ulnn_model_run_obj);
    ulnn_method(ulnn_model_locals_table + 2, MP_QSTR_reset, &ulnn_model_reset_obj);
    ulnn_method(ulnn_model_locals_table + 3, MP_QSTR_info, &ulnn_obj_model_info_obj);
    ulnn_method(ulnn_model_locals_table + 4, MP_QSTR_self_test, &ulnn_model_self_test_obj);
    ulnn_class(&ulnn_model_type, MP_QSTR_Model, &ulnn_model_locals);
    MP_OBJ_TYPE_SET_SLOT(&ulnn_model_type, attr, ulnn_model_attr, 1);

    mp_store_global(MP_QSTR___version__, ulnn_text(ULNN_VERSION));
    mp_store_global(MP_QSTR_ENGINE, MP_OBJ_NEW_QSTR(MP_QSTR_native));
    mp_store_global(MP_QSTR_load, MP_OBJ_FROM_PTR(&ulnn_module_load_obj));
    mp_store_global(MP_QSTR_Model, MP_OBJ_FROM_PTR(&ulnn_model_type));

#if ULNN_BANDS
    ulnn_method(ulnn_bands_locals_table, MP_QSTR_feed, &ulnn_obj_bands_feed_obj);
    ulnn_method(ulnn_bands_locals_table + 1, MP_QSTR_read, &ulnn_obj_bands_read_obj);
    ulnn_method(ulnn_bands_locals_table + 2, MP_QSTR_reset, &ulnn_obj_bands_reset_obj);
    ulnn_class(&ulnn_bands_type, MP_QSTR_Bands, &ulnn_bands_locals);
    mp_store_global(MP_QSTR_bands, MP_OBJ_FROM_PTR(&ulnn_module_bands_obj));
#endif

    MP_DYNRUNTIME_INIT_EXIT
}
