/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/lock-key.h"

#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/hex.h"
#include "locksmith/lock/lock-name.h"

/* escaping */

static bool is_dots(const char *text)
{
    return strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
}

static bool stays(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

int lock_key_escape(const char *text, char **ret_text)
{
    char *escaped = calloc(3, strlen(text) + 1);
    if (!escaped)
        return -ENOMEM;
    char *end = escaped;
    bool escapes_dots = is_dots(text);
    for (const char *c = text; *c != '\0'; c++) {
        if (stays(*c) && !escapes_dots)
            *end++ = *c;
        else if (*c == ' ')
            *end++ = '+';
        else
            end += sprintf(end, "%%%02X", (unsigned char)*c);
    }
    *ret_text = escaped;
    return 0;
}

static int decode(const char *text, size_t n_bytes, char *ret_plain)
{
    for (size_t i = 0; i < n_bytes; i++) {
        uint8_t byte = text[i] == '+' ? ' ' : (uint8_t)text[i];
        if (text[i] == '%') {
            if (n_bytes - i < 3 || hex_decode(text + i + 1, &byte, 1) < 0)
                return -EINVAL;
            i += 2;
        }
        if (byte == 0)
            return -EINVAL;
        *ret_plain++ = (char)byte;
    }
    *ret_plain = '\0';
    return 0;
}

int lock_key_unescape(const char *text, size_t n_bytes, char **ret_text)
{
    _cleanup_free_ char *plain = malloc(n_bytes + 1);
    if (!plain)
        return -ENOMEM;
    int r = decode(text, n_bytes, plain);
    if (r < 0)
        return r;
    _cleanup_free_ char *again = NULL; /* two keys must not read as one name */
    r = lock_key_escape(plain, &again);
    if (r < 0)
        return r;
    if (strlen(again) != n_bytes || memcmp(again, text, n_bytes) != 0)
        return -EINVAL;
    *ret_text = TAKE_PTR(plain);
    return 0;
}

/* keys */

/* The folder of the group, with the slash at its end, and what is given after it. */
static int make_key(const char *group, const char *rest, const char *last, char **ret_key)
{
    char *key = NULL;
    _cleanup_free_ char *escaped = NULL;
    int r = lock_key_escape(group, &escaped);
    if (r < 0)
        return r;
    bool has_name = group[0] != '\0';
    if (asprintf(&key, "%s%s%s%s%s", has_name ? LOCK_KEY_GROUPS : LOCK_KEY_ROOT, escaped,
                has_name ? "/" : "", rest, last) < 0)
        return -ENOMEM;
    *ret_key = key;
    return 0;
}

int lock_key_of_semaphore(const char *group, char **ret_key)
{
    return make_key(group, "semaphore", "", ret_key);
}

int lock_key_of_all_facts(const char *group, char **ret_key)
{
    return make_key(group, "holders/", "", ret_key);
}

int lock_key_of_facts(const char *group, const char *id, char **ret_key)
{
    _cleanup_free_ char *escaped = NULL;
    int r = lock_key_escape(id, &escaped);
    return r < 0 ? r : make_key(group, "holders/", escaped, ret_key);
}

/* Leaves out a slash that the key begins with. */
static void skip_slash(const char **key, size_t *n_bytes)
{
    if (*n_bytes > 0 && (*key)[0] == '/') {
        (*key)++;
        (*n_bytes)--;
    }
}

static bool skip_prefix(const char **key, size_t *n_bytes, const char *prefix)
{
    size_t n = strlen(prefix);
    if (*n_bytes < n || memcmp(*key, prefix, n) != 0)
        return false;
    *key += n;
    *n_bytes -= n;
    return true;
}

int lock_key_read_group(const char *key, size_t n_bytes, char **ret_group)
{
    static const char root_semaphore[] = LOCK_KEY_ROOT "semaphore";
    static const char name_end[] = "/semaphore";
    skip_slash(&key, &n_bytes);
    if (n_bytes == strlen(root_semaphore) && memcmp(key, root_semaphore, n_bytes) == 0) {
        char *none = strdup("");
        if (!none)
            return -ENOMEM;
        *ret_group = none;
        return 0;
    }
    if (!skip_prefix(&key, &n_bytes, LOCK_KEY_GROUPS) || n_bytes <= strlen(name_end))
        return -EINVAL;
    n_bytes -= strlen(name_end);
    if (memcmp(key + n_bytes, name_end, strlen(name_end)) != 0 || n_bytes > 3 * LOCK_MAX_ID_CHARS)
        return -EINVAL;
    _cleanup_free_ char *group = NULL;
    int r = lock_key_unescape(key, n_bytes, &group);
    if (r < 0)
        return r;
    if (!lock_name_is_group(group))
        return -EINVAL;
    *ret_group = TAKE_PTR(group);
    return 0;
}

int lock_key_read_id(const char *group, const char *key, size_t n_bytes, char **ret_id)
{
    _cleanup_free_ char *folder = NULL;
    int r = lock_key_of_all_facts(group, &folder);
    if (r < 0)
        return r;
    skip_slash(&key, &n_bytes);
    if (!skip_prefix(&key, &n_bytes, folder) || n_bytes > 3 * LOCK_MAX_ID_CHARS)
        return -EINVAL;
    _cleanup_free_ char *id = NULL;
    r = lock_key_unescape(key, n_bytes, &id);
    if (r < 0)
        return r;
    if (!lock_name_is_id(id))
        return -EINVAL;
    *ret_id = TAKE_PTR(id);
    return 0;
}
