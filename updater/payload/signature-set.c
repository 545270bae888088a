/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/signature-set.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "updater/payload/manifest.pb-c.h"
#include "updater/payload/message-arena.h"

#define VERSION_CURRENT 2u /* the entry that clients of format 1 verify */

/* The entries lie in the object itself: 16 of at most 512 bytes. */
typedef struct {
    size_t n_bytes;
    bool has_version;
    uint32_t version; /* kept, and of no meaning here */
    uint8_t data[SIGNATURE_MAX_BYTES];
} Entry;

struct SignatureSet {
    Entry entries[SIGNATURE_SET_ENTRIES_MAX];
    size_t n_entries;
};

int signature_set_new(SignatureSet **ret_set)
{
    SignatureSet *set = calloc(1, sizeof(*set));
    if (!set)
        return -ENOMEM;
    *ret_set = set;
    return 0;
}

void signature_set_free(SignatureSet *set)
{
    free(set);
}

static int add_entry(SignatureSet *set, const Wire__Signatures__Signature *wire)
{
    size_t n_bytes = wire->has_data ? wire->data.len : 0;
    if (wire->has_unpadded_signature_size)
        n_bytes = MIN(n_bytes, (size_t)wire->unpadded_signature_size);
    if (n_bytes == 0 || n_bytes > SIGNATURE_MAX_BYTES)
        return -EINVAL;
    Entry *entry = &set->entries[set->n_entries++];
    memcpy(entry->data, wire->data.data, n_bytes);
    entry->n_bytes = n_bytes;
    entry->has_version = wire->has_version;
    entry->version = wire->version;
    return 0;
}

int signature_set_parse(const uint8_t *blob, size_t n_bytes, SignatureSet **ret_set)
{
    if (n_bytes > SIGNATURE_SET_MAX_BYTES)
        return -EINVAL;
    _cleanup_(message_arena_freep) MessageArena *arena = NULL;
    int r = message_arena_new(4 * SIGNATURE_SET_MAX_BYTES, &arena);
    if (r < 0)
        return r;
    const Wire__Signatures *wire = (const Wire__Signatures *)message_arena_unpack(
            arena, &wire__signatures__descriptor, blob, n_bytes);
    if (!wire)
        return -EINVAL;
    if (wire->n_signatures > SIGNATURE_SET_ENTRIES_MAX)
        return -E2BIG;

    _cleanup_(signature_set_freep) SignatureSet *set = NULL;
    r = signature_set_new(&set);
    for (size_t i = 0; r >= 0 && i < wire->n_signatures; i++)
        r = add_entry(set, wire->signatures[i]);
    if (r < 0)
        return r;
    *ret_set = TAKE_PTR(set);
    return 0;
}

size_t signature_set_n_entries(const SignatureSet *set)
{
    return set->n_entries;
}

Signature signature_set_get(const SignatureSet *set, size_t i)
{
    assert(i < set->n_entries);
    return (Signature){set->entries[i].data, set->entries[i].n_bytes};
}

bool signature_set_is_open(const SignatureSet *set, size_t i)
{
    assert(i < set->n_entries);
    return bytes_are_zero(set->entries[i].data, set->entries[i].n_bytes);
}

int signature_set_add_open(SignatureSet *set, size_t n_bytes)
{
    if (n_bytes == 0 || n_bytes > SIGNATURE_MAX_BYTES)
        return -EINVAL;
    if (set->n_entries == SIGNATURE_SET_ENTRIES_MAX)
        return -E2BIG;
    set->entries[set->n_entries++] = (Entry){.n_bytes = n_bytes};
    return 0;
}

void signature_set_number_entries(SignatureSet *set)
{
    for (size_t i = 0; i < set->n_entries; i++) {
        size_t n_behind = set->n_entries - 1 - i;
        set->entries[i].has_version = true;
        set->entries[i].version =
                n_behind < VERSION_CURRENT ? VERSION_CURRENT - (uint32_t)n_behind : 0;
    }
}

int signature_set_fill(SignatureSet *set, const uint8_t *signature, size_t n_bytes)
{
    for (size_t i = 0; i < set->n_entries; i++) {
        Entry *entry = &set->entries[i];
        if (entry->n_bytes != n_bytes || !signature_set_is_open(set, i))
            continue;
        memcpy(entry->data, signature, n_bytes);
        return 0;
    }
    return -ENOENT;
}

/* Calls use(message) with the set as protobuf-c wants it. */
static size_t with_message(
        const SignatureSet *set, uint8_t *data, size_t (*use)(const Wire__Signatures *, uint8_t *))
{
    Wire__Signatures__Signature entries[SIGNATURE_SET_ENTRIES_MAX];
    Wire__Signatures__Signature *list[SIGNATURE_SET_ENTRIES_MAX];
    Wire__Signatures message = WIRE__SIGNATURES__INIT;
    for (size_t i = 0; i < set->n_entries; i++) {
        wire__signatures__signature__init(&entries[i]);
        entries[i].has_version = set->entries[i].has_version;
        entries[i].version = set->entries[i].version;
        entries[i].has_data = true;
        entries[i].data.data = (uint8_t *)set->entries[i].data; /* only read */
        entries[i].data.len = set->entries[i].n_bytes;
        list[i] = &entries[i];
    }
    message.signatures = list;
    message.n_signatures = set->n_entries;
    return use(&message, data);
}

static size_t use_size(const Wire__Signatures *message, uint8_t *data)
{
    (void)data;
    return wire__signatures__get_packed_size(message);
}

size_t signature_set_blob_bytes(const SignatureSet *set)
{
    return with_message(set, NULL, use_size);
}

void signature_set_write(const SignatureSet *set, uint8_t *ret_blob)
{
    with_message(set, ret_blob, wire__signatures__pack);
}
