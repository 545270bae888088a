/* SPDX-License-Identifier: Apache-2.0 */

/* What the two stores make of answers that a real etcd gives seldom; the rest is in
 * tests/integration/test-etcd.py. */

#include "locksmith/lock/etcd/etcd-store.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/etcd/etcd-rig.h"
#include "tests/unit/unit.h"

#define HEADER "\"header\":{\"revision\":\"2\"}"
#define KEY64 "Y29yZW9zLmNvbS91cGRhdGVlbmdpbmUvcmVib290bG9jay9zZW1hcGhvcmU="
#define KV "{\"key\":\"" KEY64 "\",\"mod_revision\":\"2\",\"value\":\"e30=\"}"
#define RANGE(kvs) "{\"response_range\":{\"kvs\":[" kvs "]}}"
#define V3_EMPTY                                                                           \
    etcd_rig_answer("200 OK",                                                              \
            "{" HEADER ",\"succeeded\":true,\"responses\":[" RANGE("") "," RANGE("") "]}", \
            SCRIPT_KEEP)
#define V3_CONFLICT \
    etcd_rig_answer("200 OK", "{" HEADER ",\"responses\":[" RANGE(KV) "]}", SCRIPT_KEEP)

#define V2_KEY "/coreos.com/updateengine/rebootlock/"
#define V2_NODE                                                                       \
    "{\"action\":\"get\",\"node\":{\"key\":\"" V2_KEY "semaphore\",\"value\":\"{}\"," \
    "\"modifiedIndex\":14,\"createdIndex\":14}}"
#define V2_FOUND etcd_rig_answer("200 OK", V2_NODE, SCRIPT_KEEP)
#define V2_CREATED etcd_rig_answer("201 Created", V2_NODE, SCRIPT_KEEP)
#define V2_ERROR(status, code) \
    etcd_rig_answer(status,    \
            "{\"errorCode\":" code ",\"message\":\"m\",\"cause\":\"c\",\"index\":9}", SCRIPT_KEEP)
#define CUT ((ScriptReply){.text = "", .then = SCRIPT_CLOSE})
#define END ((ScriptReply){NULL})

typedef struct {
    EtcdRig rig;
    LockStore *store;
    StoreCall *call;
    unsigned n_done;
    StoreResult result;
    bool has_content;
    StoreContent content; /* its pointers are gone */
    char document[256];
    char facts[256]; /* ID=TEXT; of all of them */
    char names[256]; /* NAME; of all of them */
    char error[512];
} World;

static void world_init(World *world, LockStoreKind kind, const ScriptReply *replies)
{
    ErrorText error = {0};
    *world = (World){.n_done = 0};
    etcd_rig_init(&world->rig, replies, NULL, NULL);
    int r = (kind == LOCK_STORE_ETCD_V3 ? etcd_v3_store_new : etcd_v2_store_new)(
            world->rig.event, world->rig.client, &world->rig.options, &world->store, &error);
    ck_assert_msg(r == 0, "%s", error.line);
}

static void world_done(World *world)
{
    store_call_free(world->call);
    lock_store_free(world->store);
    etcd_rig_done(&world->rig);
}

static void on_done(StoreCall *call, const StoreAnswer *answer, void *userdata)
{
    World *world = userdata;
    ck_assert_ptr_eq(call, world->call);
    world->n_done++;
    world->result = answer->result;
    world->has_content = answer->content != NULL;
    world->facts[0] = '\0';
    snprintf(world->error, sizeof(world->error), "%s", answer->error);
    if (answer->content) {
        world->content = *answer->content;
        snprintf(world->document, sizeof(world->document), "%s", answer->content->document);
        for (size_t i = 0; i < answer->content->n_facts; i++) {
            const StoreFacts *facts = &answer->content->facts[i];
            size_t n = strlen(world->facts);
            snprintf(world->facts + n, sizeof(world->facts) - n, "%s=%s;", facts->id, facts->text);
        }
    }
    store_call_free(TAKE_PTR(world->call));
}

static void on_listed(StoreCall *call, const StoreAnswer *answer, const char *const *names,
        size_t n_names, void *userdata)
{
    World *world = userdata;
    for (size_t i = 0; i < n_names; i++) {
        strcat(world->names, names[i]);
        strcat(world->names, ";");
    }
    on_done(call, answer, userdata);
}

static void finish(World *world)
{
    ck_assert_uint_eq(world->n_done, 0);
    etcd_rig_run_until(&world->rig, &world->n_done);
    world->n_done = 0;
}

