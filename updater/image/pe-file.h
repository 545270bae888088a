/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The sections of a UEFI program: a PE32+ file (Microsoft's PE format, revision 11), as boot stubs,
 * kernels with an EFI stub and unified kernel images are. */

#include <stddef.h>
#include <stdint.h>

#include "common/error-text.h"

#define PE_SECTIONS_MAX 96
#define PE_SECTION_NAME_BYTES 9 /* with its NUL */

typedef struct {
    char name[PE_SECTION_NAME_BYTES];
    uint32_t address; /* from the image's base */
    uint32_t size_bytes;
    uint32_t file_offset; /* of its content */
    uint32_t file_bytes;
} PeSection;

typedef struct {
    uint16_t machine; /* 0x8664: x86-64, 0xaa64: aarch64 */
    uint64_t base;
    uint32_t alignment; /* of sections in memory, in bytes; a power of two */
    PeSection sections[PE_SECTIONS_MAX];
    size_t n_sections;
} PeFile;

/* Reads the headers of an open file. Blocks. Errors: -EBADMSG when it is no such program, with
 * "is ..." in error; errno of read. */
int pe_file_read(int fd, PeFile *ret_file, ErrorText *error);

/* The section of this name, inside file, or NULL. */
const PeSection *pe_file_section(const PeFile *file, const char *name);

/* The first address behind all sections, from the image's base. */
uint64_t pe_file_end(const PeFile *file);
