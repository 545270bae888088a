/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/boot/fake-efi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "partitions/boot/device-path.h"
#include "tests/unit/unit.h"

FakeEfi fake_efi;

static const EfiGuid block_io_guid = EFI_BLOCK_IO_GUID;
static const EfiGuid device_path_guid = EFI_DEVICE_PATH_GUID;
static const EfiGuid loaded_image_guid = EFI_LOADED_IMAGE_GUID;

static bool guids_equal(const EfiGuid *a, const EfiGuid *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* ASCII alone. */
static void append(char *text, const EfiChar *wide)
{
    size_t n = strlen(text);
    for (; *wide; wide++) {
        ck_assert_uint_lt(*wide, 0x80);
        ck_assert_uint_lt(n + 1, FAKE_EFI_TEXT_BYTES);
        text[n++] = (char)*wide;
    }
    text[n] = '\0';
}

static EfiStatus output_string(EfiTextOutput *self, const EfiChar *text)
{
    ck_assert_ptr_eq(self, &fake_efi.console);
    append(fake_efi.said, text);
    return EFI_SUCCESS;
}

/* Memory. */

static EfiStatus allocate_pages(
        uint32_t how, uint32_t memory_type, size_t n_pages, uint64_t *ret_address)
{
    ck_assert_uint_eq(how, EFI_ALLOCATE_ANY_PAGES);
    ck_assert_uint_eq(memory_type, EFI_LOADER_DATA);
    if (fake_efi.n_pages + n_pages > fake_efi.n_pages_allowed)
        return EFI_OUT_OF_RESOURCES;
    void *memory = aligned_alloc(EFI_PAGE_BYTES, n_pages * EFI_PAGE_BYTES);
    ck_assert_ptr_nonnull(memory);
    fake_efi.n_pages += n_pages;
    *ret_address = (uintptr_t)memory;
    return EFI_SUCCESS;
}

static EfiStatus free_pages(uint64_t address, size_t n_pages)
{
    ck_assert_uint_ge(fake_efi.n_pages, n_pages);
    fake_efi.n_pages -= n_pages;
    free((void *)(uintptr_t)address);
    return EFI_SUCCESS;
}

static EfiStatus free_pool(void *memory)
{
    ck_assert_uint_gt(fake_efi.n_pool, 0);
    fake_efi.n_pool--;
    free(memory);
    return EFI_SUCCESS;
}

/* Handles. */

static void *interface_of(const FakeHandle *handle, const EfiGuid *protocol)
{
    if (guids_equal(protocol, &block_io_guid))
        return handle->io ? &handle->io->io : NULL;
    if (guids_equal(protocol, &device_path_guid))
        return (void *)handle->path;
    ck_assert(guids_equal(protocol, &loaded_image_guid));
    return handle->image;
}

static EfiStatus handle_protocol(EfiHandle handle, const EfiGuid *protocol, void **ret_interface)
{
    *ret_interface = interface_of(handle, protocol);
    return *ret_interface ? EFI_SUCCESS : EFI_UNSUPPORTED;
}

static EfiStatus locate_handle_buffer(uint32_t how, const EfiGuid *protocol, void *search_key,
        size_t *ret_n_handles, EfiHandle **ret_handles)
{
    ck_assert_uint_eq(how, protocol ? EFI_LOCATE_BY_PROTOCOL : EFI_LOCATE_ALL);
    ck_assert_ptr_null(search_key);
    if (fake_efi.cannot_locate)
        return EFI_NOT_FOUND;
    EfiHandle *handles = calloc(fake_efi.n_handles + 1, sizeof(*handles));
    ck_assert_ptr_nonnull(handles);
    size_t n = 0;
    for (size_t i = 0; i < fake_efi.n_handles; i++)
        if (!protocol || interface_of(&fake_efi.handles[i], protocol))
            handles[n++] = &fake_efi.handles[i];
    *ret_n_handles = n;
    *ret_handles = handles;
    fake_efi.n_pool++;
    return EFI_SUCCESS;
}

static EfiStatus connect_controller(EfiHandle controller, EfiHandle *drivers,
        const EfiDevicePath *remaining_path, bool is_recursive)
{
    FakeHandle *handle = controller;
    ck_assert(!drivers && !remaining_path && is_recursive);
    fake_efi.n_connects++;
    if (!handle->io_when_connected)
        return EFI_NOT_FOUND;
    handle->io = handle->io_when_connected;
    return EFI_SUCCESS;
}

/* Images. */

static EfiStatus load_image(bool is_boot_policy, EfiHandle parent, const EfiDevicePath *path,
        const void *data, size_t n_bytes, EfiHandle *ret_image)
{
    static int image;
    ck_assert(!is_boot_policy);
    ck_assert_uint_eq(fake_efi.n_images, 0);
    free(fake_efi.load_path);
    fake_efi.load_path = NULL;
    if (path) {
        size_t n_path = device_path_bytes(path) + sizeof(*path);
        fake_efi.load_path = malloc(n_path);
        ck_assert_ptr_nonnull(fake_efi.load_path);
        memcpy(fake_efi.load_path, path, n_path);
    }
    fake_efi.load_data = data;
    fake_efi.n_load_bytes = n_bytes;
    fake_efi.load_parent = parent;
    *ret_image = NULL;
    if (fake_efi.load_status == EFI_SUCCESS || fake_efi.is_loaded_anyway) {
        *ret_image = &image;
        fake_efi.n_images++;
    }
    return fake_efi.load_status;
}

static EfiStatus unload_image(EfiHandle image)
{
    ck_assert_ptr_nonnull(image);
    ck_assert_uint_eq(fake_efi.n_images--, 1);
    return EFI_SUCCESS;
}

/* An application that returns is unloaded (section 7.4). */
static EfiStatus start_image(EfiHandle image, size_t *ret_n_exit_data, EfiChar **ret_exit_data)
{
    ck_assert_ptr_null(ret_n_exit_data);
    ck_assert_ptr_null(ret_exit_data);
    unload_image(image);
    return fake_efi.start_status;
}

static EfiStatus set_watchdog_timer(
        size_t n_seconds, uint64_t code, size_t n_data_bytes, const EfiChar *data)
{
    ck_assert_uint_gt(code, 0xffff); /* what is below is the firmware's */
    ck_assert_uint_eq(n_data_bytes, 0);
    ck_assert_ptr_null(data);
    fake_efi.watchdog_seconds = n_seconds;
    return EFI_SUCCESS;
}

/* The variable. */

static void describe_variable(const EfiChar *name, const EfiGuid *vendor, const void *data)
{
    EfiChar text[64] = {0};
    fake_efi.variable[0] = '\0';
    append(fake_efi.variable, name);
    size_t n = strlen(fake_efi.variable);
    snprintf(fake_efi.variable + n, sizeof(fake_efi.variable) - n,
            "-%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x: ", vendor->first, vendor->second,
            vendor->third, vendor->rest[0], vendor->rest[1], vendor->rest[2], vendor->rest[3],
            vendor->rest[4], vendor->rest[5], vendor->rest[6], vendor->rest[7]);
    ck_assert_uint_lt(fake_efi.n_variable_bytes, sizeof(text));
    memcpy(text, data, fake_efi.n_variable_bytes);
    append(fake_efi.variable, text);
}

/* Sections 8.2: without size or access it is deleted; with other attributes it is not changed. */
static EfiStatus set_variable(const EfiChar *name, const EfiGuid *vendor, uint32_t attributes,
        size_t n_bytes, const void *data)
{
    if (fake_efi.variable_status != EFI_SUCCESS)
        return fake_efi.variable_status;
    if (n_bytes == 0 || attributes == 0) {
        bool is_there = fake_efi.n_variable_bytes > 0;
        fake_efi.n_variable_bytes = 0;
        fake_efi.variable[0] = '\0';
        return is_there ? EFI_SUCCESS : EFI_NOT_FOUND;
    }
    if (fake_efi.n_variable_bytes > 0 && attributes != fake_efi.variable_attributes)
        return EFI_INVALID_PARAMETER;
    ck_assert_uint_le(n_bytes, sizeof(fake_efi.variable_data));
    memcpy(fake_efi.variable_data, data, n_bytes);
    fake_efi.n_variable_bytes = n_bytes;
    fake_efi.variable_attributes = attributes;
    describe_variable(name, vendor, data);
    return EFI_SUCCESS;
}

/* Disks. */

static FakeBlockIo *disk_of(EfiBlockIo *io)
{
    return (FakeBlockIo *)io;
}

/* Section 13.9.2; EDK2 asks for the same. */
static EfiStatus transfer(
        FakeBlockIo *disk, uint32_t media_id, uint64_t block, size_t n_bytes, const void *memory)
{
    uint64_t n_blocks = disk->media.last_block + 1;
    disk->n_transfers++;
    if (disk->failure != EFI_SUCCESS)
        return disk->failure;
    if (media_id != disk->media.id)
        return EFI_MEDIA_CHANGED;
    ck_assert_uint_gt(n_bytes, 0);
    ck_assert_uint_eq(n_bytes % disk->media.block_bytes, 0);
    ck_assert_uint_le(block, n_blocks);
    ck_assert_uint_le(n_bytes / disk->media.block_bytes, n_blocks - block);
    ck_assert_uint_eq((uintptr_t)memory % (disk->media.alignment ? disk->media.alignment : 1), 0);
    return EFI_SUCCESS;
}

static EfiStatus read_blocks(
        EfiBlockIo *self, uint32_t media_id, uint64_t block, size_t n_bytes, void *ret_data)
{
    FakeBlockIo *disk = disk_of(self);
    EfiStatus status = transfer(disk, media_id, block, n_bytes, ret_data);
    if (status == EFI_SUCCESS)
        memcpy(ret_data, disk->content + block * disk->media.block_bytes, n_bytes);
    return status;
}

static EfiStatus write_blocks(
        EfiBlockIo *self, uint32_t media_id, uint64_t block, size_t n_bytes, const void *data)
{
    FakeBlockIo *disk = disk_of(self);
    EfiStatus status = transfer(disk, media_id, block, n_bytes, data);
    if (status == EFI_SUCCESS)
        memcpy(disk->content + block * disk->media.block_bytes, data, n_bytes);
    return status;
}

static EfiStatus flush_blocks(EfiBlockIo *self)
{
    disk_of(self)->n_flushes++;
    return disk_of(self)->failure;
}

void fake_block_io_init(
        FakeBlockIo *disk, uint8_t *content, uint32_t block_bytes, uint64_t n_blocks)
{
    *disk = (FakeBlockIo){
            .io = {.read = read_blocks, .write = write_blocks, .flush = flush_blocks},
            .media = {.id = 7,
                    .is_present = true,
                    .block_bytes = block_bytes,
                    .alignment = EFI_PAGE_BYTES,
                    .last_block = n_blocks - 1},
            .content = content,
    };
    disk->io.media = &disk->media;
}

EfiHandle fake_efi_add(const EfiDevicePath *path, FakeBlockIo *io)
{
    ck_assert_uint_lt(fake_efi.n_handles, FAKE_EFI_HANDLES_MAX);
    FakeHandle *handle = &fake_efi.handles[fake_efi.n_handles++];
    *handle = (FakeHandle){.path = path, .io = io};
    return handle;
}

void fake_efi_init(void)
{
    fake_efi = (FakeEfi){.n_pages_allowed = SIZE_MAX};
    fake_efi.boot_services = (EfiBootServices){
            .allocate_pages = allocate_pages,
            .free_pages = free_pages,
            .free_pool = free_pool,
            .handle_protocol = handle_protocol,
            .load_image = load_image,
            .start_image = start_image,
            .unload_image = unload_image,
            .set_watchdog_timer = set_watchdog_timer,
            .locate_handle_buffer = locate_handle_buffer,
            .connect_controller = connect_controller,
    };
    fake_efi.runtime_services = (EfiRuntimeServices){.set_variable = set_variable};
    fake_efi.console = (EfiTextOutput){.output_string = output_string};
    fake_efi.system = (EfiSystemTable){
            .console_out = &fake_efi.console,
            .runtime_services = &fake_efi.runtime_services,
            .boot_services = &fake_efi.boot_services,
    };
}

void fake_efi_done(void)
{
    free(fake_efi.load_path);
    fake_efi.load_path = NULL;
    ck_assert_uint_eq(fake_efi.n_pages, 0);
    ck_assert_uint_eq(fake_efi.n_pool, 0);
    ck_assert_uint_eq(fake_efi.n_images, 0);
}
