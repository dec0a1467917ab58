// SPDX-License-Identifier: MIT
// What the loaders of sparse matrices and of LTC layers share.
#include "ulnn_loader.h"

#if !ULNN_CELLS_CFC

uint16_t *ulnn_take_list(ulnn_loader_t *load, uint32_t n) {
    const size_t bytes = ulnn_align(n * sizeof(uint16_t));
    load->lists += (uint32_t)bytes;
    ulnn_need_room(load, load->lists);
    if (load->memory == NULL) {
        return NULL;
    }
    const size_t room = load->memory_size & ~(size_t)(ULNN_ALIGN - 1);
    return memset(load->memory + room - load->lists, 0, bytes);
}

int ulnn_all_zero(const uint8_t *bytes, size_t n) {
    for (; n != 0; n--) {
        if (*bytes++ != 0) {
            return 0;
        }
    }
    return 1;
}

#else
// C wants something in every file.
typedef int ulnn_no_load_list_t;
#endif
