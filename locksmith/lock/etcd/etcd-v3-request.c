/* SPDX-License-Identifier: Apache-2.0 */

#include "locksmith/lock/etcd/etcd-v3-request.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "common/base64.h"

/* A new JSON string that holds the bytes in base64; NULL: out of memory. */
static json_t *bytes_json(const char *data, size_t n_bytes)
{
    _cleanup_free_ char *text = malloc(4 * ((n_bytes + 2) / 3) + 1);
    if (!text)
        return NULL;
    base64_encode(data, n_bytes, text);
    return json_string(text);
}

static json_t *text_json(const char *text)
{
    return bytes_json(text, strlen(text));
}

/* etcd takes 64-bit numbers as text, and gives them so. */
static json_t *number_json(uint64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    return json_string(text);
}

/* The end of the range of all keys that begin with prefix: its last byte, a slash, plus one. */
static json_t *prefix_end_json(const char *prefix)
{
    _cleanup_free_ char *end = strdup(prefix);
    if (!end)
        return NULL;
    end[strlen(end) - 1]++;
    return text_json(end);
}

/* message is consumed; NULL: out of memory when it was made. */
static int finish(json_t *message, char **ret_text)
{
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    json_decref(message);
    if (!text)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}

/* json_pack gives NULL when one of the values that it steals is NULL. */

int etcd_v3_format_read(const char *key, const char *prefix, char **ret_text)
{
    return finish(
            json_pack("{s:[{s:{s:o}}, {s:{s:o, s:o, s:I}}]}", "success", "request_range", "key",
                    text_json(key), "request_range", "key", text_json(prefix), "range_end",
                    prefix_end_json(prefix), "limit", (json_int_t)ETCD_V3_MAX_PAIRS / 2),
            ret_text);
}

int etcd_v3_format_swap(const char *key, const StoreSwap *swap, const char *put_key,
        const char *drop_key, char **ret_text)
{
    json_t *changes = json_pack("[{s:{s:o, s:o}}]", "request_put", "key", text_json(key), "value",
            bytes_json(swap->document, swap->n_bytes));
    int r = changes ? 0 : -1;
    if (r == 0 && put_key)
        r = json_array_append_new(
                changes, json_pack("{s:{s:o, s:o}}", "request_put", "key", text_json(put_key),
                                 "value", text_json(swap->facts)));
    if (r == 0 && drop_key)
        r = json_array_append_new(changes,
                json_pack("{s:{s:o}}", "request_delete_range", "key", text_json(drop_key)));
    if (r != 0) {
        json_decref(changes);
        return -ENOMEM;
    }
    return finish(json_pack("{s:[{s:s, s:s, s:o, s:o}], s:o, s:[{s:{s:o}}]}", "compare", "target",
                          "MOD", "result", "EQUAL", "key", text_json(key), "mod_revision",
                          number_json(swap->revision), "success", changes, "failure",
                          "request_range", "key", text_json(key)),
            ret_text);
}

int etcd_v3_format_list(const char *first, const char *end, char **ret_text)
{
    return finish(json_pack("{s:o, s:o, s:b, s:I}", "key", text_json(first), "range_end",
                          text_json(end), "keys_only", 1, "limit", (json_int_t)ETCD_V3_MAX_PAIRS),
            ret_text);
}

int etcd_v3_format_look(const char *key, char **ret_text)
{
    return finish(json_pack("{s:o, s:b}", "key", text_json(key), "keys_only", 1), ret_text);
}

int etcd_v3_format_watch(const char *key, uint64_t first_revision, char **ret_text)
{
    return finish(json_pack("{s:{s:o, s:o}}", "create_request", "key", text_json(key),
                          "start_revision", number_json(first_revision)),
            ret_text);
}

int etcd_v3_format_login(const char *user, const char *password, char **ret_text)
{
    return finish(json_pack("{s:s, s:s}", "name", user, "password", password), ret_text);
}
