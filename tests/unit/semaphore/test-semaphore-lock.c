/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/semaphore/semaphore-lock.h"

#include <string.h>

#include "common/clock.h"
#include "tests/unit/semaphore/fake-store.h"
#include "tests/unit/unit.h"

#define FREE "{\"semaphore\":1,\"max\":1,\"holders\":[]}"
#define HELD "{\"semaphore\":0,\"max\":1,\"holders\":[\"m1\"]}"
#define HELD_BY_OTHER "{\"semaphore\":0,\"max\":1,\"holders\":[\"m2\"]}"

/* A lock over a fake store, and the answer of its last call, copied. */
typedef struct {
    sd_event *event;
    FakeStore *store;
    LockBackend *backend;
    LockCall *call;
    unsigned n_done;
    bool frees_in_done;
    LockResult result;
    bool was_so_before;
    bool has_status;
    int64_t max, available, old_max;
    size_t n_holders;
    bool exists;
    char first_id[64];
    char first_host[64];
    char groups[64];
    char error[512];
    char warning[512];
    unsigned n_changes;
} World;

static uint64_t no_random(void)
{
    return 0;
}

static World *world_new(const char *document, uint64_t deadline_usec)
{
    World *world = calloc(1, sizeof(*world));
    ck_assert_int_eq(sd_event_new(&world->event), 0);
    world->store = fake_store_new(world->event);
    fake_store_put(world->store, document);
    LockWorld of_lock = {.event = world->event,
            .random_number = no_random,
            .deadline_usec = deadline_usec ? deadline_usec : 20 * USEC_PER_SEC};
    ck_assert_int_eq(semaphore_lock_new(&of_lock, &world->store->base, &world->backend), 0);
    return world;
}

static void world_free(World *world)
{
    lock_call_free(world->call);
    lock_backend_free(world->backend);
    sd_event_unref(world->event);
    free(world);
}
DEFINE_CLEANUP(World *, world_free);

static void copy_status(World *world, const LockStatus *status)
{
    world->has_status = status != NULL;
    if (!status)
        return;
    world->max = status->max;
    world->available = status->available;
    world->n_holders = status->n_holders;
    world->exists = status->exists;
    if (status->n_holders == 0)
        return;
    const LockHolder *first = status->holders;
    snprintf(world->first_id, sizeof(world->first_id), "%s", first->id);
    snprintf(world->first_host, sizeof(world->first_host), "%s",
            first->facts ? first->facts->host : "(none)");
}

static void on_done(LockCall *call, const LockAnswer *answer, void *userdata)
{
    World *world = userdata;
    ck_assert_ptr_eq(call, world->call);
    world->n_done++;
    world->result = answer->result;
    world->was_so_before = answer->was_so_before;
    world->old_max = answer->old_max;
    copy_status(world, answer->status);
    for (size_t i = 0; i < answer->n_groups; i++) {
        strcat(world->groups, answer->groups[i]);
        strcat(world->groups, ";");
    }
    snprintf(world->error, sizeof(world->error), "%s", answer->error);
    snprintf(world->warning, sizeof(world->warning), "%s", answer->warning);
    ck_assert((answer->result == LOCK_DONE) == (answer->error[0] == '\0'));
    if (world->frees_in_done)
        lock_call_free(TAKE_PTR(world->call));
}

static void start(World *world, const LockRequest *request)
{
    lock_call_free(TAKE_PTR(world->call));
    world->n_done = 0;
    ck_assert_int_eq(
            world->backend->ops->call(world->backend, request, on_done, world, &world->call), 0);
    ck_assert_uint_eq(world->n_done, 0);
}

static void run(World *world)
{
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + 20 * USEC_PER_SEC;
    while (world->n_done == 0 && clock_now_usec(CLOCK_MONOTONIC) < end_usec)
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
    ck_assert_uint_eq(world->n_done, 1);
    ck_assert_int_ge(sd_event_run(world->event, 0), 0);
    ck_assert_uint_eq(world->n_done, 1);
}

