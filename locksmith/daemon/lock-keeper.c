/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/lock-keeper.h"

#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/random.h"
#include "locksmith/lock/reboot-lock.h"

/* A host that found the lock full waits for a change of the semaphore (LockWatch); one that could
 * not ask waits with back-off. */

#define RETRY_MIN_USEC (5 * USEC_PER_SEC)
#define RETRY_MAX_USEC (5 * USEC_PER_MINUTE)

/* After a write whose fate was not known, "not a holder" is believed when it is read twice: longer
 * apart than etcd keeps a request that it has not committed. */
#define CONFIRM_USEC (15 * USEC_PER_SEC)

struct LockKeeper {
    sd_event *event;
    RebootLock *lock;
    char *id;
    char *host;
    char *boot_id;
    void (*on_change)(void *userdata);
    void *userdata;
    LockWant want;
    char version[128];
    HoldState holds;
    bool was_free; /* when the acquire that is under way began */
    bool must_confirm;
    LockCall *call;
    LockWatch *watch;
    sd_event_source *timer;
    uint64_t next_uptime_usec;
    unsigned n_failures;
    bool has_seen_document;
    char text[512];
    bool is_to_verify;
    void (*on_verified)(bool is_held, void *userdata); /* NULL: nobody waits */
    void *verified_userdata;
};

static void on_acquired(LockCall *call, const LockAnswer *answer, void *userdata);
static void on_released(LockCall *call, const LockAnswer *answer, void *userdata);
static void step(LockKeeper *keeper);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    LockKeeper *keeper = userdata;
    keeper->next_uptime_usec = 0;
    step(keeper);
    return 0;
}

static void sleep_for(LockKeeper *keeper, uint64_t wait_usec)
{
    keeper->next_uptime_usec = clock_now_usec(CLOCK_BOOTTIME) + wait_usec;
    int r;
    if (!keeper->timer) {
        r = sd_event_add_time(keeper->event, &keeper->timer, CLOCK_BOOTTIME,
                keeper->next_uptime_usec, 0, on_timer, keeper);
    } else {
        r = sd_event_source_set_time(keeper->timer, keeper->next_uptime_usec);
        if (r >= 0)
            r = sd_event_source_set_enabled(keeper->timer, SD_EVENT_ONESHOT);
    }
    if (r < 0)
        snprintf(keeper->text, sizeof(keeper->text), "cannot plan the next try: %s", strerror(-r));
}

static void retry_later(LockKeeper *keeper)
{
    uint64_t usec = backoff_usec(++keeper->n_failures, RETRY_MIN_USEC, RETRY_MAX_USEC);
    sleep_for(keeper, backoff_jitter_usec(usec, usec / 4, random_uint64()));
}

static void stop_waiting(LockKeeper *keeper)
{
    lock_watch_free(TAKE_PTR(keeper->watch));
    keeper->timer = sd_event_source_disable_unref(keeper->timer);
    keeper->next_uptime_usec = 0;
}

static void say(LockKeeper *keeper, const char *text)
{
    snprintf(keeper->text, sizeof(keeper->text), "%s", text);
}

static void take(LockKeeper *keeper, const LockAnswer *answer)
{
    say(keeper, answer->error);
    if (answer->status && answer->status->exists)
        keeper->has_seen_document = true;
}

static void fail_to_ask(LockKeeper *keeper, int r)
{
    snprintf(keeper->text, sizeof(keeper->text), "cannot ask for the lock: %s", strerror(-r));
    retry_later(keeper);
}

static void acquire(LockKeeper *keeper)
{
    HolderFacts facts = {
            .host = keeper->host,
            .boot_id = keeper->boot_id,
            .version = keeper->version,
            .since_usec = clock_now_usec(CLOCK_REALTIME),
    };
    LockRequest request = {.kind = LOCK_REQUEST_ACQUIRE, .id = keeper->id, .facts = &facts};
    int r = lock_call_new(keeper->lock, &request, on_acquired, keeper, &keeper->call);
    if (r < 0) {
        fail_to_ask(keeper, r);
        return;
    }
    keeper->was_free = keeper->holds == HOLDS_NO;
    if (keeper->was_free)
        keeper->holds = HOLDS_UNKNOWN;
}

/* Begins what is wanted and not under way. */
static void step(LockKeeper *keeper)
{
    if (keeper->call || keeper->next_uptime_usec > 0)
        return;
    switch (keeper->want) {
    case LOCK_WANT_NOTHING:
        return;
    case LOCK_WANT_HELD:
        if (keeper->is_to_verify || (keeper->holds != HOLDS_YES && !keeper->watch))
            acquire(keeper);
        return;
    case LOCK_WANT_FREE:
        if (keeper->holds == HOLDS_NO)
            return;
        int r = lock_call_new(keeper->lock,
                &(LockRequest){.kind = LOCK_REQUEST_RELEASE, .id = keeper->id}, on_released, keeper,
                &keeper->call);
        if (r < 0)
            fail_to_ask(keeper, r);
        return;
    }
}

static void on_watch(void *userdata)
{
    LockKeeper *keeper = userdata;
    lock_watch_free(TAKE_PTR(keeper->watch));
    step(keeper);
}

static void watch(LockKeeper *keeper)
{
    keeper->n_failures = 0;
    lock_watch_free(TAKE_PTR(keeper->watch));
    int r = lock_watch_new(keeper->lock, on_watch, keeper, &keeper->watch);
    if (r < 0)
        retry_later(keeper);
}

