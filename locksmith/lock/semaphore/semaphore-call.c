/* SPDX-License-Identifier: Apache-2.0 */

/* A call reads the document, changes it and swaps it against the revision that it read, until that
 * is done, somebody must be told, or the deadline is over:
 *
 *   reading -> swapping -> ended
 *      ^         |  conflict: judged by what the store tells of it, or read again
 *      +- waiting+  fate unknown: read again, for that says what became of it
 *
 * A swap whose fate is unknown may be done late, even after it was read that it is not: etcd can
 * answer a read while the entry is still on its way through the cluster. It can be done only
 * against the revision that it was made for. So as long as the document has that revision, "nothing
 * has to be written" is not believed, and the document is written as it is: whoever wins, the
 * revision is another one then, and the stray write is dead. */

#include "locksmith/lock/semaphore/semaphore-call.h"

#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "locksmith/lock/semaphore/lock-change.h"

#define MAX_CONFLICTS 100
#define CONFLICT_STEP_USEC (5 * 1000) /* the wait grows by so much with each conflict */
#define CONFLICT_MAX_USEC (250 * 1000)
#define UNKNOWN_BASE_USEC (100 * 1000)
#define UNKNOWN_MAX_USEC (2 * USEC_PER_SEC)

typedef enum {
    CALL_READING,
    CALL_LISTING,
    CALL_SWAPPING,
    CALL_WAITING, /* to read again */
    CALL_ENDED,
} CallState;

typedef struct {
    LockCall base; /* first */
    SemaphoreLock *lock;
    LockDone on_done;
    void *userdata;

    CallState state;
    StoreCall *store_call;
    sd_event_source *deadline;
    sd_event_source *wait;
    unsigned n_conflicts;
    unsigned n_unknown;
    bool may_be_written; /* a swap's fate is unknown */
    bool is_written;     /* the last swap was done */

    LockChange change;
    int64_t old_max;
    ErrorText error;
} SemaphoreCall;

static void start_reading(SemaphoreCall *call);

static void set_state(SemaphoreCall *call, CallState state)
{
    call->state = state;
    if (state != CALL_WAITING)
        sd_event_source_set_enabled(call->wait, SD_EVENT_OFF);
}

/* ending */

static void note_stray(SemaphoreCall *call)
{
    call->may_be_written = true;
    call->lock->has_stray = true;
    call->lock->stray_revision = call->change.revision;
}

static void report(SemaphoreCall *call, LockResult result, const char *const *groups, size_t n)
{
    _cleanup_free_ LockHolder *holders = NULL;
    const LockChange *change = &call->change;
    LockStatus status;
    bool is_known = change->semaphore && (result == LOCK_DONE || result == LOCK_FULL);
    bool has_status =
            is_known && lock_report_status(change->semaphore, change->exists || call->is_written,
                                change->facts, &status, &holders) >= 0;
    if (result == LOCK_FULL && has_status)
        lock_report_full(&status, &call->error);
    LockAnswer answer = {
            .result = result,
            .was_so_before = result == LOCK_DONE && !call->is_written && call->n_unknown == 0,
            .status = has_status ? &status : NULL,
            .old_max = call->old_max,
            .groups = groups,
            .n_groups = n,
            .error = result == LOCK_DONE ? "" : call->error.line,
            .warning = call->change.warning.line,
    };
    call->on_done(&call->base, &answer, call->userdata); /* may free the call */
}

static void end(SemaphoreCall *call, LockResult result)
{
    if (result != LOCK_DONE && call->error.line[0] == '\0')
        error_say(&call->error, 0, "this machine is out of memory");
    set_state(call, CALL_ENDED);
    sd_event_source_set_enabled(call->deadline, SD_EVENT_OFF);
    report(call, result, NULL, 0);
}

/* Ends in failure; call->error says why. Whatever it was, a write that may have been done must not
 * be forgotten over it. */
static void fail(SemaphoreCall *call, LockResult result)
{
    if (!call->may_be_written) {
        end(call, result);
        return;
    }
    ErrorText reason = call->error;
    error_say(&call->error, 0,
            "whether it was written is not known, reading it again failed: %.400s", reason.line);
    end(call, LOCK_UNKNOWN);
}

static int on_deadline(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)source;
    (void)now_usec;
    SemaphoreCall *call = userdata;
    if (call->state == CALL_SWAPPING)
        note_stray(call);
    store_call_free(TAKE_PTR(call->store_call));
    if (call->error.line[0] == '\0')
        error_say(&call->error, 0, "the store did not answer in time; is etcd up?");
    fail(call, LOCK_UNREACHABLE);
    return 0;
}

/* waiting */

