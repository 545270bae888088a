/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/config/config-keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/http-url.h"
#include "common/utf8.h"

#define MAX_NAME_CHARS 128
#define MAX_TEXT_CHARS 256
#define MAX_SERVER_CHARS 1024

static int replace_text(const char *value, void *field)
{
    char **text = field;
    char *copy = NULL;
    if (value) {
        copy = strdup(value);
        if (!copy)
            return -ENOMEM;
    }
    free(*text);
    *text = copy;
    return 0;
}

/* Letters, digits and . _ - + ~, which need no escaping anywhere. */
static bool is_name(const char *value, size_t n_chars)
{
    if (n_chars == 0 || n_chars > MAX_NAME_CHARS)
        return false;
    for (size_t i = 0; i < n_chars; i++) {
        char c = value[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    memchr("._-+~", c, 5)))
            return false;
    }
    return true;
}

static int read_name(const ConfigKey *key, const char *value, void *field)
{
    (void)key;
    return is_name(value, strlen(value)) ? replace_text(value, field) : -EINVAL;
}

static int read_name_or_empty(const ConfigKey *key, const char *value, void *field)
{
    return value[0] == '\0' ? replace_text(value, field) : read_name(key, value, field);
}

/* A name, as it is or in braces. */
static int read_id(const ConfigKey *key, const char *value, void *field)
{
    size_t n_chars = strlen(value);
    if (n_chars < 2 || value[0] != '{' || value[n_chars - 1] != '}')
        return read_name(key, value, field);
    return is_name(value + 1, n_chars - 2) ? replace_text(value, field) : -EINVAL;
}

static int read_text(const ConfigKey *key, const char *value, void *field)
{
    (void)key;
    if (strlen(value) > MAX_TEXT_CHARS || !utf8_is_valid(value))
        return -EINVAL;
    return replace_text(value, field);
}

static int read_text_or_none(const ConfigKey *key, const char *value, void *field)
{
    return value[0] == '\0' ? replace_text(NULL, field) : read_text(key, value, field);
}

static int read_server(const ConfigKey *key, const char *value, void *field)
{
    (void)key;
    if (value[0] == '\0' || strcmp(value, "disabled") == 0)
        return replace_text(NULL, field);
    HttpUrl url;
    int r = strlen(value) <= MAX_SERVER_CHARS ? http_url_parse(value, &url) : -EINVAL;
    if (r < 0)
        return r;
    http_url_done(&url);
    return replace_text(value, field);
}

static int read_bool(const ConfigKey *key, const char *value, void *field)
{
    (void)key;
    bool is_yes = strcmp(value, "yes") == 0;
    if (!is_yes && strcmp(value, "no") != 0)
        return -EINVAL;
    *(bool *)field = is_yes;
    return 0;
}

static int parse_number(const ConfigKey *key, const char *value, uint64_t *ret_number)
{
    size_t n_chars = strlen(value);
    if (n_chars == 0 || n_chars > 9 || strspn(value, "0123456789") != n_chars)
        return -EINVAL;
    uint64_t number = strtoul(value, NULL, 10);
    if (number < key->min || number > key->max)
        return -EINVAL;
    *ret_number = number * key->unit;
    return 0;
}

static int read_unsigned(const ConfigKey *key, const char *value, void *field)
{
    uint64_t number;
    int r = parse_number(key, value, &number);
    if (r >= 0)
        *(unsigned *)field = (unsigned)number;
    return r;
}

static int read_usec(const ConfigKey *key, const char *value, void *field)
{
    return parse_number(key, value, field);
}

/* Bytes, with a power of 1000 behind them; as decimal as what is said of them elsewhere. */
static int read_bytes(const ConfigKey *key, const char *value, void *field)
{
    size_t n_digits = strspn(value, "0123456789");
    if (n_digits == 0 || n_digits > 13)
        return -EINVAL;
    static const char suffixes[] = "KMG";
    const char *suffix = value + n_digits;
    uint64_t n_bytes = strtoull(value, NULL, 10);
    if (suffix[0] != '\0') {
        const char *found = strchr(suffixes, suffix[0]);
        if (!found || suffix[1] != '\0' || n_bytes > key->max)
            return -EINVAL;
        for (const char *power = suffixes; power <= found; power++)
            n_bytes *= 1000;
    }
    if (n_bytes != 0 && (n_bytes < key->min || n_bytes > key->max))
        return -EINVAL;
    *(uint64_t *)field = n_bytes;
    return 0;
}

