/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/guid.h"

#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/hex.h"

const Guid GUID_TYPE_SLOT = {{0xf4, 0xf5, 0xfb, 0x5d, 0x48, 0x28, 0xac, 0x4b, 0xaa, 0x5e, 0x0d,
        0x9a, 0x20, 0xb7, 0x45, 0xa6}};

/* Where the text's bytes are on the disk, and where in the text their digits begin. */
static const struct {
    uint8_t byte;
    uint8_t column;
} PLACES[16] = {{3, 0}, {2, 2}, {1, 4}, {0, 6}, {5, 9}, {4, 11}, {7, 14},
        {6, 16}, /* little-endian */
        {8, 19}, {9, 21}, {10, 24}, {11, 26}, {12, 28}, {13, 30}, {14, 32}, {15, 34}};
static const uint8_t dashes[] = {8, 13, 18, 23};

bool guid_equal(const Guid *a, const Guid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool guid_is_zero(const Guid *guid)
{
    return bytes_are_zero(guid->bytes, sizeof(guid->bytes));
}

void guid_to_text(const Guid *guid, char ret_text[static GUID_TEXT_CHARS + 1])
{
    for (size_t i = 0; i < 16; i++) {
        char digits[3];
        hex_encode(&guid->bytes[PLACES[i].byte], 1, digits);
        memcpy(ret_text + PLACES[i].column, digits, 2);
    }
    for (size_t i = 0; i < sizeof(dashes); i++)
        ret_text[dashes[i]] = '-';
    ret_text[GUID_TEXT_CHARS] = '\0';
}

int guid_from_text(const char *text, Guid *ret_guid)
{
    if (strnlen(text, GUID_TEXT_CHARS + 1) != GUID_TEXT_CHARS)
        return -EINVAL;
    for (size_t i = 0; i < sizeof(dashes); i++)
        if (text[dashes[i]] != '-')
            return -EINVAL;
    Guid guid;
    for (size_t i = 0; i < 16; i++)
        if (hex_decode(text + PLACES[i].column, &guid.bytes[PLACES[i].byte], 1) < 0)
            return -EINVAL;
    *ret_guid = guid;
    return 0;
}
