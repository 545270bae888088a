/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/partitions/fake-root.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

#define PATH_BYTES 1024

static void make_folders(const char *path)
{
    char part[PATH_BYTES];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        ck_assert(mkdir(part, 0700) == 0 || errno == EEXIST);
    }
}

static _printf_(3, 4) void write_file(const char *root, const char *path, const char *format, ...)
{
    char whole[PATH_BYTES];
    snprintf(whole, sizeof(whole), "%s/%s", root, path);
    make_folders(whole);
    _cleanup_fclose_ FILE *file = fopen(whole, "we");
    ck_assert_ptr_nonnull(file);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
}

static _printf_(3, 4) void make_link(const char *root, const char *target, const char *format, ...)
{
    char path[PATH_BYTES], whole[PATH_BYTES + 256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof(path), format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof(whole), "%s/%s", root, path);
    make_folders(whole);
    ck_assert_int_eq(symlink(target, whole), 0);
}

/* The links by which a device's folder, below /sys, is found. */
static void register_device(
        const char *root, const char *folder, const char *name, const char *device)
{
    char target[PATH_BYTES];
    snprintf(target, sizeof(target), "../../%s", folder);
    make_link(root, target, "sys/class/block/%s", name);
    make_link(root, target, "sys/dev/block/%s", device);
}

static void make_device(const char *root, const char *folder, const char *name, const char *device,
        const char *more_uevent)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "sys/%s/uevent", folder);
    write_file(root, path, "MAJOR=%d\nMINOR=%d\nDEVNAME=%s\n%s", 1, 1, name, more_uevent);
    register_device(root, folder, name, device);
}

void fake_mounts(const char *root, const char *mountinfo)
{
    write_file(root, "proc/self/mountinfo", "%s", mountinfo);
}

void fake_disk(const char *root, const char *name, const char *device, const char *image)
{
    char folder[256], node[256];
    snprintf(folder, sizeof(folder), "devices/pci/block/%s", name);
    make_device(root, folder, name, device, "DEVTYPE=disk\n");
    snprintf(node, sizeof(node), "dev/%s", name);
    if (image)
        make_link(root, image, "%s", node);
    else
        write_file(root, node, "%s", "");
}

void fake_partition(const char *root, const char *disk, const char *name, const char *device,
        unsigned number, uint64_t start_512, const char *unique)
{
    char folder[256], path[300], more[128];
    snprintf(folder, sizeof(folder), "devices/pci/block/%s/%s", disk, name);
    snprintf(more, sizeof(more), "DEVTYPE=partition\nPARTN=%u\n%s%s%s", number,
            unique ? "PARTUUID=" : "", unique ? unique : "", unique ? "\n" : "");
    make_device(root, folder, name, device, more);
    snprintf(path, sizeof(path), "sys/%s/partition", folder);
    write_file(root, path, "%u\n", number);
    snprintf(path, sizeof(path), "sys/%s/start", folder);
    write_file(root, path, "%llu\n", (unsigned long long)start_512);
    snprintf(path, sizeof(path), "dev/%s", name);
    write_file(root, path, "%s", "");
}

void fake_partition_size(const char *root, const char *disk, const char *name, uint64_t n_512)
{
    char path[300];
    snprintf(path, sizeof(path), "sys/devices/pci/block/%s/%s/size", disk, name);
    write_file(root, path, "%llu\n", (unsigned long long)n_512);
}

void fake_file(const char *root, const char *path, const void *data, size_t n_bytes)
{
    char whole[PATH_BYTES];
    snprintf(whole, sizeof(whole), "%s/%s", root, path);
    make_folders(whole);
    _cleanup_fclose_ FILE *file = fopen(whole, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, n_bytes, file), n_bytes);
}

void fake_mapper(const char *root, const char *name, const char *device, const char *below,
        const char *also_below)
{
    char folder[256], target[256];
    snprintf(folder, sizeof(folder), "devices/virtual/block/%s", name);
    make_device(root, folder, name, device, "DEVTYPE=disk\n");
    snprintf(target, sizeof(target), "../../../../../class/block/%s", below);
    make_link(root, target, "sys/%s/slaves/%s", folder, below);
    if (also_below) {
        snprintf(target, sizeof(target), "../../../../../class/block/%s", also_below);
        make_link(root, target, "sys/%s/slaves/%s", folder, also_below);
    }
    snprintf(target, sizeof(target), "dev/%s", name);
    write_file(root, target, "%s", "");
}
