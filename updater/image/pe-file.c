/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/image/pe-file.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/fd-io.h"

#define PE32_PLUS 0x20b
#define PE_OFFSET_AT 0x3c

/* "PE\0\0", the COFF header, and of the optional header what stands in every PE32+ file. */
typedef struct __attribute__((packed)) {
    uint8_t signature[4];
    Le16 machine;
    Le16 n_sections;
    uint8_t skipped1[12];
    Le16 n_optional_bytes; /* from magic on */
    Le16 characteristics;
    Le16 magic;
    uint8_t skipped2[22];
    Le64 base;
    Le32 section_alignment;
    Le32 file_alignment;
} PeHeaderRaw;
#define OPTIONAL_AT offsetof(PeHeaderRaw, magic)
static_assert(OPTIONAL_AT == 24, "the format");
static_assert(offsetof(PeHeaderRaw, base) == OPTIONAL_AT + 24, "the format");

typedef struct __attribute__((packed)) {
    char name[8];
    Le32 size_bytes;
    Le32 address;
    Le32 file_bytes;
    Le32 file_offset;
    uint8_t skipped[16];
} PeSectionRaw;
static_assert(sizeof(PeSectionRaw) == 40, "the format");

static int refuse(ErrorText *error)
{
    return error_say(error, -EBADMSG, "is no UEFI program (PE32+)");
}

/* Reads what must be there. */
static int read_at(int fd, void *ret_data, size_t n_bytes, uint64_t offset, ErrorText *error)
{
    int r = fd_pread_full(fd, ret_data, n_bytes, offset);
    if (r == -EIO)
        return refuse(error); /* it ends before */
    return r < 0 ? error_say(error, r, "cannot be read: %s", strerror(-r)) : 0;
}

static int read_header(int fd, PeHeaderRaw *ret_header, uint64_t *ret_offset, ErrorText *error)
{
    uint8_t magic[2];
    Le32 offset;
    int r = read_at(fd, magic, sizeof(magic), 0, error);
    if (r == 0 && memcmp(magic, "MZ", sizeof(magic)) != 0)
        r = refuse(error);
    if (r == 0)
        r = read_at(fd, &offset, sizeof(offset), PE_OFFSET_AT, error);
    if (r == 0)
        r = read_at(fd, ret_header, sizeof(*ret_header), le32_get(offset), error);
    if (r < 0)
        return r;
    uint32_t alignment = le32_get(ret_header->section_alignment);
    if (memcmp(ret_header->signature, "PE\0\0", 4) != 0 ||
            le16_get(ret_header->magic) != PE32_PLUS ||
            le16_get(ret_header->n_sections) > PE_SECTIONS_MAX || alignment == 0 ||
            (alignment & (alignment - 1)) != 0)
        return refuse(error);
    *ret_offset = le32_get(offset);
    return 0;
}

int pe_file_read(int fd, PeFile *ret_file, ErrorText *error)
{
    PeHeaderRaw header;
    PeSectionRaw raw[PE_SECTIONS_MAX];
    uint64_t offset = 0;
    int r = read_header(fd, &header, &offset, error);
    if (r < 0)
        return r;
    PeFile file = {
            .machine = le16_get(header.machine),
            .base = le64_get(header.base),
            .alignment = le32_get(header.section_alignment),
            .n_sections = le16_get(header.n_sections),
    };
    r = read_at(fd, raw, file.n_sections * sizeof(*raw),
            offset + OPTIONAL_AT + le16_get(header.n_optional_bytes), error);
    if (r < 0)
        return r;
    for (size_t i = 0; i < file.n_sections; i++) {
        file.sections[i] = (PeSection){
                .address = le32_get(raw[i].address),
                .size_bytes = le32_get(raw[i].size_bytes),
                .file_offset = le32_get(raw[i].file_offset),
                .file_bytes = le32_get(raw[i].file_bytes),
        };
        memcpy(file.sections[i].name, raw[i].name, sizeof(raw[i].name));
    }
    *ret_file = file;
    return 0;
}

const PeSection *pe_file_section(const PeFile *file, const char *name)
{
    for (size_t i = 0; i < file->n_sections; i++)
        if (strcmp(file->sections[i].name, name) == 0)
            return &file->sections[i];
    return NULL;
}

uint64_t pe_file_end(const PeFile *file)
{
    uint64_t end = 0;
    for (size_t i = 0; i < file->n_sections; i++) {
        const PeSection *section = &file->sections[i];
        uint64_t size = MAX(section->size_bytes, section->file_bytes);
        end = MAX(end, section->address + size);
    }
    return end;
}
