/* SPDX-License-Identifier: Apache-2.0 */

/* Three layers, the last that assigns a name counts: the image's file, the machine's, the
 * environment. Every assignment is read once on its own, so that also those are checked that do
 * not count; then what counts is read, and checked together. */

#include "locksmith/config/locksmith-config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/env-file.h"
#include "common/fd-io.h"
#include "locksmith/config/key-value.h"
#include "locksmith/config/locksmith-keys.h"
#include "locksmith/lock/lock-name.h"

#define MAX_ENVIRONMENT_NAME_CHARS 64

static const char *const layer_files[] = {
        "/usr/share/" FLIPSIDE_OS "/update.conf",
        "/etc/" FLIPSIDE_OS "/update.conf",
};

/* What was assigned to one name of a key. */
typedef struct {
    const char *name;
    char *value; /* NULL: nothing */
    char place[128];
} Assigned;

/* What a LocksmithConfig is the beginning of. */
typedef struct {
    LocksmithSettings settings;
    Assigned assigned[LOCKSMITH_MAX_KEYS][2]; /* as locksmith_keys(): name, older name */
    char **environment;                       /* what is ours of it */
    size_t n_environment;
    char *endpoint_text; /* cut into */
    const char *endpoints[LOCK_MAX_ENDPOINTS];
} Loaded;

static_assert(offsetof(Loaded, settings.config) == 0, "one is taken for the other");

static void loaded_free(Loaded *loaded)
{
    for (size_t i = 0; i < LOCKSMITH_MAX_KEYS; i++)
        for (size_t k = 0; k < 2; k++)
            free(loaded->assigned[i][k].value);
    for (size_t i = 0; i < loaded->n_environment; i++)
        free(loaded->environment[i]);
    free(loaded->environment);
    free(loaded->endpoint_text);
    free(loaded);
}
DEFINE_CLEANUP(Loaded *, loaded_free);

void locksmith_config_free(LocksmithConfig *config)
{
    if (config)
        loaded_free((Loaded *)config);
}

const char *reboot_strategy_name(RebootStrategy strategy)
{
    static const char *const names[STRATEGY_N] = {
            [STRATEGY_BEST_EFFORT] = "best-effort",
            [STRATEGY_REBOOT] = "reboot",
            [STRATEGY_ETCD_LOCK] = "etcd-lock",
            [STRATEGY_FLEET_LOCK] = "fleet-lock",
            [STRATEGY_OFF] = "off",
    };
    return names[strategy];
}

static int take_assignment(
        Loaded *loaded, const char *name, const char *value, const char *place, ErrorText *error)
{
    if (!locksmith_key_is_ours(name))
        return 0;
    const LocksmithKey *key = locksmith_key_find(name);
    if (!key)
        return locksmith_key_say_unknown(name, place, error);
    if (value[0]) {
        LocksmithSettings scratch = {};
        int r = locksmith_key_read(key, name, value, place, &scratch, error);
        if (r < 0)
            return r;
    }
    char *copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    bool is_older = strcmp(name, key->name) != 0;
    Assigned *assigned = &loaded->assigned[key - locksmith_keys()][is_older];
    free(assigned->value);
    *assigned = (Assigned){.name = is_older ? key->older_name : key->name, .value = copy};
    snprintf(assigned->place, sizeof(assigned->place), "%s", place);
    return 0;
}

static int parse_file(int root_fd, const char *name, EnvFile **ret_file, ErrorText *error)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    int r = fd_read_file(root_fd, name + 1, ENV_FILE_MAX_BYTES, &text, &n_bytes);
    if (r == -ENOENT || r == -ENOTDIR)
        return env_file_parse_leniently(name, "", 0, ret_file, error);
    if (r == -EFBIG)
        return error_say(error, -EINVAL, "%s: the file is larger than %d KiB; shorten it", name,
                ENV_FILE_MAX_BYTES / 1024);
    if (r < 0)
        return error_say(error, r, "%s: cannot be read: %s", name, strerror(-r));
    return env_file_parse_leniently(name, text, n_bytes, ret_file, error);
}

/* The file is update-engine's too, which tells of the lines that are nobody's. */
static int check_faults(const EnvFile *file, const char *name, ErrorText *error)
{
    size_t n;
    const EnvFault *faults = env_file_faults(file, &n);
    for (size_t i = 0; i < n; i++)
        if (faults[i].key && locksmith_key_is_ours(faults[i].key))
            return error_say(error, -EINVAL, "%s:%u: %s", name, faults[i].line, faults[i].what);
    return 0;
}