static LockResult acquire(World *world, const char *id)
{
    start(world, &(LockRequest){.kind = LOCK_REQUEST_ACQUIRE, .id = id});
    run(world);
    return world->result;
}

static LockResult release(World *world, const char *id)
{
    start(world, &(LockRequest){.kind = LOCK_REQUEST_RELEASE, .id = id});
    run(world);
    return world->result;
}

static LockResult ask(World *world, LockRequestKind kind)
{
    start(world, &(LockRequest){.kind = kind});
    run(world);
    return world->result;
}

static void play(World *world, size_t n, const FakeStep *steps)
{
    memcpy(world->store->steps, steps, n * sizeof(*steps));
}
#define PLAY(world, ...) \
    play(world, sizeof((FakeStep[]){__VA_ARGS__}) / sizeof(FakeStep), (FakeStep[]){__VA_ARGS__})

/* what is asked for */

START_TEST(a_free_lock_is_taken_and_given_back)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
    ck_assert(!world->was_so_before);
    ck_assert_str_eq(world->store->document, HELD);
    ck_assert(world->has_status && world->exists);
    ck_assert_int_eq(world->available, 0);
    ck_assert_str_eq(world->first_id, "m1");
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
    ck_assert(world->was_so_before);
    ck_assert_uint_eq(world->store->n_swaps, 1);
    ck_assert_int_eq(release(world, "m1"), LOCK_DONE);
    ck_assert(!world->was_so_before);
    ck_assert_str_eq(world->store->document, FREE);
    ck_assert_int_eq(release(world, "m1"), LOCK_DONE);
    ck_assert(world->was_so_before);
    ck_assert_uint_eq(world->store->n_swaps, 2);
}
END_TEST

START_TEST(a_document_that_is_not_there_is_made_with_the_first_holder)
{
    _cleanup_(world_freep) World *world = world_new(NULL, 0);
    ck_assert_int_eq(ask(world, LOCK_REQUEST_STATUS), LOCK_DONE);
    ck_assert(world->has_status && !world->exists);
    ck_assert_int_eq(world->max, 1);
    ck_assert_int_eq(world->available, 1);
    ck_assert_int_eq(release(world, "m1"), LOCK_DONE);
    ck_assert_uint_eq(world->store->n_swaps, 0);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
    ck_assert(world->exists);
    ck_assert_str_eq(world->store->document, HELD);
}
END_TEST

START_TEST(a_full_lock_says_who_holds_it)
{
    _cleanup_(world_freep) World *world = world_new(HELD_BY_OTHER, 0);
    world->store->facts_id = strdup("m2");
    world->store->facts_text = strdup("{\"host\":\"node-2\"}");
    ck_assert_int_eq(acquire(world, "m1"), LOCK_FULL);
    ck_assert_str_eq(world->error, "the lock is held by m2 (node-2); at most 1 may");
    ck_assert_str_eq(world->first_host, "node-2");
    ck_assert_uint_eq(world->store->n_swaps, 0);

    fake_store_put(world->store, "{\"semaphore\":0,\"max\":0,\"holders\":[]}");
    ck_assert_int_eq(acquire(world, "m1"), LOCK_FULL);
    ck_assert_ptr_nonnull(strstr(world->error, "closed to all"));
    fake_store_put(world->store,
            "{\"semaphore\":0,\"max\":5,\"holders\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}");
    ck_assert_int_eq(acquire(world, "m1"), LOCK_FULL);
    ck_assert_str_eq(world->error, "the lock is held by a, b, c and 2 more; at most 5 may");
}
END_TEST

