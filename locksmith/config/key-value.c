/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/config/key-value.h"

#include <errno.h>
#include <string.h>

#include "common/http-url.h"
#include "common/utf8.h"
#include "locksmith/lock/lock-name.h"
#include "locksmith/window/duration.h"
#include "locksmith/window/time-zone.h"
#include "locksmith/window/window-rule.h"

#define MAX_TEXT_BYTES 256
#define MAX_LONG_TEXT_BYTES 1024

int key_value_read_strategy(const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    (void)key;
    (void)why;
    for (int i = 0; i < STRATEGY_N; i++) {
        if (strcmp(value, reboot_strategy_name((RebootStrategy)i)) == 0) {
            *(RebootStrategy *)field = (RebootStrategy)i;
            return 0;
        }
    }
    return -EINVAL;
}

int key_value_read_store(const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    (void)key;
    LockStoreKind store;
    int r = lock_name_read_store(value, &store);
    if (r < 0)
        return r;
    if (store == LOCK_STORE_FLEET_LOCK)
        return error_say(why, -EINVAL, "FleetLock is chosen by REBOOT_STRATEGY=fleet-lock");
    *(LockStoreKind *)field = store;
    return 0;
}

static int read_limited(const char *value, size_t max_bytes, void *field)
{
    if (strlen(value) > max_bytes || !utf8_is_valid(value))
        return -EINVAL;
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return -EINVAL;
    *(const char **)field = value;
    return 0;
}

int key_value_read_text(const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    (void)key;
    (void)why;
    return read_limited(value, MAX_TEXT_BYTES, field);
}

int key_value_read_long_text(
        const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    (void)key;
    (void)why;
    return read_limited(value, MAX_LONG_TEXT_BYTES, field);
}

int key_value_read_path(const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    (void)key;
    (void)why;
    return value[0] == '/' ? read_limited(value, MAX_LONG_TEXT_BYTES, field) : -EINVAL;
}

int key_value_read_bool(const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    (void)key;
    (void)why;
    bool is_yes = strcmp(value, "yes") == 0;
    if (!is_yes && strcmp(value, "no") != 0)
        return -EINVAL;
    *(bool *)field = is_yes;
    return 0;
}

int key_value_read_duration(const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    uint64_t usec;
    int r = duration_parse(value, &usec);
    if (r == -ERANGE)
        return error_say(why, -EINVAL, "this is more than a year");
    if (r < 0)
        return r;
    if (usec < key->min_usec)
        return error_say(why, -EINVAL, "this is less than %s", duration_show(key->min_usec).text);
    *(uint64_t *)field = usec;
    return 0;
}

/* Scheme, host and port, and what the URL may have beside them: nothing, or a path. */
static int check_url(const char *text, bool has_path, ErrorText *why)
{
    HttpUrl url;
    int r = http_url_parse(text, &url);
    if (r < 0)
        return r;
    bool has_credentials = url.has_credentials;
    http_url_done(&url);
    if (has_credentials)
        return error_say(why, -EINVAL, "user and password do not belong into the address");
    const char *host = strstr(text, "://") + 3;
    const char *rest = host + strcspn(host, has_path ? "?#" : "/?#");
    if (*rest)
        return error_say(why, -EINVAL, "nothing may follow the %s", has_path ? "path" : "port");
    return 0;
}

bool key_value_next_endpoint(const char **at, size_t *ret_n_chars)
{
    const char *begin = *at + strspn(*at, "/, \t");
    size_t n_chars = strcspn(begin, ",");
    while (n_chars > 0 && strchr(" \t", begin[n_chars - 1]))
        n_chars--;
    if (n_chars > 0 && begin[n_chars - 1] == '/')
        n_chars--;
    *at = begin;
    *ret_n_chars = n_chars;
    return n_chars > 0;
}

int key_value_read_endpoints(
        const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    (void)key;
    const char *at = value;
    size_t n_chars;
    size_t n = 0;
    for (; key_value_next_endpoint(&at, &n_chars); at += n_chars) {
        char one[MAX_LONG_TEXT_BYTES];
        if (n_chars >= sizeof(one))
            return -EINVAL;
        memcpy(one, at, n_chars);
        one[n_chars] = '\0';
        int r = check_url(one, false, why);
        if (r < 0)
            return r;
        if (++n > LOCK_MAX_ENDPOINTS)
            return error_say(why, -EINVAL, "there are more than %d", LOCK_MAX_ENDPOINTS);
    }
    if (n == 0 || *at != '\0')
        return -EINVAL;
    *(const char **)field = value;
    return 0;
}

int key_value_read_url(const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    (void)key;
    int r = strlen(value) < MAX_LONG_TEXT_BYTES ? check_url(value, true, why) : -EINVAL;
    if (r < 0)
        return r;
    *(const char **)field = value;
    return 0;
}

int key_value_read_window_start(
        const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    WindowRule rule;
    int r = value[0] ? window_start_parse(value, &rule, why) : 0;
    return r < 0 ? r : key_value_read_text(key, value, field, why);
}

int key_value_read_window_length(
        const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    uint64_t usec;
    int r = value[0] ? window_length_parse(value, &usec, why) : 0;
    return r < 0 ? r : key_value_read_text(key, value, field, why);
}

int key_value_read_zone(const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    TimeZone zone;
    int r = time_zone_find(value, &zone, why);
    return r < 0 ? r : key_value_read_text(key, value, field, why);
}

int key_value_read_windows(const LocksmithKey *key, const char *value, void *field, ErrorText *why)
{
    _cleanup_free_ WindowRule *rules = NULL;
    size_t n_rules = 0;
    TimeZone zone;
    int r = value[0] ? window_rules_parse(value, &rules, &n_rules, why) : 0;
    for (size_t i = 0; r >= 0 && i < n_rules; i++)
        r = time_zone_find(rules[i].zone, &zone, why);
    return r < 0 ? r : key_value_read_long_text(key, value, field, why);
}