static void read_it(World *world)
{
    ck_assert_int_eq(lock_store_read(world->store, on_done, world, &world->call), 0);
    finish(world);
}

static void swap(World *world, uint64_t revision, const char *put, const char *drop)
{
    StoreSwap swap = {.revision = revision,
            .document = "{\"semaphore\":1,\"max\":1,\"holders\":null}",
            .n_bytes = 38,
            .put_facts_of = put,
            .facts = "{\"host\":\"h\"}",
            .drop_facts_of = drop};
    ck_assert_int_eq(lock_store_swap(world->store, &swap, on_done, world, &world->call), 0);
    finish(world);
}

/* v3 */

START_TEST(v3_a_conflict_is_told_with_what_there_is)
{
    ScriptReply replies[] = {V3_CONFLICT, END};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, replies);
    swap(&world, 1, NULL, NULL);
    ck_assert_int_eq(world.result, STORE_CONFLICT);
    ck_assert(world.content.exists);
    ck_assert_str_eq(world.document, "{}");
    ck_assert_uint_eq(world.content.revision, 2);
}
END_TEST

/* The first try may have been the one that changed it. */
START_TEST(v3_a_conflict_of_a_second_sending_is_unknown)
{
    ScriptReply replies[] = {V3_EMPTY, CUT, V3_CONFLICT, END};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, replies);
    read_it(&world);
    swap(&world, 0, NULL, NULL);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 0), 3);
    ck_assert_int_eq(world.result, STORE_UNKNOWN);
    ck_assert(!world.has_content);
}
END_TEST

START_TEST(v3_half_an_answer_is_none)
{
    ScriptReply replies[] = {
            etcd_rig_answer("200 OK", "{" HEADER ",\"responses\":[" RANGE(KV) "]}", SCRIPT_KEEP),
            END};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V3, replies);
    read_it(&world);
    ck_assert_int_eq(world.result, STORE_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(world.error, "lacks what was asked for"));
}
END_TEST

/* v2 */

START_TEST(v2_writes_as_go_locksmith_does)
{
    ScriptReply replies[] = {V2_CREATED, V2_FOUND, END};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V2, replies);
    swap(&world, 0, NULL, NULL);
    ck_assert_msg(world.result == STORE_DONE, "%s", world.error);
    swap(&world, 14, NULL, NULL);
    ck_assert_int_eq(world.result, STORE_DONE);
    const char *first = etcd_rig_request(&world.rig, 0, 0);
    ck_assert_ptr_eq(
            strstr(first, "PUT /v2/keys" V2_KEY "semaphore?prevExist=false HTTP/1.1\r\n"), first);
    ck_assert_ptr_nonnull(strstr(first, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    ck_assert_ptr_nonnull(strstr(first, "\r\nContent-Length: 70\r\n"));
    ck_assert_ptr_nonnull(strstr(first,
            "\r\n\r\nvalue=%7B%22semaphore%22%3A1%2C%22max%22%3A1%2C%22holders%22%3Anull%7D"));
    const char *second = etcd_rig_request(&world.rig, 0, 1);
    ck_assert_ptr_eq(
            strstr(second, "PUT /v2/keys" V2_KEY "semaphore?prevIndex=14 HTTP/1.1\r\n"), second);
}
END_TEST

START_TEST(v2_facts_have_no_weight)
{
    ScriptReply replies[] = {V2_FOUND, V2_ERROR("403 No", "102"), V2_ERROR("500 No", "300"),
            V2_FOUND, V2_ERROR("403 No", "110"), END};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V2, replies);
    swap(&world, 14, "m/1", "m2");
    ck_assert_msg(world.result == STORE_DONE, "%s", world.error);
    const char *put = etcd_rig_request(&world.rig, 0, 1);
    ck_assert_ptr_eq(strstr(put, "PUT /v2/keys" V2_KEY "holders/m%252F1 HTTP/1.1\r\n"), put);
    ck_assert_ptr_nonnull(strstr(put, "\r\n\r\nvalue=%7B%22host%22%3A%22h%22%7D"));
    const char *drop = etcd_rig_request(&world.rig, 0, 2);
    ck_assert_ptr_eq(strstr(drop, "DELETE /v2/keys" V2_KEY "holders/m2 HTTP/1.1\r\n"), drop);
    read_it(&world);
    ck_assert_int_eq(world.result, STORE_DONE);
    ck_assert_str_eq(world.document, "{}");
    ck_assert_uint_eq(world.content.revision, 14);
    ck_assert_str_eq(world.facts, "");
}
END_TEST