#define NAME "letters, digits and . _ - + ~ (128 at most)"
#define DAY_SEC (24 * 60 * 60)
#define BYTES_MAX (1000 * UINT64_C(1000000000))

static const ConfigKey keys[] = {
        {
                .name = "GROUP",
                .default_value = "stable",
                .wants = "a channel of the server, such as stable, beta or a group's id: " NAME
                         ", also in braces",
                .help = "The channel whose releases this machine gets. "
                        "flipside channel NAME sets it.",
                .read = read_id,
                .offset = offsetof(Config, group),
                .origin_offset = offsetof(Config, group_file),
        },
        {
                .name = "SERVER",
                .default_value = FLIPSIDE_SERVER,
                .wants = "the http:// or https:// address of an Omaha server, or the word disabled",
                .help = "Where to ask for updates. With disabled, or nothing behind the equals "
                        "sign, nothing is checked by itself; flipside install still works.",
                .read = read_server,
                .offset = offsetof(Config, server),
                .origin_offset = offsetof(Config, server_file),
        },
        {
                .name = "MACHINE_ALIAS",
                .default_value = "",
                .wants = "a text in UTF-8 (256 bytes at most)",
                .help = "A name for this machine that the server shows to people. One that will "
                        "not do is left out.",
                .is_label = true,
                .read = read_text,
                .offset = offsetof(Config, machine_alias),
        },
        {
                .name = "DOWNLOAD_USER",
                .wants = "a user name in UTF-8 (256 bytes at most)",
                .help = "For servers of payloads that want a user. Only told to the payload's own "
                        "server and only over https; where the payload is one that SERVER offers, "
                        "only when SERVER is https, too.",
                .read = read_text_or_none,
                .offset = offsetof(Config, download_user),
        },
        {
                .name = "DOWNLOAD_PASSWORD",
                .wants = "a password in UTF-8 (256 bytes at most)",
                .help = "The password of DOWNLOAD_USER. Let only root read a file with it.",
                .is_secret = true,
                .read = read_text_or_none,
                .offset = offsetof(Config, download_password),
                .origin_offset = offsetof(Config, password_file),
        },
        {
                .name = "DOWNLOAD_BUDGET",
                .default_value = "0",
                .wants = "a number of bytes, also with K, M or G (powers of 1000) at its end, such "
                         "as 50M; or 0",
                .help = "What an update that starts by itself may fetch, for links that cost. Of a "
                        "version that would fetch more, nothing but its metadata is: the other "
                        "slot stays as it is, the server is told that the update is deferred, and "
                        "it is tried again at each check. flipside status says what it would "
                        "fetch; flipside update installs it regardless. What is foreseen counts: "
                        "parts that have to be fetched twice come on top. 0: no bound.",
                .read = read_bytes,
                .offset = offsetof(Config, download_budget_bytes),
                .min = 1,
                .max = BYTES_MAX,
        },
        {
                .name = "DOWNLOAD_RATE",
                .default_value = "0",
                .wants = "a number of bytes from 10K to 1000G, also with K, M or G (powers of "
                         "1000) at its end; or 0",
                .help = "How many bytes of a payload are fetched in a second, on average over a "
                        "few seconds. 0: as many as the link brings.",
                .read = read_bytes,
                .offset = offsetof(Config, download_rate_bytes),
                .min = 10000,
                .max = BYTES_MAX,
        },
        {
                .name = "ALLOW_DOWNGRADE",
                .default_value = "no",
                .wants = "yes or no",
                .help = "Whether a release older than the running one may be installed.",
                .read = read_bool,
                .offset = offsetof(Config, allow_downgrade),
        },
        {
                .name = "BOOT_TRIES",
                .default_value = "3",
                .wants = "a number from 1 to 15",
                .help = "How often a new slot is tried before the machine goes back to the old "
                        "one.",
                .read = read_unsigned,
                .offset = offsetof(Config, boot_tries),
                .min = 1,
                .max = 15,
                .unit = 1,
        },
        {
                .name = "POLL_INTERVAL",
                .default_value = "2700",
                .wants = "a number of seconds from 60 to 86400",
                .help = "The time between two checks, when the server does not ask for another.",
                .read = read_usec,
                .offset = offsetof(Config, poll_interval_usec),
                .min = 60,
                .max = DAY_SEC,
                .unit = USEC_PER_SEC,
        },
        {
                .name = "POLL_JITTER",
                .default_value = "11",
                .wants = "a percentage from 0 to 50",
                .help = "By how much of that time, both ways, each check is moved at random, so "
                        "that many machines do not ask at once.",
                .read = read_unsigned,
                .offset = offsetof(Config, poll_jitter_percent),
                .min = 0,
                .max = 50,
                .unit = 1,
        },
        {
                .name = "FIRST_CHECK",
                .default_value = "420",
                .wants = "a number of seconds from 0 to 86400",
                .help = "The time from the start of update-engine to its first check.",
                .read = read_usec,
                .offset = offsetof(Config, first_check_usec),
                .min = 0,
                .max = DAY_SEC,
                .unit = USEC_PER_SEC,
        },
        {
                .name = CONFIG_RELEASE_PREFIX "VERSION",
                .default_value = "0.0.0",
                .wants = "a version: " NAME,
                .help = "The version of the running system. Belongs into the release file.",
                .read = read_name,
                .offset = offsetof(Config, version),
        },
        {
                .name = CONFIG_RELEASE_PREFIX "BOARD",
                .default_value = "",
                .wants = "a board, such as amd64-usr: " NAME,
                .help = "The kind of machine that the system is built for. Belongs into the "
                        "release file.",
                .read = read_name_or_empty,
                .offset = offsetof(Config, board),
        },
        {
                .name = CONFIG_RELEASE_PREFIX "APPID",
                .default_value = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}",
                .wants = "the system's id at the server: " NAME ", also in braces",
                .help = "Belongs into the release file.",
                .read = read_id,
                .offset = offsetof(Config, app_id),
        },
        {
                .name = CONFIG_RELEASE_PREFIX "PRODUCT",
                .default_value = FLIPSIDE_OS,
                .wants = "a product: " NAME,
                .help = "Payloads made for another product are refused. Belongs into the release "
                        "file.",
                .read = read_name,
                .offset = offsetof(Config, product),
        },
        {
                .name = "REBOOT_STRATEGY",
                .wants = "a strategy of locksmith",
                .help = "Read by locksmithd alone, see KEYS OF LOCKSMITH.",
        },
        {
                .name = "REBOOT_WINDOW_*",
                .wants = "a reboot window of locksmith",
                .help = "Read by locksmithd alone, see KEYS OF LOCKSMITH.",
        },
        {
                .name = "LOCKSMITHD_*",
                .wants = "a setting of locksmith",
                .help = "Read by locksmithd alone, see KEYS OF LOCKSMITH.",
        },
        {
                .name = "PCR_POLICY_SERVER",
                .wants = "an http:// or https:// URL",
                .help = "Where the PCR policy of a new slot is POSTed to before the flip, when a "
                        "payload of format 1 brings one. An update whose policy is not taken "
                        "fails.",
                .read = read_server,
                .offset = offsetof(Config, policy_server),
        },
        {.name = NULL},
};

