/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the boot chooser uses of UEFI, by the sections of the UEFI specification, release 2.10.
 * Members that it does not call are void pointers: only their place counts. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t EfiStatus; /* appendix D */
typedef void *EfiHandle;
typedef uint16_t EfiChar; /* UCS-2 */

#define EFI_ERROR_BIT (1ULL << 63)
#define EFI_SUCCESS 0ULL
#define EFI_LOAD_ERROR (EFI_ERROR_BIT | 1)
#define EFI_INVALID_PARAMETER (EFI_ERROR_BIT | 2)
#define EFI_UNSUPPORTED (EFI_ERROR_BIT | 3)
#define EFI_WRITE_PROTECTED (EFI_ERROR_BIT | 8)
#define EFI_OUT_OF_RESOURCES (EFI_ERROR_BIT | 9)
#define EFI_NO_MEDIA (EFI_ERROR_BIT | 12)
#define EFI_MEDIA_CHANGED (EFI_ERROR_BIT | 13)
#define EFI_NOT_FOUND (EFI_ERROR_BIT | 14)
#define EFI_ACCESS_DENIED (EFI_ERROR_BIT | 15)
#define EFI_ABORTED (EFI_ERROR_BIT | 21)
#define EFI_SECURITY_VIOLATION (EFI_ERROR_BIT | 26)

typedef struct {
    uint32_t first;
    uint16_t second, third;
    uint8_t rest[8];
} EfiGuid;

/* Section 4.2.1. */
typedef struct {
    uint64_t signature;
    uint32_t revision, header_size, crc32, reserved;
} EfiTableHeader;

/* Section 12.4. */
typedef struct EfiTextOutput EfiTextOutput;
struct EfiTextOutput {
    void *reset;
    EfiStatus (*output_string)(EfiTextOutput *self, const EfiChar *text);
};

/* Section 10.2: nodes one behind the other. */
typedef struct __attribute__((packed)) {
    uint8_t type, subtype;
    uint8_t n_bytes[2]; /* of the node, little-endian */
} EfiDevicePath;
#define EFI_PATH_MEDIA 4
#define EFI_PATH_MEDIA_HARD_DRIVE 1
#define EFI_PATH_MEDIA_FILE 4
#define EFI_PATH_END 0x7f
#define EFI_PATH_END_WHOLE 0xff

/* Section 10.3.5.1. */
typedef struct __attribute__((packed)) {
    EfiDevicePath head;
    uint32_t number;
    uint64_t start, size; /* in blocks */
    uint8_t signature[16];
    uint8_t format, signature_type;
} EfiHardDrivePath;
#define EFI_HARD_DRIVE_SIGNATURE_GUID 2

/* Section 13.9. */
typedef struct {
    uint32_t id;
    bool is_removable, is_present, is_partition, is_read_only, has_write_cache;
    uint32_t block_bytes;
    uint32_t alignment; /* of buffers, in bytes; 0 and 1: any */
    uint64_t last_block;
} EfiBlockMedia;
typedef struct EfiBlockIo EfiBlockIo;
struct EfiBlockIo {
    uint64_t revision;
    EfiBlockMedia *media;
    void *reset;
    EfiStatus (*read)(
            EfiBlockIo *self, uint32_t media_id, uint64_t block, size_t n_bytes, void *ret_data);
    EfiStatus (*write)(
            EfiBlockIo *self, uint32_t media_id, uint64_t block, size_t n_bytes, const void *data);
    EfiStatus (*flush)(EfiBlockIo *self);
};
#define EFI_BLOCK_IO_GUID                                  \
    {                                                      \
        0x964e5b21, 0x6459, 0x11d2,                        \
        {                                                  \
            0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b \
        }                                                  \
    }
#define EFI_DEVICE_PATH_GUID                               \
    {                                                      \
        0x09576e91, 0x6d3f, 0x11d2,                        \
        {                                                  \
            0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b \
        }                                                  \
    }

/* Section 7.2. */
#define EFI_ALLOCATE_ANY_PAGES 0
#define EFI_LOADER_DATA 2
#define EFI_PAGE_BYTES 4096
/* Section 7.3. */
#define EFI_LOCATE_ALL 0
#define EFI_LOCATE_BY_PROTOCOL 2

