/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/gpt-table.h"

#include <string.h>

/* Everything here trusts nothing that it reads: each field is compared with the disk's size and
 * with the fields before it, so that what follows can compute with it without overflow. */

static const char signature[8] = {'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'};
#define REVISION_1_0 0x00010000

const char *gpt_fault_text(GptFault fault)
{
    switch (fault) {
    case GPT_VALID:
        return "is valid";
    case GPT_UNREADABLE:
        return "cannot be read";
    case GPT_NO_SIGNATURE:
        return "has no GPT signature";
    case GPT_BAD_REVISION:
        return "is of an unknown revision";
    case GPT_BAD_HEADER_SIZE:
        return "has a header of an impossible size";
    case GPT_BAD_HEADER_CRC:
        return "has a header with a wrong checksum";
    case GPT_BAD_MY_LBA:
        return "says that it belongs elsewhere";
    case GPT_BAD_ALTERNATE_LBA:
        return "places the other copy where it cannot be";
    case GPT_BAD_USABLE_LBAS:
        return "has a usable area that does not fit the disk";
    case GPT_BAD_ENTRY_SIZE:
        return "has entries of an impossible size";
    case GPT_BAD_ENTRY_COUNT:
        return "has an absurd number of entries";
    case GPT_BAD_ENTRIES_LBA:
        return "places its entries where they cannot be";
    case GPT_BAD_ENTRIES_CRC:
        return "has entries with a wrong checksum";
    case GPT_ENTRY_OUTSIDE:
        return "has a partition outside the usable area";
    case GPT_ENTRIES_OVERLAP:
        return "has partitions that overlap";
    case GPT_MISPLACED:
        return "is not in the disk's last sector";
    }
    return "is damaged";
}