static int load_file(Loaded *loaded, int root_fd, const char *name, ErrorText *error)
{
    _cleanup_(env_file_freep) EnvFile *file = NULL;
    int r = parse_file(root_fd, name, &file, error);
    if (r >= 0)
        r = check_faults(file, name, error);
    if (r < 0)
        return r;
    size_t n;
    const EnvAssignment *assignments = env_file_assignments(file, &n);
    for (size_t i = 0; i < n; i++) {
        char place[sizeof(loaded->assigned[0][0].place)];
        snprintf(place, sizeof(place), "%s:%u: ", name, assignments[i].line);
        r = take_assignment(loaded, assignments[i].key, assignments[i].value, place, error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Copies what is ours, before a first look at time zones could move the environment. */
static int keep_environment(Loaded *loaded, const char *const *environment)
{
    for (size_t i = 0; environment && environment[i]; i++) {
        char name[MAX_ENVIRONMENT_NAME_CHARS];
        size_t n_chars = strcspn(environment[i], "=");
        if (environment[i][n_chars] == '\0' || n_chars >= sizeof(name))
            continue;
        memcpy(name, environment[i], n_chars);
        name[n_chars] = '\0';
        if (!locksmith_key_is_ours(name))
            continue;
        char **more = reallocarray(
                loaded->environment, loaded->n_environment + 1, sizeof(*loaded->environment));
        if (!more)
            return -ENOMEM;
        loaded->environment = more;
        loaded->environment[loaded->n_environment] = strdup(environment[i]);
        if (!loaded->environment[loaded->n_environment++])
            return -ENOMEM;
    }
    return 0;
}

static int take_environment(Loaded *loaded, ErrorText *error)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < loaded->n_environment; i++) {
        char *value = strchr(loaded->environment[i], '=');
        *value++ = '\0';
        r = take_assignment(loaded, loaded->environment[i], value, "environment: ", error);
    }
    return r;
}

/* What counts for the key, or NULL where only its default does. */
static const Assigned *assigned_to(const Loaded *loaded, const char *name)
{
    const Assigned *pair = loaded->assigned[locksmith_key_find(name) - locksmith_keys()];
    for (size_t i = 0; i < 2; i++)
        if (pair[i].value && pair[i].value[0])
            return &pair[i];
    return NULL;
}

static int read_what_counts(Loaded *loaded, ErrorText *error)
{
    int r = 0;
    for (const LocksmithKey *key = locksmith_keys(); r >= 0 && key->name; key++) {
        const Assigned *assigned = assigned_to(loaded, key->name);
        if (assigned)
            r = locksmith_key_read(key, assigned->name, assigned->value, assigned->place,
                    &loaded->settings, error);
        else if (key->default_value)
            r = locksmith_key_read(
                    key, key->name, key->default_value, "", &loaded->settings, error);
    }
    return r;
}

static int check_pair(const Loaded *loaded, const char *one, const char *other, ErrorText *error)
{
    const Assigned *a = assigned_to(loaded, one);
    const Assigned *b = assigned_to(loaded, other);
    if (!a == !b)
        return 0;
    const Assigned *set = a ? a : b;
    return error_say(error, -EINVAL, "%s%s is set without %s; set both of them or neither",
            set->place, set->name, a ? other : one);
}

static int check_file(const Loaded *loaded, const char *name, ErrorText *error)
{
    const Assigned *assigned = assigned_to(loaded, name);
    if (!assigned)
        return 0;
    struct stat st;
    if (stat(assigned->value, &st) < 0) {
        int r = -errno;
        if (r == -EACCES)
            return 0; /* whoever uses it will say so */
        return error_say(error, -EINVAL,
                "%s%s=%.128s: %s; put the PEM file there or take the line out", assigned->place,
                name, assigned->value,
                r == -ENOENT || r == -ENOTDIR ? "there is no such file" : strerror(-r));
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return error_say(error, -EINVAL, "%s%s=%.128s: this is %s; a PEM file must be there",
                assigned->place, name, assigned->value, S_ISREG(st.st_mode) ? "empty" : "no file");
    return 0;
}

static int check_lock(const Loaded *loaded, ErrorText *error)
{
    static const char *const files[] = {
            "LOCKSMITHD_ETCD_CAFILE",
            "LOCKSMITHD_ETCD_CERTFILE",
            "LOCKSMITHD_ETCD_KEYFILE",
    };
    int r = check_pair(loaded, "LOCKSMITHD_ETCD_CERTFILE", "LOCKSMITHD_ETCD_KEYFILE", error);
    if (r >= 0)
        r = check_pair(loaded, "LOCKSMITHD_ETCD_USERNAME", "LOCKSMITHD_ETCD_PASSWORD", error);
    for (size_t i = 0; r >= 0 && i < ELEMENTS(files); i++)
        r = check_file(loaded, files[i], error);
    return r;
}

static int choose_fleet_lock(Loaded *loaded, ErrorText *error)
{
    LockOptions *lock = &loaded->settings.config.lock;
    const Assigned *group = assigned_to(loaded, "LOCKSMITHD_GROUP");
    if (group && !lock_name_is_fleet_lock_group(group->value))
        return error_say(error, -EINVAL,
                "%s%s=%.128s will not do for FleetLock; write letters, digits, dots and hyphens",
                group->place, group->name, group->value);
    if (!group)
        lock->group = "default";
    lock->store = LOCK_STORE_FLEET_LOCK;
    loaded->endpoints[0] = loaded->settings.fleet_lock_url;
    lock->n_endpoints = 1;
    return 0;
}

static int choose_etcd(Loaded *loaded)
{
    LockOptions *lock = &loaded->settings.config.lock;
    loaded->endpoint_text = strdup(loaded->settings.endpoints);
    if (!loaded->endpoint_text)
        return -ENOMEM;
    const char *at = loaded->endpoint_text;
    size_t n_chars;
    while (lock->n_endpoints < LOCK_MAX_ENDPOINTS && key_value_next_endpoint(&at, &n_chars)) {
        char *end = loaded->endpoint_text + (at - loaded->endpoint_text) + n_chars;
        loaded->endpoints[lock->n_endpoints++] = at;
        at = end + (*end != '\0');
        *end = '\0';
    }
    lock->store = loaded->settings.etcd_store;
    return 0;
}

/* Which store it is. The address of a FleetLock server that best-effort would not ask must be an
 * oversight: the machine would reboot without the lock that somebody meant it to take. */
static int choose_store(Loaded *loaded, ErrorText *error)
{
    LocksmithConfig *config = &loaded->settings.config;
    const Assigned *url = assigned_to(loaded, "LOCKSMITHD_FLEET_LOCK_URL");
    config->lock.endpoints = loaded->endpoints;
    config->endpoints_are_set = assigned_to(loaded, "LOCKSMITHD_ENDPOINT") != NULL;
    bool is_fleet_lock = false;
    switch (config->strategy) {
    case STRATEGY_FLEET_LOCK:
        if (!url) {
            const Assigned *strategy = assigned_to(loaded, "REBOOT_STRATEGY");
            return error_say(error, -EINVAL,
                    "%sREBOOT_STRATEGY=fleet-lock needs LOCKSMITHD_FLEET_LOCK_URL; set it to the "
                    "server's http:// or https:// address",
                    strategy->place);
        }
        is_fleet_lock = true;
        break;
    case STRATEGY_BEST_EFFORT:
        if (url)
            return error_say(error, -EINVAL,
                    "%s%s is set, but best-effort does not use it; write "
                    "REBOOT_STRATEGY=fleet-lock or take it out",
                    url->place, url->name);
        break;
    case STRATEGY_REBOOT:
    case STRATEGY_OFF:
        is_fleet_lock = url && !config->endpoints_are_set;
        break;
    case STRATEGY_ETCD_LOCK:
    case STRATEGY_N:
        break;
    }
    return is_fleet_lock ? choose_fleet_lock(loaded, error) : choose_etcd(loaded);
}

/* What can be wrong with the window's start and length together is told with the length. */
static int check_windows(const Loaded *loaded, ErrorText *error)
{
    static const char length[] = "LOCKSMITHD_REBOOT_WINDOW_LENGTH";
    int r = check_pair(loaded, "LOCKSMITHD_REBOOT_WINDOW_START", length, error);
    if (r < 0)
        return r;
    _cleanup_(reboot_calendar_freep) RebootCalendar *calendar = NULL;
    ErrorText why = {""};
    r = reboot_calendar_new(&loaded->settings.config.calendar, &calendar, &why);
    if (r != -EINVAL)
        return r;
    const Assigned *assigned = assigned_to(loaded, length);
    return error_say(error, r, "%s%s", assigned ? assigned->place : "", why.line);
}

int locksmith_config_load(
        int root_fd, const char *const *environment, LocksmithConfig **ret_config, ErrorText *error)
{
    _cleanup_(loaded_freep) Loaded *loaded = calloc(1, sizeof(*loaded));
    if (!loaded)
        return -ENOMEM;
    int r = keep_environment(loaded, environment);
    for (size_t i = 0; r >= 0 && i < ELEMENTS(layer_files); i++)
        r = load_file(loaded, root_fd, layer_files[i], error);
    if (r >= 0)
        r = take_environment(loaded, error);
    if (r >= 0)
        r = read_what_counts(loaded, error);
    if (r >= 0)
        r = check_lock(loaded, error);
    if (r >= 0)
        r = choose_store(loaded, error);
    if (r >= 0)
        r = check_windows(loaded, error);
    if (r < 0)
        return r;
    *ret_config = &TAKE_PTR(loaded)->settings.config;
    return 0;
}