const ConfigKey *config_keys(void)
{
    return keys;
}

const ConfigKey *config_key_find(const char *name)
{
    for (const ConfigKey *key = keys; key->name; key++) {
        size_t n_chars = strlen(key->name);
        bool is_family = key->name[n_chars - 1] == '*';
        if (is_family ? strncmp(key->name, name, n_chars - 1) == 0 : strcmp(key->name, name) == 0)
            return key;
    }
    return NULL;
}

int config_key_read(const ConfigKey *key, const char *value, const char *place, Config *config,
        ErrorText *error)
{
    if (!key->read)
        return 0;
    int r = key->read(key, value, (char *)config + key->offset);
    if (r != -EINVAL)
        return r;
    if (key->is_secret)
        return error_say(
                error, r, "%s%s: this value will not do; write %s", place, key->name, key->wants);
    return error_say(error, r, "%s%s=%.64s will not do; write %s", place, key->name,
            key->read == read_server ? http_url_show(value).text : value, key->wants);
}

int config_key_say_unknown(const char *name, const char *place, ErrorText *error)
{
    char list[384] = "";
    size_t n_chars = 0;
    for (const ConfigKey *key = keys; key->name && n_chars < sizeof(list); key++)
        n_chars += (size_t)snprintf(
                list + n_chars, sizeof(list) - n_chars, "%s%s", n_chars ? ", " : "", key->name);
    return error_say(error, -EINVAL, "%sthere is no key %.64s; there are %s", place, name, list);
}