static void wait_to_read(SemaphoreCall *call, uint64_t wait_usec)
{
    set_state(call, CALL_WAITING);
    store_call_free(TAKE_PTR(call->store_call));
    int r = sd_event_source_set_time_relative(call->wait, wait_usec);
    if (r >= 0)
        r = sd_event_source_set_enabled(call->wait, SD_EVENT_ONESHOT);
    if (r < 0)
        fail(call, LOCK_UNREACHABLE);
}

static int on_wait(sd_event_source *source, uint64_t now_usec, void *userdata)
{
    (void)source;
    (void)now_usec;
    start_reading(userdata);
    return 0;
}

static void wait_after_unknown(SemaphoreCall *call)
{
    uint64_t wait_usec = backoff_usec(++call->n_unknown, UNKNOWN_BASE_USEC, UNKNOWN_MAX_USEC);
    uint64_t random = call->lock->world.random_number();
    wait_to_read(call, backoff_jitter_usec(wait_usec, wait_usec / 2, random));
}

/* At once, but not all at the same instant. */
static void wait_after_conflict(SemaphoreCall *call)
{
    uint64_t most_usec = MIN(call->n_conflicts * CONFLICT_STEP_USEC, CONFLICT_MAX_USEC);
    wait_to_read(call, call->lock->world.random_number() % (most_usec + 1));
}

/* judging */

/* A document that is older than one that was read before, or gone, comes from a store that was
 * emptied or restored: those who hold the lock may not be in it. One that is gone is made again by
 * a person; what is read then counts. */
static bool went_back(SemaphoreCall *call)
{
    SemaphoreLock *lock = call->lock;
    const LockChange *change = &call->change;
    if (!change->exists) {
        lock->revision = 0;
        if (lock->is_document_expected)
            error_say(&call->error, 0,
                    "the lock's document is gone, which was there before: etcd was emptied, or it "
                    "is another one, and a host may be rebooting that is not shown any more; wait "
                    "until all are back, then make it again with 'locksmithctl set-max N'");
        return lock->is_document_expected;
    }
    bool is_older = change->revision < lock->revision;
    lock->revision = MAX(lock->revision, change->revision);
    lock->is_document_expected = true;
    if (is_older)
        error_say(&call->error, 0,
                "the lock's document is older than it was: etcd was restored, and who holds the "
                "lock may be missing there; make sure of it, then restart locksmithd");
    return is_older;
}

static ChangeVerdict judge(SemaphoreCall *call, const StoreContent *content)
{
    LockChange *change = &call->change;
    SemaphoreLock *lock = call->lock;
    ChangeVerdict verdict = lock_change_take(change, content);
    if (verdict == CHANGE_BAD || verdict == CHANGE_NO_MEMORY) {
        call->error = change->error;
        return verdict;
    }
    lock->has_stray = lock->has_stray && lock->stray_revision == change->revision;
    call->may_be_written = call->may_be_written && lock->has_stray;
    if (call->n_unknown == 0)
        call->old_max = change->old_max;
    bool must_write = verdict == CHANGE_WRITE || (verdict == CHANGE_NOTHING && lock->has_stray &&
                                                         change->kind != LOCK_REQUEST_STATUS);
    if (went_back(call) && must_write && change->kind == LOCK_REQUEST_ACQUIRE)
        return CHANGE_BAD;
    return must_write ? CHANGE_WRITE : verdict;
}

/* swapping */

static void on_swapped(StoreCall *store_call, const StoreAnswer *answer, void *userdata);

static int start_swap(SemaphoreCall *call)
{
    _cleanup_free_ char *document = NULL;
    StoreSwap swap;
    int r = lock_change_swap(&call->change, &swap, &document);
    return r < 0 ? r
                 : lock_store_swap(call->lock->store, &swap, on_swapped, call, &call->store_call);
}

static void act(SemaphoreCall *call, ChangeVerdict verdict)
{
    switch (verdict) {
    case CHANGE_NOTHING:
        end(call, LOCK_DONE);
        return;
    case CHANGE_FULL:
        end(call, LOCK_FULL);
        return;
    case CHANGE_BAD:
        fail(call, LOCK_REFUSED);
        return;
    case CHANGE_NO_MEMORY:
        fail(call, LOCK_UNREACHABLE);
        return;
    case CHANGE_WRITE:
        break;
    }
    set_state(call, CALL_SWAPPING);
    store_call_free(TAKE_PTR(call->store_call));
    int r = start_swap(call);
    if (r >= 0)
        return;
    set_state(call, CALL_READING); /* nothing is on its way */
    error_say(&call->error, 0, "cannot write to the store: %s", strerror(-r));
    fail(call, LOCK_UNREACHABLE);
}

static void on_conflict(SemaphoreCall *call, const StoreContent *content)
{
    if (++call->n_conflicts > MAX_CONFLICTS) {
        error_say(&call->error, 0,
                "others changed the lock each of the %u times that this was to be written",
                call->n_conflicts);
        fail(call, LOCK_UNREACHABLE);
        return;
    }
    ChangeVerdict verdict = content ? judge(call, content) : CHANGE_WRITE;
    if (verdict == CHANGE_WRITE)
        wait_after_conflict(call);
    else
        act(call, verdict);
}