/* Four bits at a time: a table of 64 bytes, and quick enough for 1 MiB. */
static uint32_t crc32_add(uint32_t crc, const void *data, size_t n_bytes)
{
    static const uint32_t nibbles[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190,
            0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
            0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const uint8_t *at = data;
    for (size_t i = 0; i < n_bytes; i++) {
        crc ^= at[i];
        crc = (crc >> 4) ^ nibbles[crc & 15];
        crc = (crc >> 4) ^ nibbles[crc & 15];
    }
    return crc;
}

uint32_t gpt_crc32(const void *data, size_t n_bytes)
{
    return ~crc32_add(UINT32_MAX, data, n_bytes);
}

/* Of the header in sector, with its own field as zero. */
static uint32_t header_crc(const uint8_t *sector, size_t header_bytes)
{
    static const uint8_t ZERO[sizeof(Le32)];
    const size_t field = offsetof(GptRawHeader, header_crc), after = field + sizeof(Le32);
    uint32_t crc = crc32_add(UINT32_MAX, sector, field);
    crc = crc32_add(crc, ZERO, sizeof(ZERO));
    return ~crc32_add(crc, sector + after, header_bytes - after);
}

static GptFault check_places(const GptRawHeader *raw, const GptGeometry *geometry, Lba at)
{
    uint64_t other = le64_get(raw->alternate_lba);
    uint64_t first = le64_get(raw->first_usable_lba), last = le64_get(raw->last_usable_lba);
    bool is_primary = at.n == GPT_PRIMARY_LBA;

    if (le64_get(raw->my_lba) != at.n || at.n >= geometry->n_sectors)
        return GPT_BAD_MY_LBA;
    if (is_primary ? other <= GPT_PRIMARY_LBA || other >= geometry->n_sectors
                   : other != GPT_PRIMARY_LBA)
        return GPT_BAD_ALTERNATE_LBA;
    if (first <= GPT_PRIMARY_LBA || first > last || last >= (is_primary ? other : at.n))
        return GPT_BAD_USABLE_LBAS;
    return GPT_VALID;
}

static GptFault check_array(const GptRawHeader *raw)
{
    uint32_t n_entries = le32_get(raw->n_entries), entry_bytes = le32_get(raw->entry_bytes);
    bool is_power_of_two = (entry_bytes & (entry_bytes - 1)) == 0;
    if (entry_bytes < GPT_ENTRY_MIN_BYTES || entry_bytes > GPT_ENTRY_MAX_BYTES || !is_power_of_two)
        return GPT_BAD_ENTRY_SIZE;
    if (n_entries == 0 || n_entries > GPT_ENTRIES_MAX_BYTES / entry_bytes)
        return GPT_BAD_ENTRY_COUNT;
    return GPT_VALID;
}

GptFault gpt_header_parse(
        const GptGeometry *geometry, Lba at, const void *sector, GptHeader *ret_header)
{
    GptRawHeader raw;
    memcpy(&raw, sector, sizeof(raw));

    if (memcmp(raw.signature, signature, sizeof(signature)) != 0)
        return GPT_NO_SIGNATURE;
    if (le32_get(raw.revision) != REVISION_1_0)
        return GPT_BAD_REVISION;
    uint32_t header_bytes = le32_get(raw.header_bytes);
    if (header_bytes < sizeof(raw) || header_bytes > geometry->sector_bytes)
        return GPT_BAD_HEADER_SIZE;
    if (header_crc(sector, header_bytes) != le32_get(raw.header_crc))
        return GPT_BAD_HEADER_CRC;
    GptFault fault = check_places(&raw, geometry, at);
    if (fault == GPT_VALID)
        fault = check_array(&raw);
    if (fault != GPT_VALID)
        return fault;

    GptHeader header = {
            .geometry = *geometry,
            .my = at,
            .alternate = lba(le64_get(raw.alternate_lba)),
            .first_usable = lba(le64_get(raw.first_usable_lba)),
            .last_usable = lba(le64_get(raw.last_usable_lba)),
            .entries = lba(le64_get(raw.entries_lba)),
            .header_bytes = header_bytes,
            .n_entries = le32_get(raw.n_entries),
            .entry_bytes = le32_get(raw.entry_bytes),
            .entries_crc = le32_get(raw.entries_crc),
            .disk = raw.disk,
    };
    if (!gpt_entries_fit(&header, header.my, header.entries))
        return GPT_BAD_ENTRIES_LBA;
    *ret_header = header;
    return GPT_VALID;
}

size_t gpt_entries_bytes(const GptHeader *header)
{
    return (size_t)header->n_entries * header->entry_bytes;
}

uint64_t gpt_entries_sectors(const GptHeader *header)
{
    return u64_div_round_up(gpt_entries_bytes(header), header->geometry.sector_bytes);
}

bool gpt_entries_fit(const GptHeader *header, Lba my, Lba entries)
{
    uint64_t after; /* where the array must have ended */
    uint64_t end;
    if (my.n == GPT_PRIMARY_LBA) {
        if (entries.n <= GPT_PRIMARY_LBA)
            return false;
        after = header->first_usable.n;
    } else {
        if (entries.n <= header->last_usable.n)
            return false;
        after = my.n;
    }
    return u64_add(entries.n, gpt_entries_sectors(header), &end) && end <= after;
}

static GptFault check_overlaps(const GptHeader *header, const void *entries, uint32_t *ret_entry)
{
    for (uint32_t i = 0; i < header->n_entries; i++) {
        const GptEntry *a = gpt_entry(header, entries, i);
        if (!gpt_entry_is_used(a))
            continue;
        for (uint32_t k = 0; k < i; k++) {
            const GptEntry *b = gpt_entry(header, entries, k);
            if (gpt_entry_is_used(b) && le64_get(a->first_lba) <= le64_get(b->last_lba) &&
                    le64_get(b->first_lba) <= le64_get(a->last_lba)) {
                *ret_entry = i;
                return GPT_ENTRIES_OVERLAP;
            }
        }
    }
    return GPT_VALID;
}

GptFault gpt_entries_check(const GptHeader *header, const void *entries, uint32_t *ret_entry)
{
    if (gpt_crc32(entries, gpt_entries_bytes(header)) != header->entries_crc)
        return GPT_BAD_ENTRIES_CRC;
    for (uint32_t i = 0; i < header->n_entries; i++) {
        const GptEntry *entry = gpt_entry(header, entries, i);
        if (!gpt_entry_is_used(entry))
            continue;
        uint64_t first = le64_get(entry->first_lba), last = le64_get(entry->last_lba);
        if (first > last || first < header->first_usable.n || last > header->last_usable.n) {
            *ret_entry = i;
            return GPT_ENTRY_OUTSIDE;
        }
    }
    return check_overlaps(header, entries, ret_entry);
}

const GptEntry *gpt_entry(const GptHeader *header, const void *entries, uint32_t index)
{
    return (const GptEntry *)((const uint8_t *)entries + (size_t)index * header->entry_bytes);
}

bool gpt_entry_is_used(const GptEntry *entry)
{
    return !guid_is_zero(&entry->type);
}

void gpt_entry_set_attributes(
        const GptHeader *header, void *entries, uint32_t index, uint64_t attributes)
{
    Le64 raw = le64(attributes);
    memcpy((uint8_t *)entries + (size_t)index * header->entry_bytes +
                    offsetof(GptEntry, attributes),
            &raw, sizeof(raw));
}

/* Controls, line and paragraph separators, marks that turn the direction of writing, halves of
 * pairs and non-characters do not belong on a terminal. */
static bool is_printable(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0xd800 && c < 0xe000) ||
            (c >= 0xfdd0 && c < 0xfdf0) || (c & 0xfffe) == 0xfffe)
        return false;
    return !(c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
             (c >= 0x2066 && c <= 0x2069) || c == 0xfeff);
}

