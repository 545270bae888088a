/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/fleet-lock/fleet-lock.h"

#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "locksmith/lock/fleet-lock/fleet-call.h"

#define POLL_USEC USEC_PER_MINUTE
#define POLL_SPREAD_USEC (15 * USEC_PER_SEC)

typedef struct {
    LockWatch base; /* first */
    FleetLock *lock;
    sd_event_source *poll;
    void (*on_change)(void *userdata);
    void *userdata;
} FleetWatch;

static int lock_call(LockBackend *backend, const LockRequest *request, LockDone on_done,
        void *userdata, LockCall **ret_call)
{
    return fleet_call_new((FleetLock *)backend, request, on_done, userdata, ret_call);
}

/* watching */

static int on_poll(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)now_usec;
    FleetWatch *watch = userdata;
    const LockWorld *world = &watch->lock->world;
    sd_event_source_set_time_relative(
            source, backoff_jitter_usec(POLL_USEC, POLL_SPREAD_USEC, world->random_number()));
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    watch->on_change(watch->userdata); /* may free the watch */
    return 0;
}

static void watch_free(LockWatch *base)
{
    FleetWatch *watch = (FleetWatch *)base;
    sd_event_source_disable_unref(watch->poll);
    free(watch);
}

static int lock_watch(LockBackend *backend, void (*on_change)(void *userdata), void *userdata,
        LockWatch **ret_watch)
{
    FleetLock *lock = (FleetLock *)backend;
    FleetWatch *watch = malloc(sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    *watch = (FleetWatch){
            .base = {.free = watch_free},
            .lock = lock,
            .on_change = on_change,
            .userdata = userdata,
    };
    uint64_t wait_usec =
            backoff_jitter_usec(POLL_USEC, POLL_SPREAD_USEC, lock->world.random_number());
    int r = sd_event_add_time_relative(lock->world.event, &watch->poll, CLOCK_MONOTONIC, wait_usec,
            USEC_PER_SEC, on_poll, watch);
    if (r < 0) {
        free(watch);
        return r;
    }
    *ret_watch = &watch->base;
    return 0;
}

/* making and freeing */

static void lock_free(LockBackend *backend)
{
    FleetLock *lock = (FleetLock *)backend;
    sd_event_unref(lock->world.event);
    free(lock->base);
    free(lock);
}

int fleet_lock_new(const LockWorld *world, HttpClient *client, const LockOptions *options,
        LockBackend **ret_backend)
{
    static const LockBackendOps ops = {.call = lock_call, .watch = lock_watch, .free = lock_free};
    FleetLock *lock = malloc(sizeof(*lock));
    char *base = strdup(options->endpoints[0]);
    if (!lock || !base) {
        free(base);
        free(lock);
        return -ENOMEM;
    }
    for (size_t n = strlen(base); n > 0 && base[n - 1] == '/'; n--)
        base[n - 1] = '\0';
    *lock = (FleetLock){
            .backend = {.ops = &ops},
            .world = *world,
            .client = client,
            .options = options,
            .base = base,
    };
    sd_event_ref(lock->world.event);
    *ret_backend = &lock->backend;
    return 0;
}