START_TEST(facts_are_left_and_taken_away_with_the_lock)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    char host[] = "node-1", boot_id[] = "b1";
    HolderFacts facts = {.host = host, .boot_id = boot_id, .since_usec = 5 * USEC_PER_SEC};
    start(world, &(LockRequest){.kind = LOCK_REQUEST_ACQUIRE, .id = "m1", .facts = &facts});
    host[0] = '\0'; /* the call has its own */
    run(world);
    ck_assert_int_eq(world->result, LOCK_DONE);
    ck_assert_str_eq(world->store->facts_id, "m1");
    ck_assert_str_eq(world->store->facts_text,
            "{\"host\":\"node-1\",\"boot_id\":\"b1\",\"version\":\"\",\"since\":5}");
    ck_assert_int_eq(ask(world, LOCK_REQUEST_STATUS), LOCK_DONE);
    ck_assert_str_eq(world->first_host, "node-1");
    ck_assert_int_eq(release(world, "m1"), LOCK_DONE);
    ck_assert_ptr_null(world->store->facts_id);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
    ck_assert_int_eq(ask(world, LOCK_REQUEST_STATUS), LOCK_DONE);
    ck_assert_str_eq(world->first_host, "(none)");
}
END_TEST

static const struct {
    const char *host;
    const char *boot_id;
    const char *found;
    const char *warns; /* NULL: not */
} doubts[] = {
        {"node-1", "b1", "{\"host\":\"node-1\",\"boot_id\":\"b1\"}", NULL},
        {"node-1", "b1", "{\"host\":\"node-9\",\"boot_id\":\"b9\"}", "host node-9"},
        {"node-1", "b1", "{\"host\":\"node-1\",\"boot_id\":\"b9\"}", "another boot, b9"},
        {"node-1", "b1", "{}", NULL},
        {"", "", "{\"host\":\"node-9\",\"boot_id\":\"b9\"}", NULL},
        {"node-1", "b1", "no json", NULL},
};

START_TEST(a_lock_held_under_our_id_by_another_machine_is_doubted)
{
    _cleanup_(world_freep) World *world = world_new(HELD, 0);
    char host[16], boot_id[16];
    strcpy(host, doubts[_i].host);
    strcpy(boot_id, doubts[_i].boot_id);
    HolderFacts facts = {.host = host, .boot_id = boot_id};
    world->store->facts_id = strdup("m1");
    world->store->facts_text = strdup(doubts[_i].found);
    start(world, &(LockRequest){.kind = LOCK_REQUEST_ACQUIRE, .id = "m1", .facts = &facts});
    run(world);
    ck_assert_int_eq(world->result, LOCK_DONE);
    if (doubts[_i].warns)
        ck_assert_msg(strstr(world->warning, doubts[_i].warns), "%s", world->warning);
    else
        ck_assert_str_eq(world->warning, "");
}
END_TEST

START_TEST(max_is_set_and_the_old_one_told)
{
    _cleanup_(world_freep) World *world = world_new(HELD, 0);
    start(world, &(LockRequest){.kind = LOCK_REQUEST_SET_MAX, .max = 3});
    run(world);
    ck_assert_int_eq(world->result, LOCK_DONE);
    ck_assert_int_eq(world->old_max, 1);
    ck_assert_int_eq(world->max, 3);
    ck_assert_str_eq(world->store->document, "{\"semaphore\":2,\"max\":3,\"holders\":[\"m1\"]}");
    start(world, &(LockRequest){.kind = LOCK_REQUEST_SET_MAX, .max = 3});
    run(world);
    ck_assert(world->was_so_before);
    ck_assert_int_eq(world->old_max, 3);
    ck_assert_uint_eq(world->store->n_swaps, 1);
}
END_TEST

START_TEST(groups_are_listed)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    ck_assert_int_eq(ask(world, LOCK_REQUEST_GROUPS), LOCK_DONE);
    ck_assert_str_eq(world->groups, ";a/b;");
    world->groups[0] = '\0';
    PLAY(world, FAKE_REFUSED);
    ck_assert_int_eq(ask(world, LOCK_REQUEST_GROUPS), LOCK_REFUSED);
    ck_assert_str_eq(world->error, "not allowed");
    ck_assert_str_eq(world->groups, "");
}
END_TEST

