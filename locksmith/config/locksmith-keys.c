/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/config/locksmith-keys.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/http-url.h"
#include "locksmith/config/key-value.h"

#define MAX_NAME_CHARS 63

#define FIELD(name) offsetof(LocksmithSettings, name)
#define DURATION "a duration such as 90s, 5m or 1h30m (units ms, s, m, h, d)"
#define PEM_FILE "the full path of a PEM file"

static const LocksmithKey keys[] = {
        {
                .name = "REBOOT_STRATEGY",
                .default_value = "best-effort",
                .wants = "best-effort, reboot, etcd-lock, fleet-lock or off",
                .help = "How this machine comes to its reboot when an update waits for one. reboot "
                        "asks nobody; etcd-lock takes the group's lock in etcd first, so that at "
                        "most so many machines are away at once as the group allows; fleet-lock "
                        "takes it from a FleetLock server; best-effort is etcd-lock where "
                        "LOCKSMITHD_ENDPOINT is set or a local etcd answers, else reboot; with off "
                        "it is left to people.",
                .read = key_value_read_strategy,
                .offset = FIELD(config.strategy),
        },
        {
                .name = "LOCKSMITHD_STORE",
                .default_value = "etcd-v3",
                .wants = "etcd-v3 or etcd-v2",
                .help = "Which of etcd's two stores the lock is in. They do not see each other: "
                        "all machines of a group must use the same. Go locksmith uses etcd-v2, "
                        "which etcd 3.6 no longer has.",
                .read = key_value_read_store,
                .offset = FIELD(etcd_store),
        },
        {
                .name = "LOCKSMITHD_ENDPOINT",
                .default_value = "http://127.0.0.1:2379",
                .wants = "one address or several with commas between them, each http:// or "
                         "https:// with a host and a port (16 at most)",
                .help = "Where etcd answers. All are tried in turn.",
                .read = key_value_read_endpoints,
                .offset = FIELD(endpoints),
        },
        {
                .name = "LOCKSMITHD_ETCD_CAFILE",
                .wants = PEM_FILE,
                .help = "The authorities that etcd's certificate (or the FleetLock server's) may "
                        "come from. Without it those of the system count.",
                .read = key_value_read_path,
                .offset = FIELD(config.lock.ca_file),
        },
        {
                .name = "LOCKSMITHD_ETCD_CERTFILE",
                .wants = PEM_FILE,
                .help = "This machine's certificate, where the server wants one.",
                .read = key_value_read_path,
                .offset = FIELD(config.lock.cert_file),
        },
        {
                .name = "LOCKSMITHD_ETCD_KEYFILE",
                .wants = PEM_FILE,
                .help = "The certificate's key, without a passphrase.",
                .read = key_value_read_path,
                .offset = FIELD(config.lock.key_file),
        },
        {
                .name = "LOCKSMITHD_ETCD_USERNAME",
                .wants = "a user name in UTF-8 (256 bytes at most)",
                .help = "Where etcd's authentication is on.",
                .read = key_value_read_text,
                .offset = FIELD(config.lock.user),
        },
        {
                .name = "LOCKSMITHD_ETCD_PASSWORD",
                .wants = "a password in UTF-8 (256 bytes at most)",
                .help = "The user's password. Let only root read a file with it.",
                .is_secret = true,
                .read = key_value_read_text,
                .offset = FIELD(config.lock.password),
        },
        {
                .name = "LOCKSMITHD_FLEET_LOCK_URL",
                .wants = "an http:// or https:// address, with a path or without",
                .help = "The FleetLock server's base address.",
                .read = key_value_read_url,
                .offset = FIELD(fleet_lock_url),
        },
        {
                .name = "LOCKSMITHD_GROUP",
                .default_value = "",
                .wants = "a text in UTF-8 (256 bytes at most)",
                .help = "The group of machines that share a lock. Without it, it is the one that "
                        "has no name, for FleetLock the one called default. It is not GROUP, which "
                        "is the channel of updates.",
                .read = key_value_read_text,
                .offset = FIELD(config.lock.group),
        },
        {
                .name = "LOCKSMITHD_ID",
                .default_value = "",
                .wants = "a text in UTF-8 (256 bytes at most) that no other machine has",
                .help = "What this machine calls itself as a holder of the lock. Without it, it "
                        "is the machine id.",
                .read = key_value_read_text,
                .offset = FIELD(config.id),
        },
        {
                .name = "LOCKSMITHD_REBOOT_WINDOW_START",
                .older_name = "REBOOT_WINDOW_START",
                .default_value = "",
                .wants = "a time of day such as 23:30, or with a day before it: Thu 23:30",
                .help = "When the window begins in which the machine may reboot: each day, or each "
                        "week on that day.",
                .read = key_value_read_window_start,
                .offset = FIELD(config.calendar.start),
        },
        {
                .name = "LOCKSMITHD_REBOOT_WINDOW_LENGTH",
                .older_name = "REBOOT_WINDOW_LENGTH",
                .default_value = "",
                .wants = "a duration such as 90m or 1h30m, less than a day, or a week with a day "
                         "in the start",
                .help = "How long that window is open; it comes with the start. 0 is a minute.",
                .read = key_value_read_window_length,
                .offset = FIELD(config.calendar.length),
        },
        {
                .name = "LOCKSMITHD_REBOOT_WINDOWS",
                .default_value = "",
                .wants = "a list of windows such as Mon-Fri 22:00-04:00; Sat,Sun 10:00 +6h",
                .help = "Any number of windows in which the machine may reboot; see REBOOT "
                        "WINDOWS.",
                .read = key_value_read_windows,
                .offset = FIELD(config.calendar.windows),
        },
        {
                .name = "LOCKSMITHD_REBOOT_WINDOW_ZONE",
                .default_value = "",
                .wants = "a time zone such as Europe/Berlin, UTC or localtime",
                .help = "The time zone of windows that name none. Without it, it is the system's.",
                .read = key_value_read_zone,
                .offset = FIELD(config.calendar.zone),
        },
        {
                .name = "LOCKSMITHD_REBOOT_WINDOW_SPREAD",
                .default_value = "0",
                .wants = DURATION,
                .help = "Spreads a fleet over its windows: for each machine they begin later by "
                        "another part of this, which stays the same.",
                .read = key_value_read_duration,
                .offset = FIELD(config.calendar.spread_usec),
        },
        {
                .name = "LOCKSMITHD_LOGIN_GRACE",
                .default_value = "5m",
                .wants = DURATION,
                .help = "How long people who are logged in are given to end their work, from when "
                        "they are told of the reboot. When all of them have left it is over at "
                        "once. With 0 nobody is told, and nobody waited for.",
                .read = key_value_read_duration,
                .offset = FIELD(config.login_grace_usec),
        },
        {
                .name = "LOCKSMITHD_MIN_UPTIME",
                .default_value = "0",
                .wants = DURATION,
                .help = "How long the machine must have been up before it reboots.",
                .read = key_value_read_duration,
                .offset = FIELD(config.min_uptime_usec),
        },
        {
                .name = "LOCKSMITHD_APPROVAL",
                .default_value = "no",
                .wants = "yes or no",
                .help = "Whether each reboot needs a person's approval: locksmithctl approve.",
                .read = key_value_read_bool,
                .offset = FIELD(config.needs_approval),
        },
        {
                .name = "LOCKSMITHD_REBOOT_REQUIRED",
                .default_value = "no",
                .wants = "yes or no",
                .help = "Whether the file /run/reboot-required asks for a reboot, too.",
                .read = key_value_read_bool,
                .offset = FIELD(config.is_reboot_required_read),
        },
        {
                .name = "LOCKSMITHD_HOOK_TIMEOUT",
                .default_value = "5m",
                .wants = DURATION ", 1s at least",
                .help = "How long each program in reboot-check.d, pre-reboot.d and post-boot.d "
                        "may take.",
                .read = key_value_read_duration,
                .offset = FIELD(config.hook_timeout_usec),
                .min_usec = USEC_PER_SEC,
        },
        {
                .name = "LOCKSMITHD_REBOOT_TIMEOUT",
                .default_value = "10m",
                .wants = DURATION ", 1s at least",
                .help = "How long a reboot may take to begin. When the machine is still up after "
                        "it, the lock is given back.",
                .read = key_value_read_duration,
                .offset = FIELD(config.reboot_timeout_usec),
                .min_usec = USEC_PER_SEC,
        },
        {
                .name = "LOCKSMITHD_WAIT_BOOT_COMPLETE",
                .default_value = "yes",
                .wants = "yes or no",
                .help = "Whether the lock is held after a boot until boot-complete.target is "
                        "reached.",
                .read = key_value_read_bool,
                .offset = FIELD(config.waits_for_boot_complete),
        },
        {
                .name = "LOCKSMITHD_RELEASE_DELAY",
                .default_value = "0",
                .wants = DURATION,
                .help = "How much longer the lock is held after that.",
                .read = key_value_read_duration,
                .offset = FIELD(config.release_delay_usec),
        },
        {
                .name = "LOCKSMITHD_HEALTH_CHECK",
                .default_value = "",
                .wants = "a command for /bin/sh (1024 bytes at most)",
                .help = "Must succeed before the lock is given back after a boot; it is run again "
                        "until it does.",
                .read = key_value_read_long_text,
                .offset = FIELD(config.health_check),
        },
        {
                .name = "LOCKSMITHD_LOCK_WARNING",
                .default_value = "24h",
                .wants = DURATION ", 1s at least",
                .help = "Waiting for the lock longer than this is logged as an error, each time "
                        "that it has passed again.",
                .read = key_value_read_duration,
                .offset = FIELD(config.lock_warning_usec),
                .min_usec = USEC_PER_SEC,
        },
        {
                .name = "LOCKSMITHD_DEBUG",
                .wants = "anything",
                .help = "Known from older systems; without effect.",
        },
        {.name = NULL},
};