/* The end of each request: tells those who wait, goes on, and last says that something changed. */
static void finish(LockKeeper *keeper)
{
    void (*on_verified)(bool, void *) = keeper->on_verified;
    if (on_verified && keeper->is_to_verify) {
        keeper->is_to_verify = false;
        keeper->on_verified = NULL;
        on_verified(
                keeper->holds == HOLDS_YES && keeper->text[0] == '\0', keeper->verified_userdata);
    }
    step(keeper);
    keeper->on_change(keeper->userdata);
}

static void on_acquired(LockCall *call, const LockAnswer *answer, void *userdata)
{
    LockKeeper *keeper = userdata;
    bool was_held = keeper->holds == HOLDS_YES;
    bool is_wanted = keeper->want == LOCK_WANT_HELD;
    take(keeper, answer);
    switch (answer->result) {
    case LOCK_DONE:
        if (!was_held && answer->warning[0] != '\0')
            log_warning("%s", answer->warning);
        keeper->holds = HOLDS_YES;
        keeper->n_failures = 0;
        break;
    case LOCK_FULL:
        keeper->holds = HOLDS_NO;
        if (is_wanted)
            watch(keeper);
        break;
    case LOCK_UNKNOWN:
        keeper->must_confirm = true;
        if (!was_held)
            keeper->holds = HOLDS_UNKNOWN;
        if (is_wanted)
            retry_later(keeper);
        break;
    case LOCK_UNREACHABLE:
    case LOCK_REFUSED:
    case LOCK_NOT_OFFERED:
        /* Nothing was written now; what was written before is as unknown as it was. */
        if (keeper->was_free && !keeper->must_confirm)
            keeper->holds = HOLDS_NO;
        if (is_wanted)
            retry_later(keeper);
        break;
    }
    lock_call_free(TAKE_PTR(keeper->call));
    (void)call;
    finish(keeper);
}

static void on_released(LockCall *call, const LockAnswer *answer, void *userdata)
{
    LockKeeper *keeper = userdata;
    (void)call;
    take(keeper, answer);
    if (answer->result != LOCK_DONE) {
        retry_later(keeper);
    } else if (keeper->must_confirm && (answer->was_so_before || !answer->status)) {
        /* Without a status it is FleetLock's answer, which does not tell whether there was one. */
        keeper->must_confirm = false;
        say(keeper, "makes sure that the lock was not taken by a request that was lost");
        sleep_for(keeper, CONFIRM_USEC);
    } else {
        keeper->must_confirm = false;
        keeper->holds = HOLDS_NO;
        keeper->n_failures = 0;
    }
    lock_call_free(TAKE_PTR(keeper->call));
    finish(keeper);
}

int lock_keeper_new(sd_event *event, const LockOptions *lock, const LockKeeperOptions *options,
        void (*on_change)(void *userdata), void *userdata, LockKeeper **ret_keeper,
        ErrorText *error)
{
    _cleanup_(lock_keeper_freep) LockKeeper *keeper = calloc(1, sizeof(*keeper));
    if (!keeper)
        return -ENOMEM;
    *keeper = (LockKeeper){
            .event = sd_event_ref(event),
            .id = strdup(options->id),
            .host = strdup(options->host),
            .boot_id = strdup(options->boot_id),
            .on_change = on_change,
            .userdata = userdata,
            .holds = options->holds,
            .must_confirm = options->is_cut_short,
    };
    if (!keeper->id || !keeper->host || !keeper->boot_id)
        return -ENOMEM;
    int r = reboot_lock_new(event, lock, &keeper->lock, error);
    if (r < 0)
        return r;
    if (options->is_document_expected)
        reboot_lock_expect_document(keeper->lock);
    *ret_keeper = TAKE_PTR(keeper);
    return 0;
}

void lock_keeper_free(LockKeeper *keeper)
{
    if (!keeper)
        return;
    stop_waiting(keeper);
    lock_call_free(keeper->call);
    reboot_lock_free(keeper->lock);
    sd_event_unref(keeper->event);
    free(keeper->id);
    free(keeper->host);
    free(keeper->boot_id);
    free(keeper);
}

void lock_keeper_want(LockKeeper *keeper, LockWant want, const char *version)
{
    snprintf(keeper->version, sizeof(keeper->version), "%s", version);
    if (keeper->want == want)
        return;
    keeper->want = want;
    keeper->n_failures = 0;
    keeper->text[0] = '\0';
    stop_waiting(keeper);
    step(keeper);
}

void lock_keeper_doubt(LockKeeper *keeper)
{
    keeper->holds = HOLDS_UNKNOWN;
}

void lock_keeper_verify(
        LockKeeper *keeper, void (*on_done)(bool is_held, void *userdata), void *userdata)
{
    keeper->is_to_verify = on_done;
    keeper->on_verified = on_done;
    keeper->verified_userdata = userdata;
    step(keeper);
}

LockKeeperFacts lock_keeper_facts(const LockKeeper *keeper)
{
    return (LockKeeperFacts){
            .holds = keeper->holds,
            .is_busy = keeper->call,
            .next_uptime_usec = keeper->next_uptime_usec,
            .n_failures = keeper->n_failures,
            .has_seen_document = keeper->has_seen_document,
            .text = keeper->text,
    };
}