/* what goes wrong */

static const struct {
    FakeStep read, swap;
    LockResult result;
} plain_failures[] = {
        {FAKE_UNREACHABLE, FAKE_OK, LOCK_UNREACHABLE},
        {FAKE_REFUSED, FAKE_OK, LOCK_REFUSED},
        {FAKE_OK, FAKE_UNREACHABLE, LOCK_UNREACHABLE},
        {FAKE_OK, FAKE_REFUSED, LOCK_REFUSED},
        {FAKE_OK, FAKE_NO_MEMORY, LOCK_UNREACHABLE},
};

START_TEST(failures_that_wrote_nothing_end_the_call)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    PLAY(world, plain_failures[_i].read, plain_failures[_i].swap);
    ck_assert_int_eq(acquire(world, "m1"), plain_failures[_i].result);
    ck_assert_str_eq(world->store->document, FREE);
    ck_assert(!world->has_status);
}
END_TEST

START_TEST(a_call_that_cannot_begin_fails_at_once)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    PLAY(world, FAKE_NO_MEMORY);
    LockCall *call = NULL;
    ck_assert_int_eq(world->backend->ops->call(world->backend,
                             &(LockRequest){.kind = LOCK_REQUEST_STATUS}, on_done, world, &call),
            -ENOMEM);
    ck_assert_ptr_null(call);
}
END_TEST

START_TEST(a_document_that_is_none_is_refused_and_left_alone)
{
    _cleanup_(world_freep) World *world = world_new("{\"holders\":7}", 0);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_REFUSED);
    ck_assert_ptr_nonnull(strstr(world->error, "lock's document"));
    ck_assert_int_eq(release(world, "m1"), LOCK_REFUSED);
    ck_assert_int_eq(ask(world, LOCK_REQUEST_STATUS), LOCK_REFUSED);
    ck_assert_uint_eq(world->store->n_swaps, 0);
}
END_TEST

/* The dead-lock of Go locksmith: it held the lock and did not know. */
START_TEST(a_lost_reply_is_read_again_and_is_success)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    PLAY(world, FAKE_OK, FAKE_LOST_REPLY, FAKE_UNREACHABLE, FAKE_REFUSED);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
    ck_assert(!world->was_so_before);
    ck_assert_str_eq(world->store->document, HELD);
    ck_assert_uint_eq(world->store->n_swaps, 1);
    ck_assert_uint_eq(world->store->n_reads, 4);
}
END_TEST

START_TEST(a_lost_request_is_made_again)
{
    _cleanup_(world_freep) World *world = world_new(HELD, 0);
    PLAY(world, FAKE_OK, FAKE_LOST_REQUEST, FAKE_OK, FAKE_LOST_REQUEST, FAKE_OK, FAKE_OK);
    ck_assert_int_eq(release(world, "m1"), LOCK_DONE);
    ck_assert_str_eq(world->store->document, FREE);
    ck_assert_uint_eq(world->store->n_swaps, 3);
}
END_TEST

START_TEST(a_lost_set_max_still_tells_the_old_one)
{
    _cleanup_(world_freep) World *world = world_new(HELD, 0);
    PLAY(world, FAKE_OK, FAKE_LOST_REPLY);
    start(world, &(LockRequest){.kind = LOCK_REQUEST_SET_MAX, .max = 2});
    run(world);
    ck_assert_int_eq(world->result, LOCK_DONE);
    ck_assert_int_eq(world->old_max, 1);
    ck_assert(!world->was_so_before);
}
END_TEST

START_TEST(somebody_faster_is_told_from_a_lost_reply)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    world->store->rival = HELD_BY_OTHER;
    PLAY(world, FAKE_OK, FAKE_LOST_REQUEST, FAKE_RIVAL);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_FULL);
    ck_assert_str_eq(world->store->document, HELD_BY_OTHER);
}
END_TEST

