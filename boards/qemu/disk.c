// SPDX-License-Identifier: MIT
// A RAM disk with a flash-like block size. Its memory is outside the heap and is not cleared, so
// files survive soft and hard resets and are gone when QEMU ends.

#include <string.h>

#include "py/mphal.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "extmod/vfs.h"
#include "extmod/vfs_lfs.h"
#include "disk.h"

#define BLOCK_SIZE (4096)
#define DISK_DEFAULT_KIB (1024)
#define DISK_MIN_KIB (16)

static size_t disk_blocks(void) {
    size_t max = &_disk_max - &_disk_start;
    size_t size = (hw_config.disk_kib ? hw_config.disk_kib : DISK_DEFAULT_KIB) * 1024;
    return MIN(max, MAX(size, DISK_MIN_KIB * 1024)) / BLOCK_SIZE;
}

// Checks a range that came from Python and returns its address.
static uint8_t *disk_at(mp_obj_t block_in, size_t offset, size_t len) {
    size_t size = disk_blocks() * BLOCK_SIZE;
    size_t block = mp_obj_get_int(block_in);
    if (block >= size / BLOCK_SIZE || offset > size - block * BLOCK_SIZE ||
        len > size - block * BLOCK_SIZE - offset) {
        mp_raise_OSError(MP_EINVAL);
    }
    return &_disk_start + block * BLOCK_SIZE + offset;
}

// Whether the write that begins now is the one in which the power goes.
static bool disk_cut(void) {
    if (hw_config.writes_to_cut == 0) {
        return false;
    }
    hw_config.writes_to_cut -= 1;
    return hw_config.writes_to_cut == 0;
}

static mp_obj_t disk_readblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t bufinfo;
    mp_get_buffer_raise(args[2], &bufinfo, MP_BUFFER_WRITE);
    size_t offset = n_args == 4 ? mp_obj_get_int(args[3]) : 0;
    memcpy(bufinfo.buf, disk_at(args[1], offset, bufinfo.len), bufinfo.len);
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(disk_readblocks_obj, 3, 4, disk_readblocks);

static mp_obj_t disk_writeblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t bufinfo;
    mp_get_buffer_raise(args[2], &bufinfo, MP_BUFFER_READ);
    size_t offset = n_args == 4 ? mp_obj_get_int(args[3]) : 0;
    uint8_t *to = disk_at(args[1], offset, bufinfo.len);
    bool cut = disk_cut();
    memcpy(to, bufinfo.buf, cut ? bufinfo.len / 2 : bufinfo.len);
    if (cut) {
        hw_reset();
    }
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(disk_writeblocks_obj, 3, 4, disk_writeblocks);

static mp_obj_t disk_ioctl(mp_obj_t self_in, mp_obj_t cmd_in, mp_obj_t arg_in) {
    switch (mp_obj_get_int(cmd_in)) {
        case MP_BLOCKDEV_IOCTL_INIT:
        case MP_BLOCKDEV_IOCTL_DEINIT:
        case MP_BLOCKDEV_IOCTL_SYNC:
            return MP_OBJ_NEW_SMALL_INT(0);
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return MP_OBJ_NEW_SMALL_INT(disk_blocks());
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(BLOCK_SIZE);
        case MP_BLOCKDEV_IOCTL_BLOCK_ERASE: {
            bool cut = disk_cut();
            memset(disk_at(arg_in, 0, BLOCK_SIZE), 0xff, cut ? BLOCK_SIZE / 2 : BLOCK_SIZE);
            if (cut) {
                hw_reset();
            }
            return MP_OBJ_NEW_SMALL_INT(0);
        }
        default:
            return mp_const_none;
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(disk_ioctl_obj, disk_ioctl);

static const mp_rom_map_elem_t disk_locals_dict_table[] = {
    {MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&disk_readblocks_obj)},
    {MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&disk_writeblocks_obj)},
    {MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&disk_ioctl_obj)},
};
static MP_DEFINE_CONST_DICT(disk_locals_dict, disk_locals_dict_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    disk_type, MP_QSTR_RAMDisk, MP_TYPE_FLAG_NONE, locals_dict, &disk_locals_dict);

static const mp_obj_base_t disk_obj = {&disk_type};

// Raises OSError when the disk holds no littlefs2.
static void mount_root(mp_obj_t bdev) {
    mp_obj_t vfs = mp_call_function_1(MP_OBJ_FROM_PTR(&mp_type_vfs_lfs2), bdev);
    mp_obj_t args[2] = {vfs, MP_OBJ_NEW_QSTR(MP_QSTR__slash_)};
    mp_call_function_n_kw(MP_OBJ_FROM_PTR(&mp_vfs_mount_obj), 2, 0, args);
    mp_vfs_mount_t *mount = MP_STATE_VM(vfs_mount_table);
    while (mount != NULL && mount->obj != vfs) {
        mount = mount->next;
    }
    MP_STATE_PORT(vfs_cur) = mount;
}

void disk_mount(void) {
    mp_obj_t bdev = MP_OBJ_FROM_PTR(&disk_obj);
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mount_root(bdev);
        nlr_pop();
        return;
    }
    if (nlr_push(&nlr) == 0) {
        mp_obj_t mkfs = mp_load_attr(MP_OBJ_FROM_PTR(&mp_type_vfs_lfs2), MP_QSTR_mkfs);
        mp_call_function_1(mkfs, bdev);
        mount_root(bdev);
        nlr_pop();
    } else {
        mp_printf(&mp_plat_print, "cannot mount the RAM disk: ");
        mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
    }
}
