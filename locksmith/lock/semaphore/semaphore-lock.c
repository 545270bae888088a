/* SPDX-License-Identifier: Apache-2.0 */

/* Who waits for a place watches the document. Behind the watch a poll looks now and then, in case
 * that a change got lost on its way. */

#include "locksmith/lock/semaphore/semaphore-lock.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "locksmith/lock/semaphore/semaphore-call.h"

#define POLL_USEC (5 * USEC_PER_MINUTE)
#define POLL_SPREAD_USEC USEC_PER_MINUTE

typedef struct {
    LockWatch base; /* first */
    SemaphoreLock *lock;
    StoreWatch *store_watch;
    sd_event_source *poll;
    void (*on_change)(void *userdata);
    void *userdata;
} SemaphoreWatch;

static int lock_call(LockBackend *backend, const LockRequest *request, LockDone on_done,
        void *userdata, LockCall **ret_call)
{
    return semaphore_call_new((SemaphoreLock *)backend, request, on_done, userdata, ret_call);
}

/* watching */

static void watch_free(LockWatch *base)
{
    SemaphoreWatch *watch = (SemaphoreWatch *)base;
    store_watch_free(watch->store_watch);
    sd_event_source_disable_unref(watch->poll);
    free(watch);
}

static void watch_freep(SemaphoreWatch **watch)
{
    if (*watch)
        watch_free(&(*watch)->base);
}

static uint64_t next_poll_usec(const SemaphoreLock *lock)
{
    return backoff_jitter_usec(POLL_USEC, POLL_SPREAD_USEC, lock->world.random_number());
}

static void tell(SemaphoreWatch *watch)
{
    sd_event_source_set_time_relative(watch->poll, next_poll_usec(watch->lock));
    sd_event_source_set_enabled(watch->poll, SD_EVENT_ONESHOT);
    watch->on_change(watch->userdata); /* may free the watch */
}

static void on_store_change(void *userdata)
{
    tell(userdata);
}

static int on_poll(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)source;
    (void)now_usec;
    tell(userdata);
    return 0;
}

static int lock_watch(LockBackend *backend, void (*on_change)(void *userdata), void *userdata,
        LockWatch **ret_watch)
{
    SemaphoreLock *lock = (SemaphoreLock *)backend;
    _cleanup_(watch_freep) SemaphoreWatch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    *watch = (SemaphoreWatch){
            .base = {.free = watch_free},
            .lock = lock,
            .on_change = on_change,
            .userdata = userdata,
    };
    int r = sd_event_add_time_relative(lock->world.event, &watch->poll, CLOCK_MONOTONIC,
            next_poll_usec(lock), 10 * USEC_PER_SEC, on_poll, watch);
    if (r >= 0)
        r = lock_store_watch(
                lock->store, lock->revision, on_store_change, watch, &watch->store_watch);
    if (r < 0)
        return r;
    *ret_watch = &TAKE_PTR(watch)->base;
    return 0;
}

/* making and freeing */

static void lock_free(LockBackend *backend)
{
    SemaphoreLock *lock = (SemaphoreLock *)backend;
    lock_store_free(lock->store);
    sd_event_unref(lock->world.event);
    free(lock);
}

int semaphore_lock_new(const LockWorld *world, LockStore *store, LockBackend **ret_backend)
{
    static const LockBackendOps ops = {.call = lock_call, .watch = lock_watch, .free = lock_free};
    SemaphoreLock *lock = malloc(sizeof(*lock));
    if (!lock) {
        lock_store_free(store);
        return -ENOMEM;
    }
    *lock = (SemaphoreLock){.backend = {.ops = &ops},
            .world = *world,
            .store = store,
            .is_document_expected = world->is_document_expected};
    sd_event_ref(lock->world.event);
    *ret_backend = &lock->backend;
    return 0;
}