static_assert(ELEMENTS(keys) <= LOCKSMITH_MAX_KEYS, "values have no room");

const LocksmithKey *locksmith_keys(void)
{
    return keys;
}

bool locksmith_key_is_ours(const char *name)
{
    return strcmp(name, "REBOOT_STRATEGY") == 0 || strncmp(name, "REBOOT_WINDOW_", 14) == 0 ||
           strncmp(name, "LOCKSMITHD_", 11) == 0;
}

const LocksmithKey *locksmith_key_find(const char *name)
{
    for (const LocksmithKey *key = keys; key->name; key++)
        if (strcmp(key->name, name) == 0 || (key->older_name && strcmp(key->older_name, name) == 0))
            return key;
    return NULL;
}

int locksmith_key_read(const LocksmithKey *key, const char *name, const char *value,
        const char *place, LocksmithSettings *settings, ErrorText *error)
{
    if (!key->read)
        return 0;
    ErrorText why = {""};
    int r = key->read(key, value, (char *)settings + key->offset, &why);
    if (r != -EINVAL)
        return r;
    const char *colon = why.line[0] ? ": " : "";
    if (key->is_secret)
        return error_say(error, r, "%s%s: this value will not do%s%s; write %s", place, name, colon,
                why.line, key->wants);
    bool is_url = key->read == key_value_read_url || key->read == key_value_read_endpoints;
    return error_say(error, r, "%s%s=%.128s will not do%s%s; write %s", place, name,
            is_url ? http_url_show(value).text : value, colon, why.line, key->wants);
}

/* How many letters are to be put in, left out or changed to make one name of the other. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[MAX_NAME_CHARS + 1];
    size_t n_b = strnlen(b, MAX_NAME_CHARS);
    for (size_t j = 0; j <= n_b; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; i < MAX_NAME_CHARS && a[i]; i++) {
        unsigned diagonal = row[0]++;
        for (size_t j = 0; j < n_b; j++) {
            unsigned replaced = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = MIN(replaced, MIN(diagonal, row[j]) + 1);
        }
    }
    return row[n_b];
}

int locksmith_key_say_unknown(const char *name, const char *place, ErrorText *error)
{
    const char *nearest = keys[0].name;
    for (const LocksmithKey *key = keys; key->name; key++) {
        if (distance(name, key->name) < distance(name, nearest))
            nearest = key->name;
        if (key->older_name && distance(name, key->older_name) < distance(name, nearest))
            nearest = key->older_name;
    }
    return error_say(error, -EINVAL,
            "%sthere is no key %.64s; the nearest is %s, and update.conf(5) has them all", place,
            name, nearest);
}
