// SPDX-License-Identifier: MIT
#ifndef ULNN_BOARDS_QEMU_DISK_H
#define ULNN_BOARDS_QEMU_DISK_H

// Mounts the RAM disk at "/", formatting it as littlefs2 first if it holds no file system.
// A disk that cannot be mounted is reported on stdout; the board then runs without files.
void disk_mount(void);

#endif // ULNN_BOARDS_QEMU_DISK_H
