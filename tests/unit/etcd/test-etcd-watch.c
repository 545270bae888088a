/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/etcd/etcd-watch.h"

#include <string.h>

#include "common/clock.h"
#include "locksmith/lock/etcd/etcd-store.h"
#include "tests/unit/etcd/etcd-rig.h"
#include "tests/unit/unit.h"

#define MSEC UINT64_C(1000)
#define HEADER "\"header\":{\"revision\":\"7\"}"
#define KV(revision) "{\"key\":\"YQ==\",\"mod_revision\":\"" revision "\"}"
#define LOOK(revision) \
    etcd_rig_answer("200 OK", "{" HEADER ",\"kvs\":[" KV(revision) "]}", SCRIPT_KEEP)
#define CREATED "{\"result\":{" HEADER ",\"created\":true}}\n"
#define EVENT(revision) "{\"result\":{" HEADER ",\"events\":[{\"kv\":" KV(revision) "}]}}\n"
#define STREAM "HTTP/1.1 200 OK\r\n\r\n" /* ends with the connection */

typedef struct {
    EtcdRig rig;
    LockStore *store;
    StoreWatch *watch;
    unsigned n_changes;
    unsigned n_all_changes;
    bool frees_itself;
} World;

static void on_change(void *userdata)
{
    World *world = userdata;
    world->n_changes++;
    world->n_all_changes++;
    if (world->frees_itself)
        store_watch_free(TAKE_PTR(world->watch));
}

static void world_init(World *world, LockStoreKind kind, const ScriptReply *first,
        const ScriptReply *second, uint64_t revision)
{
    ErrorText error;
    *world = (World){.n_changes = 0};
    etcd_rig_init(&world->rig, first, second, NULL);
    ck_assert_int_eq(
            (kind == LOCK_STORE_ETCD_V3 ? etcd_v3_store_new : etcd_v2_store_new)(world->rig.event,
                    world->rig.client, &world->rig.options, &world->store, &error),
            0);
    ck_assert_int_eq(lock_store_watch(world->store, revision, on_change, world, &world->watch), 0);
    ck_assert_uint_eq(world->n_changes, 0);
}

static void world_done(World *world)
{
    store_watch_free(world->watch);
    lock_store_free(world->store);
    etcd_rig_done(&world->rig);
}

static void await_change(World *world)
{
    world->n_changes = 0;
    etcd_rig_run_until(&world->rig, &world->n_changes);
}

static void await_requests(World *world, size_t member, unsigned n)
{
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + 20 * USEC_PER_SEC;
    while (etcd_rig_n_requests(&world->rig, member) < n &&
            clock_now_usec(CLOCK_MONOTONIC) < end_usec)
        ck_assert_int_ge(sd_event_run(world->rig.event, USEC_PER_SEC), 0);
    ck_assert_uint_ge(etcd_rig_n_requests(&world->rig, member), n);
}

START_TEST(an_event_is_reported)
{
    ScriptReply replies[] = {
            LOOK("5"), {.text = STREAM CREATED EVENT("8"), .then = SCRIPT_HANG}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, replies, NULL, 5);
    await_change(&world);
    const char *look = etcd_rig_request(&world.rig, 0, 0);
    ck_assert_ptr_eq(strstr(look, "POST /v3/kv/range HTTP/1.1\r\n"), look);
    const char *wait = etcd_rig_request(&world.rig, 0, 1);
    ck_assert_ptr_eq(strstr(wait, "POST /v3/watch HTTP/1.1\r\n"), wait);
    ck_assert_ptr_nonnull(strstr(wait, "\r\nGrpc-Metadata-hasleader: true\r\n"));
    ck_assert_ptr_nonnull(strstr(wait, "\"start_revision\":\"8\"")); /* after the look's */
}
END_TEST

START_TEST(what_happened_before_the_watch_is_reported)
{
    ScriptReply replies[] = {LOOK("6"), {.text = STREAM CREATED, .then = SCRIPT_HANG}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, replies, NULL, 5);
    await_change(&world);
}
END_TEST

START_TEST(nothing_new_is_not_reported)
{
    ScriptReply replies[] = {
            LOOK("5"), {.text = STREAM CREATED EVENT("5"), .then = SCRIPT_HANG}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, replies, NULL, 5);
    await_requests(&world, 0, 2);
    etcd_rig_run_for(&world.rig, 50 * MSEC);
    ck_assert_uint_eq(world.n_changes, 0);
}
END_TEST