START_TEST(conflicts_are_tried_again_until_done)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    PLAY(world, FAKE_OK, FAKE_RIVAL, FAKE_OK, FAKE_RIVAL_HIDDEN);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
    ck_assert_str_eq(world->store->document, HELD);
    ck_assert_uint_eq(world->store->n_swaps, 3);
    ck_assert_uint_eq(world->store->n_reads, 3);
}
END_TEST

START_TEST(a_conflict_that_filled_the_lock_costs_no_other_read)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    world->store->rival = HELD_BY_OTHER;
    PLAY(world, FAKE_OK, FAKE_RIVAL);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_FULL);
    ck_assert_uint_eq(world->store->n_reads, 1);
    ck_assert_ptr_nonnull(strstr(world->error, "m2"));
}
END_TEST

START_TEST(endless_conflicts_come_to_an_end)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    world->store->has_endless_rivals = true;
    ck_assert_int_eq(acquire(world, "m1"), LOCK_UNREACHABLE);
    ck_assert_msg(strstr(world->error, "others changed the lock"), "%s", world->error);
    ck_assert_str_eq(world->store->document, FREE);
    ck_assert_uint_eq(world->store->n_swaps, 101);
}
END_TEST

START_TEST(a_write_that_stays_unknown_is_said_to_be)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 300 * 1000);
    PLAY(world, FAKE_OK, FAKE_LOST_REPLY, FAKE_UNREACHABLE, FAKE_UNREACHABLE, FAKE_UNREACHABLE,
            FAKE_UNREACHABLE, FAKE_UNREACHABLE, FAKE_UNREACHABLE);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_UNKNOWN);
    ck_assert_msg(strstr(world->error, "not known"), "%s", world->error);
    ck_assert_ptr_nonnull(strstr(world->error, "nobody is there"));
    ck_assert(!world->has_status);
}
END_TEST

static const struct {
    FakeStep read, swap;
    LockResult result;
} hangs[] = {
        {FAKE_HANG, FAKE_OK, LOCK_UNREACHABLE},
        {FAKE_OK, FAKE_HANG, LOCK_UNKNOWN},
        {FAKE_OK, FAKE_LOST_HANG, LOCK_UNKNOWN},
};

START_TEST(a_silent_store_ends_with_the_deadline)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 20 * 1000);
    PLAY(world, hangs[_i].read, hangs[_i].swap);
    ck_assert_int_eq(acquire(world, "m1"), hangs[_i].result);
    ck_assert_str_ne(world->error, "");
}
END_TEST

/* etcd can answer a read while a write is under way that comes before nothing else. */
START_TEST(a_late_write_cannot_undo_what_was_said_after_it)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 20 * 1000);
    PLAY(world, FAKE_OK, FAKE_LATE);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_UNKNOWN);
    ck_assert_str_eq(world->store->document, FREE);
    ck_assert_int_eq(release(world, "m1"), LOCK_DONE);
    ck_assert_str_eq(world->store->document, FREE);
    ck_assert_ptr_null(world->store->late);
}
END_TEST

START_TEST(a_cancelled_write_is_taken_for_one_under_way)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    PLAY(world, FAKE_OK, FAKE_LATE);
    start(world, &(LockRequest){.kind = LOCK_REQUEST_ACQUIRE, .id = "m1"});
    while (world->store->n_swaps == 0)
        ck_assert_int_ge(sd_event_run(world->event, USEC_PER_SEC), 0);
    lock_call_free(TAKE_PTR(world->call));
    ck_assert_uint_eq(world->n_done, 0);
    ck_assert_int_eq(ask(world, LOCK_REQUEST_STATUS), LOCK_DONE); /* reads, and it comes */
    ck_assert_str_eq(world->store->document, HELD);
    ck_assert_int_eq(release(world, "m1"), LOCK_DONE);
    ck_assert_str_eq(world->store->document, FREE);
}
END_TEST

