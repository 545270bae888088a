/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/client/lock-access.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "locksmith/client/ctl-verbs.h"
#include "locksmith/lock/lock-name.h"

struct LockAccess {
    const CtlOptions *options;
    LocksmithConfig *config;
    LockOptions lock; /* points into config, the caller's options and daemon_group */
    char *daemon_group;
};

static int set_store(const char *name, LockStoreKind *store, ErrorText *error)
{
    if (lock_name_read_store(name, store) >= 0)
        return 0;
    return error_say(error, -EINVAL,
            "there is no store '%s'; there are etcd-v3, etcd-v2 and fleet-lock", name);
}

/* What was told goes before what is configured. */
static void set_lock(const CtlOptions *options, LockOptions *lock)
{
    const struct {
        const char *told;
        const char **target;
    } texts[] = {
            {options->group, &lock->group},
            {options->ca_file, &lock->ca_file},
            {options->cert_file, &lock->cert_file},
            {options->key_file, &lock->key_file},
            {options->user, &lock->user},
            {options->password, &lock->password},
    };
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        if (texts[i].told)
            *texts[i].target = texts[i].told;
    if (options->endpoints.n_values > 0) {
        lock->endpoints = options->endpoints.values;
        lock->n_endpoints = options->endpoints.n_values;
    }
}

/* Another kind of store than the configured one has other endpoints, and other names of groups. */
static int set_other_store(const CtlOptions *options, LockOptions *lock, ErrorText *error)
{
    LockStoreKind before = lock->store;
    int r = options->store ? set_store(options->store, &lock->store, error) : 0;
    if (r < 0)
        return r;
    bool is_fleet = lock->store == LOCK_STORE_FLEET_LOCK;
    if (is_fleet == (before == LOCK_STORE_FLEET_LOCK))
        return 0;
    if (options->endpoints.n_values == 0)
        return error_say(error, -EINVAL,
                "this host is configured for %s; --store %s needs its --endpoint",
                lock_name_of_store(before), options->store);
    if (!options->group)
        lock->group = is_fleet ? "default" : "";
    return 0;
}

int lock_access_new(const CtlOptions *options, const char *const *environment,
        LockAccess **ret_access, ErrorText *error)
{
    _cleanup_(lock_access_freep) LockAccess *access = calloc(1, sizeof(*access));
    if (!access)
        return error_say(error, -ENOMEM, "out of memory");
    access->options = options;
    _cleanup_close_ int root_fd = ctl_open_root(options, error);
    if (root_fd < 0)
        return root_fd;
    int r = locksmith_config_load(root_fd, environment, &access->config, error);
    if (r < 0)
        return r;
    access->lock = access->config->lock;
    set_lock(options, &access->lock);
    r = set_other_store(options, &access->lock, error);
    if (r < 0)
        return r;
    *ret_access = TAKE_PTR(access);
    return 0;
}

void lock_access_free(LockAccess *access)
{
    if (!access)
        return;
    locksmith_config_free(access->config);
    free(access->daemon_group);
    free(access);
}

const LocksmithConfig *lock_access_config(const LockAccess *access)
{
    return access->config;
}

const LockOptions *lock_access_options(const LockAccess *access)
{
    return &access->lock;
}

void lock_access_follow_daemon(LockAccess *access, const DaemonView *daemon)
{
    if (!daemon || access->options->group || !daemon->store[0] || access->daemon_group)
        return;
    access->daemon_group = strdup(daemon->group);
    if (access->daemon_group)
        access->lock.group = access->daemon_group;
}

int lock_access_new_as_daemon(const CtlOptions *options, const char *const *environment,
        LockAccess **ret_access, ErrorText *error)
{
    int r = lock_access_new(options, environment, ret_access, error);
    DaemonView daemon;
    if (r == 0 && !options->group && daemon_proxy_view(options->bus, &daemon, NULL) == 0)
        lock_access_follow_daemon(*ret_access, &daemon);
    return r;
}

static LockUse use_by_strategy(const LocksmithConfig *config)
{
    switch (config->strategy) {
    case STRATEGY_ETCD_LOCK:
    case STRATEGY_FLEET_LOCK:
        return LOCK_USE_ALWAYS;
    case STRATEGY_BEST_EFFORT:
        return config->endpoints_are_set ? LOCK_USE_ALWAYS : LOCK_USE_IF_IT_ANSWERS;
    case STRATEGY_REBOOT:
    case STRATEGY_OFF:
    case STRATEGY_N:
        break;
    }
    return LOCK_USE_NONE;
}

LockUse lock_access_use(const LockAccess *access, const DaemonView *daemon)
{
    if (ctl_options_name_a_lock(access->options))
        return LOCK_USE_ALWAYS;
    /* Behind best-effort's decision stands its reason. */
    if (daemon && (strncmp(daemon->decision, "reboot", 6) == 0 ||
                          strncmp(daemon->decision, "off", 3) == 0))
        return LOCK_USE_NONE;
    if (daemon && daemon->decision[0])
        return LOCK_USE_ALWAYS;
    return use_by_strategy(access->config);
}

/* One request under way. */
typedef struct {
    sd_event *event;
    RebootLock *lock;
    LockCall *call;
    void (*on_answer)(const LockAnswer *answer, void *userdata);
    void *userdata;
} Run;

static void run_done(Run *run)
{
    lock_call_free(run->call);
    reboot_lock_free(run->lock);
    sd_event_unref(run->event);
}

static void on_done(LockCall *call, const LockAnswer *answer, void *userdata)
{
    (void)call;
    Run *run = userdata;
    run->on_answer(answer, run->userdata);
    (void)sd_event_exit(run->event, 0);
}

int lock_access_run(LockAccess *access, const char *group, const LockRequest *request,
        void (*on_answer)(const LockAnswer *answer, void *userdata), void *userdata,
        ErrorText *error)
{
    _cleanup_(run_done) Run run = {.on_answer = on_answer, .userdata = userdata};
    LockOptions options = access->lock;
    if (group)
        options.group = group;
    int r = sd_event_new(&run.event);
    if (r < 0)
        return error_say(error, r, "cannot make an event loop: %s", strerror(-r));
    r = reboot_lock_new(run.event, &options, &run.lock, error);
    if (r < 0)
        return r == -ENOMEM ? error_say(error, r, "out of memory") : r;
    r = lock_call_new(run.lock, request, on_done, &run, &run.call);
    if (r == -EINVAL && request->id)
        return error_say(error, r, "'%s' will not do as an id: write 1 to %d characters",
                request->id, LOCK_MAX_ID_CHARS);
    if (r < 0)
        return error_say(error, r, "cannot ask for it: %s", strerror(-r));
    r = sd_event_loop(run.event);
    return r < 0 ? error_say(error, r, "the event loop failed: %s", strerror(-r)) : 0;
}

ErrorText lock_answer_text(const LockAnswer *answer)
{
    ErrorText text;
    if (answer->result == LOCK_FULL && answer->status)
        error_say(&text, 0, "semaphore is at %" PRId64 " (%s)", answer->status->available,
                answer->error);
    else
        error_say(&text, 0, "%s", answer->error);
    return text;
}