START_TEST(events_are_coalesced_to_one_in_a_second)
{
    ScriptReply replies[] = {LOOK("5"),
            {.text = STREAM CREATED EVENT("8") EVENT("9") EVENT("10") EVENT("11"),
                    .then = SCRIPT_HANG},
            {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, replies, NULL, 4); /* the look is news, too */
    await_change(&world);
    uint64_t first_usec = clock_now_usec(CLOCK_MONOTONIC);
    await_change(&world);
    ck_assert_uint_ge(clock_now_usec(CLOCK_MONOTONIC) - first_usec, 900 * MSEC);
    ck_assert_uint_eq(world.n_all_changes, 2);
}
END_TEST

START_TEST(a_watch_may_be_freed_where_it_calls)
{
    ScriptReply replies[] = {LOOK("6"), {.text = STREAM EVENT("8"), .then = SCRIPT_HANG}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, replies, NULL, 5);
    world.frees_itself = true;
    await_change(&world);
    etcd_rig_run_for(&world.rig, 20 * MSEC);
    ck_assert_uint_eq(world.n_changes, 1);
}
END_TEST

/* How a wait may end before its time. */
static const char *const endings[] = {
        STREAM CREATED "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":"
                       "\"etcdserver: no leader\",\"http_status\":\"Service Unavailable\"}}",
        "HTTP/1.1 503 No\r\nContent-Length: 57\r\n\r\n"
        "{\"error\":{\"code\":14,\"message\":\"etcdserver: no leader\"}}\n ",
        STREAM "{\"result\":{" HEADER
               ",\"created\":true,\"canceled\":true,\"cancel_reason\":\"x\"}}\n",
        STREAM CREATED,
};

START_TEST(another_member_is_asked_after_a_failure)
{
    ScriptReply first[] = {LOOK("5"), {.text = endings[_i], .then = SCRIPT_CLOSE}, {NULL}};
    ScriptReply second[] = {LOOK("9"), {.text = STREAM CREATED, .then = SCRIPT_HANG}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, first, second, 5);
    uint64_t start_usec = clock_now_usec(CLOCK_MONOTONIC);
    await_change(&world); /* the second one's look saw it */
    ck_assert_uint_ge(clock_now_usec(CLOCK_MONOTONIC) - start_usec, 400 * MSEC);
    await_requests(&world, 1, 2);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 0), 2);
}
END_TEST

START_TEST(a_compacted_revision_is_begun_after)
{
    ScriptReply replies[] = {LOOK("5"),
            {.text = STREAM "{\"result\":{" HEADER
                            ",\"canceled\":true,\"compact_revision\":\"10\"}}\n",
                    .then = SCRIPT_HANG},
            LOOK("5"), {.text = STREAM CREATED EVENT("12"), .then = SCRIPT_HANG}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, replies, NULL, 5);
    await_change(&world);
    ck_assert_ptr_nonnull(strstr(etcd_rig_request(&world.rig, 0, 3), "\"start_revision\":\"11\""));
}
END_TEST

/* A member that lies about it makes one wait useless, and not all to come. */
START_TEST(a_compacted_revision_counts_for_one_wait)
{
    ScriptReply replies[] = {LOOK("5"),
            {.text = STREAM "{\"result\":{" HEADER
                            ",\"canceled\":true,\"compact_revision\":\"9223372036854775807\"}}\n",
                    .then = SCRIPT_CLOSE},
            LOOK("5"), {.text = STREAM CREATED, .then = SCRIPT_CLOSE}, LOOK("5"),
            {.text = STREAM CREATED EVENT("12"), .then = SCRIPT_HANG}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, replies, NULL, 5);
    await_change(&world);
    ck_assert_ptr_null(strstr(etcd_rig_request(&world.rig, 0, 5), "922337203685477580"));
}
END_TEST

/* Blank lines are no news, and no reason to read them for ever. */
START_TEST(a_flood_ends_the_wait)
{
    enum { N_BYTES = 66 * 1024 * 1024 };
    char *flood = malloc(N_BYTES + 1);
    memset(stpcpy(flood, STREAM), '\n', N_BYTES - strlen(STREAM));
    flood[N_BYTES] = '\0';
    ScriptReply first[] = {LOOK("5"), {.text = flood, .then = SCRIPT_HANG}, {NULL}};
    ScriptReply second[] = {LOOK("9"), {.text = STREAM CREATED, .then = SCRIPT_HANG}, {NULL}};
    {
        _cleanup_(world_done) World world;
        world_init(&world, LOCK_STORE_ETCD_V3, first, second, 5);
        await_change(&world); /* the second one's look saw it */
    }
    free(flood);
}
END_TEST

