/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* As much of UEFI as the boot chooser calls (partitions/boot/uefi.h), for what speaks to it. The
 * firmware's services are not told whose they are, so there is one. It holds its callers to the
 * specification and counts what they do not give back. */

#include "common/error-text.h"
#include "partitions/boot/uefi.h"

#define FAKE_EFI_HANDLES_MAX 160
#define FAKE_EFI_TEXT_BYTES 4096

/* A disk of the firmware, or a partition of one. */
typedef struct {
    EfiBlockIo io;
    EfiBlockMedia media;
    uint8_t *content;  /* borrowed */
    EfiStatus failure; /* the answer to every transfer and flush, where it is not success */
    size_t n_transfers, n_flushes;
} FakeBlockIo;

typedef struct {
    const EfiDevicePath *path; /* borrowed, or NULL */
    FakeBlockIo *io;
    FakeBlockIo *io_when_connected; /* becomes io */
    EfiLoadedImage *image;
} FakeHandle;

typedef struct {
    EfiSystemTable system;
    EfiBootServices boot_services;
    EfiRuntimeServices runtime_services;
    EfiTextOutput console;
    FakeHandle handles[FAKE_EFI_HANDLES_MAX];
    size_t n_handles;
    bool cannot_locate;     /* handles */
    size_t n_connects;      /* of a controller */
    size_t n_pages_allowed; /* to be allocated */
    size_t n_pages, n_pool; /* allocated and not freed */

    /* Images. */
    EfiStatus load_status; /* what loading answers */
    bool is_loaded_anyway; /* with an image, although load_status is an error */
    EfiStatus start_status;
    size_t n_images;          /* loaded, and neither unloaded nor started */
    EfiDevicePath *load_path; /* what it was asked for last: a copy, or NULL */
    const void *load_data;
    size_t n_load_bytes;
    EfiHandle load_parent;

    /* "name vendor attributes: text" of the one variable; empty when there is none. */
    char variable[FAKE_EFI_TEXT_BYTES];
    uint32_t variable_attributes;
    uint8_t variable_data[256];
    size_t n_variable_bytes;
    EfiStatus variable_status; /* what setting it answers */

    size_t watchdog_seconds; /* 0: off */
    char said[FAKE_EFI_TEXT_BYTES];
} FakeEfi;

extern FakeEfi fake_efi;

/* Sets it up anew, with no handles. */
void fake_efi_init(void);

/* Adds a handle, NULL for what it does not have; a disk's media is set by the caller. */
EfiHandle fake_efi_add(const EfiDevicePath *path, FakeBlockIo *io);

/* A disk of sectors over this content (borrowed), which is whole, present and writable. */
void fake_block_io_init(
        FakeBlockIo *disk, uint8_t *content, uint32_t block_bytes, uint64_t n_blocks);

/* Frees what it keeps, and fails the test where something was not given back. */
void fake_efi_done(void);
