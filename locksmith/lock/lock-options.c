/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/lock-options.h"

#include <stdbool.h>
#include <string.h>

#include "common/http-url.h"
#include "common/utf8.h"
#include "locksmith/lock/lock-name.h"

static int check_endpoint(const char *endpoint, bool is_fleet_lock, bool has_user, ErrorText *error)
{
    HttpUrl url;
    HttpUrlShown shown = http_url_show(endpoint);
    int r = http_url_parse(endpoint, &url);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return error_say(error, -EINVAL,
                "%.200s is no address of a lock server; write http://HOST:PORT or "
                "https://HOST:PORT",
                shown.text);
    bool has_credentials = url.has_credentials, is_https = url.is_https;
    http_url_done(&url);
    if (has_credentials)
        return error_say(error, -EINVAL,
                "%.200s has user or password in it; there are settings of their own for them",
                shown.text);
    const char *host = strstr(endpoint, "://") + 3;
    const char *rest = host + strcspn(host, is_fleet_lock ? "?#" : "/?#");
    if (*rest != '\0' && strcmp(rest, "/") != 0)
        return error_say(error, -EINVAL,
                "nothing may follow the %s of the lock server's address %.200s",
                is_fleet_lock ? "path" : "port", shown.text);
    if (is_fleet_lock && has_user && !is_https)
        return error_say(error, -EINVAL,
                "user and password are told to a FleetLock server over https alone, and %.200s is "
                "not https",
                shown.text);
    return 0;
}

static int check_group(const LockOptions *options, ErrorText *error)
{
    if (!lock_name_is_group(options->group))
        return error_say(error, -EINVAL,
                "the group %.100s will not do: write at most %d printable characters, and not only "
                "dots",
                options->group, LOCK_MAX_ID_CHARS);
    if (options->store == LOCK_STORE_FLEET_LOCK && !lock_name_is_fleet_lock_group(options->group))
        return error_say(error, -EINVAL,
                "the group %.100s will not do for FleetLock: write letters, digits, dots and "
                "hyphens",
                options->group);
    return 0;
}

static int check_user(const LockOptions *options, ErrorText *error)
{
    if (!options->user != !options->password)
        return error_say(error, -EINVAL,
                "a user for the lock server needs a password, and the other way round");
    if (!options->user)
        return 0;
    if (!utf8_is_valid(options->user) || !utf8_is_valid(options->password))
        return error_say(
                error, -EINVAL, "user and password for the lock server must be UTF-8 text");
    if (options->store != LOCK_STORE_ETCD_V3 && strchr(options->user, ':'))
        return error_say(error, -EINVAL,
                "the user %.100s for the lock server will not do: this kind of login takes no "
                "colon",
                options->user);
    return 0;
}

int lock_options_check(const LockOptions *options, ErrorText *error)
{
    bool is_fleet_lock = options->store == LOCK_STORE_FLEET_LOCK;
    if (options->n_endpoints == 0)
        return error_say(error, -EINVAL, "the lock has no server's address");
    if (options->n_endpoints > LOCK_MAX_ENDPOINTS || (is_fleet_lock && options->n_endpoints > 1))
        return error_say(error, -EINVAL, "the lock has %zu servers' addresses; write at most %d",
                options->n_endpoints, is_fleet_lock ? 1 : LOCK_MAX_ENDPOINTS);
    for (size_t i = 0; i < options->n_endpoints; i++) {
        int r = check_endpoint(options->endpoints[i], is_fleet_lock, options->user, error);
        if (r < 0)
            return r;
    }
    if (!options->cert_file != !options->key_file)
        return error_say(error, -EINVAL,
                "a certificate for the lock server needs its key file, and the other way round");
    int r = check_user(options, error);
    return r < 0 ? r : check_group(options, error);
}

static bool is_this_host(const char *host)
{
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

bool lock_options_are_open(const LockOptions *options)
{
    for (size_t i = 0; options->user && i < options->n_endpoints; i++) {
        HttpUrl url;
        if (http_url_parse(options->endpoints[i], &url) < 0)
            continue;
        bool is_open = !url.is_https && !is_this_host(url.host);
        http_url_done(&url);
        if (is_open)
            return true;
    }
    return false;
}
