// What the loaders of sparse matrices and of LTC layers share.
#include "ulnn_loader.h"

#if !ULNN_CELLS_CFC

int ulnn_take_list(ulnn_loader_t *load, uint32_t n, uint16_t **list) {
    load->lists += (uint32_t)ulnn_align(n * sizeof(uint16_t));
    *list = NULL;
    if (load->memory != NULL) {
        const size_t room = load->memory_size & ~(size_t)(ULNN_ALIGN - 1);
        if (room < load->lists) {
            return ulnn_fail(load, ULNN_BAD_MEMORY, 0, 0);
        }
        *list = (void *)(load->memory + room - load->lists);
        memset(*list, 0, ulnn_align(n * sizeof(uint16_t)));
    }
    return 1;
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