static size_t put_utf8(uint32_t c, char *ret_text)
{
    if (c < 0x80) {
        ret_text[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        ret_text[0] = (char)(0xc0 | c >> 6);
        ret_text[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        ret_text[0] = (char)(0xe0 | c >> 12);
        ret_text[1] = (char)(0x80 | (c >> 6 & 0x3f));
        ret_text[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    ret_text[0] = (char)(0xf0 | c >> 18);
    ret_text[1] = (char)(0x80 | (c >> 12 & 0x3f));
    ret_text[2] = (char)(0x80 | (c >> 6 & 0x3f));
    ret_text[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

void gpt_entry_label(const GptEntry *entry, char ret_label[static GPT_LABEL_BYTES])
{
    size_t n = 0;
    for (size_t i = 0; i < GPT_NAME_UNITS; i++) {
        uint32_t c = le16_get(entry->name[i]);
        if (c == 0)
            break;
        uint32_t low = i + 1 < GPT_NAME_UNITS ? le16_get(entry->name[i + 1]) : 0;
        if (c >= 0xd800 && c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i++;
        }
        n += put_utf8(is_printable(c) ? c : '?', ret_label + n);
    }
    ret_label[n] = '\0';
}

void gpt_header_make(const GptHeader *header, const void *sector, Lba my, Lba alternate,
        Lba entries_lba, const void *entries, void *ret_sector)
{
    GptRawHeader raw;
    memcpy(&raw, sector, sizeof(raw));
    raw.my_lba = le64(my.n);
    raw.alternate_lba = le64(alternate.n);
    raw.entries_lba = le64(entries_lba.n);
    raw.entries_crc = le32(gpt_crc32(entries, gpt_entries_bytes(header)));
    memcpy(ret_sector, sector, header->geometry.sector_bytes);
    memcpy(ret_sector, &raw, sizeof(raw));
    raw.header_crc = le32(header_crc(ret_sector, header->header_bytes));
    memcpy(ret_sector, &raw, sizeof(raw));
}