static void on_swapped(StoreCall *store_call, const StoreAnswer *answer, void *userdata)
{
    (void)store_call;
    SemaphoreCall *call = userdata;
    error_say(&call->error, 0, "%s", answer->error);
    switch (answer->result) {
    case STORE_DONE:
        call->is_written = call->lock->is_document_expected = true;
        call->lock->has_stray = false; /* the revision is another one now */
        end(call, LOCK_DONE);
        return;
    case STORE_CONFLICT:
        on_conflict(call, answer->content);
        return;
    case STORE_UNKNOWN:
        note_stray(call);
        wait_after_unknown(call);
        return;
    case STORE_UNREACHABLE:
    case STORE_REFUSED:
        break;
    }
    if (call->may_be_written)
        wait_after_unknown(call);
    else
        end(call, answer->result == STORE_REFUSED ? LOCK_REFUSED : LOCK_UNREACHABLE);
}

/* reading */

static void on_read(StoreCall *store_call, const StoreAnswer *answer, void *userdata)
{
    (void)store_call;
    SemaphoreCall *call = userdata;
    error_say(&call->error, 0, "%s", answer->error);
    if (answer->result == STORE_DONE && answer->content) {
        act(call, judge(call, answer->content));
        return;
    }
    if (call->may_be_written)
        wait_after_unknown(call);
    else
        end(call, answer->result == STORE_REFUSED ? LOCK_REFUSED : LOCK_UNREACHABLE);
}

static void start_reading(SemaphoreCall *call)
{
    set_state(call, CALL_READING);
    int r = lock_store_read(call->lock->store, on_read, call, &call->store_call);
    if (r >= 0)
        return;
    error_say(&call->error, 0, "cannot read from the store: %s", strerror(-r));
    fail(call, LOCK_UNREACHABLE);
}

static void on_listed(StoreCall *store_call, const StoreAnswer *answer, const char *const *names,
        size_t n_names, void *userdata)
{
    (void)store_call;
    SemaphoreCall *call = userdata;
    bool is_done = answer->result == STORE_DONE;
    error_say(&call->error, 0, "%s", answer->error);
    set_state(call, CALL_ENDED);
    sd_event_source_set_enabled(call->deadline, SD_EVENT_OFF);
    report(call,
            is_done                           ? LOCK_DONE
            : answer->result == STORE_REFUSED ? LOCK_REFUSED
                                              : LOCK_UNREACHABLE,
            is_done ? names : NULL, is_done ? n_names : 0);
}

/* making and freeing */

static void semaphore_call_free(LockCall *base)
{
    SemaphoreCall *call = (SemaphoreCall *)base;
    if (call->state == CALL_SWAPPING && call->store_call)
        note_stray(call);
    store_call_free(call->store_call);
    sd_event_source_disable_unref(call->deadline);
    sd_event_source_disable_unref(call->wait);
    lock_change_done(&call->change);
    free(call);
}

static void semaphore_call_freep(SemaphoreCall **call)
{
    if (*call)
        semaphore_call_free(&(*call)->base);
}

static int add_timers(SemaphoreCall *call)
{
    const LockWorld *world = &call->lock->world;
    int r = sd_event_add_time_relative(world->event, &call->deadline, CLOCK_MONOTONIC,
            world->deadline_usec, 10 * 1000, on_deadline, call);
    if (r >= 0)
        r = sd_event_add_time_relative(
                world->event, &call->wait, CLOCK_MONOTONIC, 0, 1000, on_wait, call);
    return r < 0 ? r : sd_event_source_set_enabled(call->wait, SD_EVENT_OFF);
}

int semaphore_call_new(SemaphoreLock *lock, const LockRequest *request, LockDone on_done,
        void *userdata, LockCall **ret_call)
{
    _cleanup_(semaphore_call_freep) SemaphoreCall *call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    *call = (SemaphoreCall){
            .base = {.free = semaphore_call_free},
            .lock = lock,
            .on_done = on_done,
            .userdata = userdata,
    };
    int r = lock_change_init(&call->change, request);
    if (r >= 0)
        r = add_timers(call);
    if (r < 0)
        return r;
    bool is_list = request->kind == LOCK_REQUEST_GROUPS;
    set_state(call, is_list ? CALL_LISTING : CALL_READING);
    r = is_list ? lock_store_list(lock->store, on_listed, call, &call->store_call)
                : lock_store_read(lock->store, on_read, call, &call->store_call);
    if (r < 0)
        return r;
    *ret_call = &TAKE_PTR(call)->base;
    return 0;
}