START_TEST(without_a_stray_write_nothing_is_written_in_vain)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    PLAY(world, FAKE_OK, FAKE_LOST_REQUEST);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
    ck_assert_uint_eq(world->store->n_swaps, 2);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
    ck_assert_int_eq(release(world, "m2"), LOCK_DONE);
    ck_assert_uint_eq(world->store->n_swaps, 2);
}
END_TEST

START_TEST(a_store_that_lost_its_data_is_not_taken_from)
{
    _cleanup_(world_freep) World *world = world_new(HELD_BY_OTHER, 0);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_FULL);
    fake_store_put(world->store, NULL);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_REFUSED);
    ck_assert_msg(strstr(world->error, "gone"), "%s", world->error);
    ck_assert_uint_eq(world->store->n_swaps, 0);
    /* Made again by a person it counts, whatever its revision and its max. */
    world->store->revision = 0;
    start(world, &(LockRequest){.kind = LOCK_REQUEST_SET_MAX, .max = 1});
    run(world);
    ck_assert_int_eq(world->result, LOCK_DONE);
    ck_assert_uint_eq(world->store->n_swaps, 1);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
}
END_TEST

START_TEST(a_document_that_was_seen_earlier_is_not_made_anew)
{
    _cleanup_(world_freep) World *world = world_new(NULL, 0);
    lock_backend_free(world->backend);
    world->store = fake_store_new(world->event);
    LockWorld of_lock = {.event = world->event,
            .random_number = no_random,
            .deadline_usec = 20 * USEC_PER_SEC,
            .is_document_expected = true};
    ck_assert_int_eq(semaphore_lock_new(&of_lock, &world->store->base, &world->backend), 0);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_REFUSED);
    ck_assert_msg(strstr(world->error, "set-max"), "%s", world->error);
    ck_assert_int_eq(release(world, "m1"), LOCK_DONE);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_REFUSED);
    ck_assert_uint_eq(world->store->n_swaps, 0);
    fake_store_put(world->store, FREE);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
}
END_TEST

START_TEST(a_store_that_was_restored_is_not_taken_from)
{
    _cleanup_(world_freep) World *world = world_new(HELD_BY_OTHER, 0);
    fake_store_put(world->store, HELD_BY_OTHER);
    fake_store_put(world->store, HELD_BY_OTHER);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_FULL);
    world->store->revision = 1;
    fake_store_put(world->store, FREE);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_REFUSED);
    ck_assert_msg(strstr(world->error, "older"), "%s", world->error);
    ck_assert_int_eq(ask(world, LOCK_REQUEST_STATUS), LOCK_DONE);
    ck_assert_int_eq(release(world, "m1"), LOCK_DONE);
    ck_assert_uint_eq(world->store->n_swaps, 0);
    fake_store_put(world->store, HELD); /* who is in it has it, all the same */
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
}
END_TEST

/* callers */

START_TEST(a_call_may_be_freed_where_it_ends)
{
    _cleanup_(world_freep) World *world = world_new(FREE, 0);
    world->frees_in_done = true;
    ck_assert_int_eq(acquire(world, "m1"), LOCK_DONE);
    ck_assert_int_eq(acquire(world, "m2"), LOCK_FULL);
    ck_assert_int_eq(ask(world, LOCK_REQUEST_GROUPS), LOCK_DONE);
    ck_assert_uint_eq(world->store->n_calls, 0);
}
END_TEST