/* Section 4.4.1: every member in its place. */
typedef struct {
    EfiTableHeader header;
    void *raise_tpl, *restore_tpl;
    EfiStatus (*allocate_pages)(
            uint32_t how, uint32_t memory_type, size_t n_pages, uint64_t *ret_address);
    EfiStatus (*free_pages)(uint64_t address, size_t n_pages);
    void *get_memory_map;
    EfiStatus (*allocate_pool)(uint32_t memory_type, size_t n_bytes, void **ret_memory);
    EfiStatus (*free_pool)(void *memory);
    void *create_event, *set_timer, *wait_for_event, *signal_event, *close_event, *check_event;
    void *install_protocol, *reinstall_protocol, *uninstall_protocol;
    EfiStatus (*handle_protocol)(EfiHandle handle, const EfiGuid *protocol, void **ret_interface);
    void *reserved, *register_protocol_notify, *locate_handle, *locate_device_path;
    void *install_configuration_table;
    EfiStatus (*load_image)(bool is_boot_policy, EfiHandle parent, const EfiDevicePath *path,
            const void *data, size_t n_bytes, EfiHandle *ret_image);
    EfiStatus (*start_image)(EfiHandle image, size_t *ret_n_exit_data, EfiChar **ret_exit_data);
    void *exit;
    EfiStatus (*unload_image)(EfiHandle image);
    void *exit_boot_services, *get_next_monotonic_count, *stall;
    EfiStatus (*set_watchdog_timer)(
            size_t n_seconds, uint64_t code, size_t n_data_bytes, const EfiChar *data);
    EfiStatus (*connect_controller)(EfiHandle controller, EfiHandle *drivers,
            const EfiDevicePath *remaining_path, bool is_recursive);
    void *disconnect_controller;
    void *open_protocol, *close_protocol, *open_protocol_information, *protocols_per_handle;
    EfiStatus (*locate_handle_buffer)(uint32_t how, const EfiGuid *protocol, void *search_key,
            size_t *ret_n_handles, EfiHandle **ret_handles);
} EfiBootServices;

/* Sections 4.5.1, 8.2 and 8.5.1. */
#define EFI_VARIABLE_BOOTSERVICE_ACCESS 2
#define EFI_VARIABLE_RUNTIME_ACCESS 4
typedef struct {
    EfiTableHeader header;
    void *get_time, *set_time, *get_wakeup_time, *set_wakeup_time;
    void *set_virtual_address_map, *convert_pointer;
    EfiStatus (*get_variable)(const EfiChar *name, const EfiGuid *vendor, uint32_t *ret_attributes,
            size_t *n_bytes, void *ret_data);
    void *get_next_variable_name;
    EfiStatus (*set_variable)(const EfiChar *name, const EfiGuid *vendor, uint32_t attributes,
            size_t n_bytes, const void *data);
    void *get_next_high_monotonic_count;
    void (*reset_system)(uint32_t how, EfiStatus status, size_t n_bytes, const void *data);
} EfiRuntimeServices;
#define EFI_RESET_SHUTDOWN 2

/* Section 4.3.1. */
typedef struct {
    EfiTableHeader header;
    EfiChar *firmware_vendor;
    uint32_t firmware_revision;
    EfiHandle console_in_handle;
    void *console_in;
    EfiHandle console_out_handle;
    EfiTextOutput *console_out;
    EfiHandle standard_error_handle;
    EfiTextOutput *standard_error;
    EfiRuntimeServices *runtime_services;
    EfiBootServices *boot_services;
} EfiSystemTable;

/* Section 9.1. */
typedef struct {
    uint32_t revision;
    EfiHandle parent;
    EfiSystemTable *system_table;
    EfiHandle device;
} EfiLoadedImage;
#define EFI_LOADED_IMAGE_GUID                              \
    {                                                      \
        0x5b1b31a1, 0x9562, 0x11d2,                        \
        {                                                  \
            0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b \
        }                                                  \
    }