START_TEST(no_answer_whatever_makes_it_busy)
{
    enum { N = 12 };
    ScriptReply replies[2 * N + 1];
    for (int i = 0; i < N; i++) {
        replies[2 * i] = LOOK("5");
        replies[2 * i + 1] = (ScriptReply){.text = STREAM EVENT("9"), .then = SCRIPT_CLOSE};
    }
    replies[2 * N] = (ScriptReply){NULL};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, replies, NULL, 5);
    etcd_rig_run_for(&world.rig, 1800 * MSEC);
    ck_assert_uint_le(etcd_rig_n_requests(&world.rig, 0), 8);
    ck_assert_uint_le(world.n_all_changes, 2);
}
END_TEST

#define NODE(index) \
    "{\"node\":{\"key\":\"/a\",\"value\":\"\",\"modifiedIndex\":" index ",\"createdIndex\":1}}"

START_TEST(v2_waits_after_what_it_saw)
{
    ScriptReply replies[] = {etcd_rig_answer("200 OK", NODE("14"), SCRIPT_KEEP),
            etcd_rig_answer("200 OK",
                    "{\"action\":\"set\",\"node\":{\"key\":\"/a\",\"value\":\"\","
                    "\"modifiedIndex\":16,\"createdIndex\":1}}\n",
                    SCRIPT_KEEP),
            {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V2, replies, NULL, 14);
    await_change(&world);
    const char *look = etcd_rig_request(&world.rig, 0, 0);
    ck_assert_ptr_nonnull(strstr(look, "semaphore?quorum=true"));
    const char *wait = etcd_rig_request(&world.rig, 0, 1);
    ck_assert_ptr_nonnull(strstr(wait, "semaphore?wait=true&waitIndex=15 HTTP"));
}
END_TEST

START_TEST(v2_begins_anew_where_history_is_forgotten)
{
    ScriptReply replies[] = {etcd_rig_answer("200 OK", NODE("14"), SCRIPT_KEEP),
            etcd_rig_answer("400 Bad Request",
                    "{\"errorCode\":401,\"message\":\"outdated\",\"cause\":\"\",\"index\":2007}",
                    SCRIPT_KEEP),
            etcd_rig_answer("200 OK", NODE("14"), SCRIPT_KEEP),
            {.text = "HTTP/1.1 200 OK\r\n\r\n", .then = SCRIPT_HANG}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V2, replies, NULL, 14);
    await_requests(&world, 0, 4);
    ck_assert_ptr_nonnull(strstr(etcd_rig_request(&world.rig, 0, 3), "waitIndex=2008 HTTP"));
    ck_assert_uint_eq(world.n_changes, 0);
}
END_TEST

START_TEST(v2_waits_for_a_key_that_is_not_there)
{
    ScriptReply replies[] = {
            etcd_rig_answer("404 Not Found",
                    "{\"errorCode\":100,\"message\":\"Key not found\",\"cause\":\"/a\",\"index\":25}",
                    SCRIPT_KEEP),
            {.text = "HTTP/1.1 200 OK\r\n\r\n", .then = SCRIPT_HANG}, {NULL}};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V2, replies, NULL, 0);
    await_requests(&world, 0, 2);
    ck_assert_ptr_nonnull(strstr(etcd_rig_request(&world.rig, 0, 1), "waitIndex=26 HTTP"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("etcd-watch");
    TCase *tcase = unit_case(suite, "etcd-watch");
    tcase_add_test(tcase, an_event_is_reported);
    tcase_add_test(tcase, what_happened_before_the_watch_is_reported);
    tcase_add_test(tcase, nothing_new_is_not_reported);
    tcase_add_test(tcase, events_are_coalesced_to_one_in_a_second);
    tcase_add_test(tcase, a_watch_may_be_freed_where_it_calls);
    tcase_add_loop_test(tcase, another_member_is_asked_after_a_failure, 0, ELEMENTS(endings));
    tcase_add_test(tcase, a_compacted_revision_is_begun_after);
    tcase_add_test(tcase, a_compacted_revision_counts_for_one_wait);
    tcase_add_test(tcase, a_flood_ends_the_wait);
    tcase_add_test(tcase, no_answer_whatever_makes_it_busy);
    tcase_add_test(tcase, v2_waits_after_what_it_saw);
    tcase_add_test(tcase, v2_begins_anew_where_history_is_forgotten);
    tcase_add_test(tcase, v2_waits_for_a_key_that_is_not_there);
    return suite;
}