START_TEST(v2_facts_are_read_beside_the_semaphore)
{
    ScriptReply replies[] = {V2_FOUND,
            etcd_rig_answer("200 OK",
                    "{\"node\":{\"key\":\"" V2_KEY
                    "holders\",\"dir\":true,\"nodes\":[{\"key\":\"" V2_KEY
                    "holders/m%2F1\",\"value\":\"f\",\"modifiedIndex\":3},{\"key\":\"/else\","
                    "\"value\":\"f\",\"modifiedIndex\":3}]}}",
                    SCRIPT_KEEP),
            END};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V2, replies);
    read_it(&world);
    ck_assert_str_eq(world.facts, "m/1=f;");
}
END_TEST

START_TEST(v2_no_facts_are_written_after_a_conflict)
{
    ScriptReply replies[] = {
            V2_ERROR("412 No", "101"), V2_ERROR("412 No", "105"), V2_ERROR("404 No", "100"), END};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V2, replies);
    for (unsigned i = 1; i <= 3; i++) {
        swap(&world, i == 2 ? 0 : 14, "m1", NULL);
        ck_assert_int_eq(world.result, STORE_CONFLICT);
        ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 0), i);
    }
    ck_assert(world.has_content && !world.content.exists); /* it was deleted */
}
END_TEST

START_TEST(v2_a_conflict_of_a_second_sending_is_unknown)
{
    ScriptReply replies[] = {V2_ERROR("404 No", "100"), CUT, V2_ERROR("412 No", "105"), END};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V2, replies);
    read_it(&world);
    ck_assert(!world.content.exists);
    swap(&world, 0, "m1", NULL);
    ck_assert_uint_eq(etcd_rig_n_requests(&world.rig, 0), 3);
    ck_assert_int_eq(world.result, STORE_UNKNOWN);
}
END_TEST

START_TEST(v2_a_folder_in_the_semaphores_place_needs_a_person)
{
    ScriptReply replies[] = {
            etcd_rig_answer("200 OK", "{\"node\":{\"key\":\"" V2_KEY "semaphore\",\"dir\":true}}",
                    SCRIPT_KEEP),
            END};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V2, replies);
    read_it(&world);
    ck_assert_int_eq(world.result, STORE_REFUSED);
    ck_assert_ptr_nonnull(strstr(world.error, "folder"));
}
END_TEST

START_TEST(v2_groups_are_listed)
{
    ScriptReply replies[] = {
            etcd_rig_answer("200 OK",
                    "{\"node\":{\"key\":\"/c\",\"dir\":true,\"nodes\":[{\"key\":\"" V2_KEY
                    "semaphore\",\"value\":\"\",\"modifiedIndex\":3},{\"key\":\"" V2_KEY
                    "groups/a%2Fb/semaphore\",\"value\":\"\",\"modifiedIndex\":3},{\"key\":\"" V2_KEY
                    "groups/%zz/semaphore\",\"value\":\"\",\"modifiedIndex\":3}]}}",
                    SCRIPT_KEEP),
            V2_ERROR("404 No", "100"), END};
    _cleanup_(world_done) World world;
    world_init(&world, LOCK_STORE_ETCD_V2, replies);
    ck_assert_int_eq(lock_store_list(world.store, on_listed, &world, &world.call), 0);
    finish(&world);
    ck_assert_str_eq(world.names, ";a/b;");
    world.names[0] = '\0';
    ck_assert_int_eq(lock_store_list(world.store, on_listed, &world, &world.call), 0);
    finish(&world);
    ck_assert_int_eq(world.result, STORE_DONE);
    ck_assert_str_eq(world.names, "");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("etcd-store");
    TCase *tcase = unit_case(suite, "etcd-store");
    tcase_add_test(tcase, v3_a_conflict_is_told_with_what_there_is);
    tcase_add_test(tcase, v3_a_conflict_of_a_second_sending_is_unknown);
    tcase_add_test(tcase, v3_half_an_answer_is_none);
    tcase_add_test(tcase, v2_writes_as_go_locksmith_does);
    tcase_add_test(tcase, v2_facts_have_no_weight);
    tcase_add_test(tcase, v2_facts_are_read_beside_the_semaphore);
    tcase_add_test(tcase, v2_no_facts_are_written_after_a_conflict);
    tcase_add_test(tcase, v2_a_conflict_of_a_second_sending_is_unknown);
    tcase_add_test(tcase, v2_a_folder_in_the_semaphores_place_needs_a_person);
    tcase_add_test(tcase, v2_groups_are_listed);
    return suite;
}