START_TEST(a_call_can_be_cancelled_at_any_time)
{
    for (unsigned n_turns = 0; n_turns < 6; n_turns++) {
        _cleanup_(world_freep) World *world = world_new(FREE, 0);
        PLAY(world, FAKE_OK, FAKE_RIVAL);
        start(world, &(LockRequest){.kind = LOCK_REQUEST_ACQUIRE, .id = "m1"});
        for (unsigned i = 0; i < n_turns && world->n_done == 0; i++)
            ck_assert_int_ge(sd_event_run(world->event, 0), 0);
        lock_call_free(TAKE_PTR(world->call));
        ck_assert_uint_eq(world->store->n_calls, 0);
    }
}
END_TEST

static void on_change(void *userdata)
{
    World *world = userdata;
    world->n_changes++;
}

START_TEST(a_watch_begins_behind_what_was_seen)
{
    _cleanup_(world_freep) World *world = world_new(HELD_BY_OTHER, 0);
    ck_assert_int_eq(acquire(world, "m1"), LOCK_FULL);
    LockWatch *watch;
    ck_assert_int_eq(world->backend->ops->watch(world->backend, on_change, world, &watch), 0);
    ck_assert_uint_eq(world->store->watched_revision, world->store->revision);
    world->store->on_change(world->store->watch_userdata);
    ck_assert_uint_eq(world->n_changes, 1);
    lock_watch_free(watch);
    ck_assert_uint_eq(world->store->n_watches, 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("semaphore-lock");
    TCase *asked = unit_case(suite, "asked");
    tcase_add_test(asked, a_free_lock_is_taken_and_given_back);
    tcase_add_test(asked, a_document_that_is_not_there_is_made_with_the_first_holder);
    tcase_add_test(asked, a_full_lock_says_who_holds_it);
    tcase_add_test(asked, facts_are_left_and_taken_away_with_the_lock);
    tcase_add_loop_test(asked, a_lock_held_under_our_id_by_another_machine_is_doubted, 0,
            (int)ELEMENTS(doubts));
    tcase_add_test(asked, max_is_set_and_the_old_one_told);
    tcase_add_test(asked, groups_are_listed);
    TCase *wrong = unit_case(suite, "wrong");
    tcase_add_loop_test(
            wrong, failures_that_wrote_nothing_end_the_call, 0, (int)ELEMENTS(plain_failures));
    tcase_add_test(wrong, a_call_that_cannot_begin_fails_at_once);
    tcase_add_test(wrong, a_document_that_is_none_is_refused_and_left_alone);
    tcase_add_test(wrong, a_lost_reply_is_read_again_and_is_success);
    tcase_add_test(wrong, a_lost_request_is_made_again);
    tcase_add_test(wrong, a_lost_set_max_still_tells_the_old_one);
    tcase_add_test(wrong, somebody_faster_is_told_from_a_lost_reply);
    tcase_add_test(wrong, conflicts_are_tried_again_until_done);
    tcase_add_test(wrong, a_conflict_that_filled_the_lock_costs_no_other_read);
    tcase_add_test(wrong, endless_conflicts_come_to_an_end);
    tcase_add_test(wrong, a_write_that_stays_unknown_is_said_to_be);
    tcase_add_loop_test(wrong, a_silent_store_ends_with_the_deadline, 0, (int)ELEMENTS(hangs));
    tcase_add_test(wrong, a_late_write_cannot_undo_what_was_said_after_it);
    tcase_add_test(wrong, a_cancelled_write_is_taken_for_one_under_way);
    tcase_add_test(wrong, without_a_stray_write_nothing_is_written_in_vain);
    tcase_add_test(wrong, a_store_that_lost_its_data_is_not_taken_from);
    tcase_add_test(wrong, a_document_that_was_seen_earlier_is_not_made_anew);
    tcase_add_test(wrong, a_store_that_was_restored_is_not_taken_from);
    TCase *callers = unit_case(suite, "callers");
    tcase_add_test(callers, a_call_may_be_freed_where_it_ends);
    tcase_add_test(callers, a_call_can_be_cancelled_at_any_time);
    tcase_add_test(callers, a_watch_begins_behind_what_was_seen);
    return suite;
}
