/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/slot-record.h"

#include <string.h>

#include "common/hex.h"

/* {"version": "2.0", "product": "coreos", "size": 1073741824, "sha256": "...",
 *  "verity": {"salt": "...", "data_blocks": 1000, "tree_start_block": 1000, "root_hash": "..."}} */

static json_t *verity_to_json(const SlotContent *content)
{
    char salt[2 * VERITY_SALT_MAX_BYTES + 1], root[SHA256_HEX_CHARS + 1];
    hex_encode(content->verity.salt, content->verity.n_salt_bytes, salt);
    sha256_to_hex(&content->root_hash, root);
    return json_pack("{s:s, s:I, s:I, s:s}", "salt", salt, "data_blocks",
            (json_int_t)content->verity.n_data_blocks, "tree_start_block",
            (json_int_t)content->tree_start_block, "root_hash", root);
}

json_t *slot_record_to_json(const SlotContent *content)
{
    char sha256[SHA256_HEX_CHARS + 1];
    sha256_to_hex(&content->sha256, sha256);
    json_t *object = json_pack("{s:s, s:s, s:I, s:s}", "version", content->version, "product",
            content->product, "size", (json_int_t)content->size_bytes, "sha256", sha256);
    if (!object || !content->has_verity)
        return object;
    if (json_object_set_new(object, "verity", verity_to_json(content)) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

int slot_record_text(const json_t *object, const char *key, char *text, size_t n_bytes)
{
    const char *value = json_string_value(json_object_get(object, key));
    if (!value || strlen(value) >= n_bytes)
        return -EINVAL;
    strcpy(text, value);
    return 0;
}

static int read_count(const json_t *object, const char *key, uint64_t *ret_count)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -EINVAL;
    *ret_count = (uint64_t)json_integer_value(value);
    return 0;
}

static int read_digest(const json_t *object, const char *key, Sha256 *ret_digest)
{
    const char *hex = json_string_value(json_object_get(object, key));
    if (!hex || strlen(hex) != SHA256_HEX_CHARS)
        return -EINVAL;
    return sha256_from_hex(hex, ret_digest);
}

static int verity_from_json(const json_t *object, SlotContent *content)
{
    const char *salt = json_string_value(json_object_get(object, "salt"));
    if (!salt || strlen(salt) % 2 != 0 || strlen(salt) > 2 * VERITY_SALT_MAX_BYTES)
        return -EINVAL;
    content->has_verity = true;
    content->verity.n_salt_bytes = strlen(salt) / 2;
    if (hex_decode(salt, content->verity.salt, content->verity.n_salt_bytes) < 0 ||
            read_count(object, "data_blocks", &content->verity.n_data_blocks) < 0 ||
            read_count(object, "tree_start_block", &content->tree_start_block) < 0 ||
            read_digest(object, "root_hash", &content->root_hash) < 0)
        return -EINVAL;
    return 0;
}

int slot_record_from_json(const json_t *object, SlotContent *ret_content)
{
    SlotContent content = {};
    if (slot_record_text(object, "version", content.version, sizeof(content.version)) < 0 ||
            slot_record_text(object, "product", content.product, sizeof(content.product)) < 0 ||
            read_count(object, "size", &content.size_bytes) < 0 ||
            read_digest(object, "sha256", &content.sha256) < 0)
        return -EINVAL;
    const json_t *verity = json_object_get(object, "verity");
    if (verity && verity_from_json(verity, &content) < 0)
        return -EINVAL;
    *ret_content = content;
    return 0;
}
