// The smallest natmod that shows code, data and the function table work: sums an int16 buffer.

#include "py/dynruntime.h"

static mp_obj_t probe_sum(mp_obj_t buf_in) {
    mp_buffer_info_t bufinfo;
    mp_get_buffer_raise(buf_in, &bufinfo, MP_BUFFER_READ);
    const int16_t *values = bufinfo.buf;
    mp_int_t sum = 0;
    for (size_t i = 0; i < bufinfo.len / sizeof(int16_t); ++i) {
        sum += values[i];
    }
    return mp_obj_new_int(sum);
}
static MP_DEFINE_CONST_FUN_OBJ_1(probe_sum_obj, probe_sum);

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    mp_store_global(MP_QSTR_sum, MP_OBJ_FROM_PTR(&probe_sum_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
