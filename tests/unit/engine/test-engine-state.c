/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/atomic-file.h"
#include "tests/unit/unit.h"

#define NOW_SEC 1800000000

static int open_folder(void)
{
    int fd = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static EngineState *load(int folder, EngineStateOrigin expected)
{
    EngineState *state = NULL;
    EngineStateOrigin origin;
    ErrorText error = {};
    ck_assert_int_eq(engine_state_load(folder, NOW_SEC, true, &state, &origin, &error), 0);
    ck_assert_int_eq(origin, expected);
    ck_assert_int_eq(error.line[0] != '\0', expected == ENGINE_STATE_CORRUPT);
    return state;
}

static SlotContent make_content(void)
{
    SlotContent content = {.version = "2.0",
            .product = "demo",
            .size_bytes = 41943040,
            .has_verity = true,
            .verity = {.salt = {1, 2, 255}, .n_salt_bytes = 3, .n_data_blocks = 10000},
            .tree_start_block = 10000};
    memset(content.sha256.bytes, 0xab, SHA256_BYTES);
    memset(content.root_hash.bytes, 0xcd, SHA256_BYTES);
    return content;
}

START_TEST(everything_comes_back)
{
    _cleanup_close_ int folder = open_folder();
    _cleanup_(engine_state_freep) EngineState *state = load(folder, ENGINE_STATE_NEW);
    state->has_pending = true;
    state->pending = (PendingSlot){.version = "2.0",
            .previous_version = "1.0",
            .label = "USR-B",
            .boot_id = "965fb4c5-ad3e-4eb7-a4c2-ca0c0e31ec84",
            .is_flipped = true,
            .awaits_postinst = true};
    state->has_interrupted = true;
    state->interrupted = (InterruptedInstall){
            .source = "/a/payload", .extensions = "/a/b.gz\n/c/d.gz", .is_explicit = true};
    engine_state_add_failed(state, "1.5");
    engine_state_add_failed(state, "1.6");
    SlotContent content = make_content();
    engine_state_set_slot(state, "USR-B", &content);
    strcpy(state->aleph_version, "0.9");
    strcpy(state->last_error, "it \"failed\"");
    state->last_error_code = 44;
    state->last_checked_usec = UINT64_C(1800000000123456);
    state->policy.n_attempts = 3;
    ck_assert_int_eq(engine_state_save(state, folder, NULL), 0);

    _cleanup_(engine_state_freep) EngineState *again = load(folder, ENGINE_STATE_LOADED);
    ck_assert(again->has_pending && again->has_interrupted);
    ck_assert_mem_eq(&again->pending, &state->pending, sizeof(state->pending));
    ck_assert_mem_eq(&again->interrupted, &state->interrupted, sizeof(state->interrupted));
    ck_assert_uint_eq(again->n_failed_versions, 2);
    ck_assert(engine_state_has_failed(again, "1.5"));
    ck_assert(!engine_state_has_failed(again, "2.0"));
    const SlotContent *slot = engine_state_slot(again, "USR-B");
    ck_assert_ptr_nonnull(slot);
    ck_assert_mem_eq(slot, &content, sizeof(content));
    ck_assert_ptr_null(engine_state_slot(again, "USR-A"));
    ck_assert_str_eq(again->aleph_version, "0.9");
    ck_assert_str_eq(again->last_error, state->last_error);
    ck_assert_uint_eq(again->last_error_code, 44);
    ck_assert_uint_eq(again->last_checked_usec, state->last_checked_usec);
    ck_assert_uint_eq(again->policy.n_attempts, 3);
}
END_TEST

#define REST                                                                          \
    "\"failed_versions\":[],\"slots\":{},\"aleph_version\":\"\",\"last_error\":\"\"," \
    "\"last_error_code\":0,\"last_checked_usec\":0"

static const char *const damaged[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"format\":2," REST "}",
        "{\"format\":1}",
        "{\"format\":1," REST ",\"pending\":{}}",
        "{\"format\":1," REST ",\"pending\":7}",
        "{\"format\":1," REST ",\"interrupted\":{\"source\":3}}",
        "{\"format\":1,\"failed_versions\":[1],\"slots\":{},\"aleph_version\":\"\","
        "\"last_error\":\"\",\"last_error_code\":0,\"last_checked_usec\":0}",
        "{\"format\":1,\"failed_versions\":[],\"slots\":{\"A\":{\"version\":\"1\"}},"
        "\"aleph_version\":\"\",\"last_error\":\"\",\"last_error_code\":0,"
        "\"last_checked_usec\":0}",
        "{\"format\":1,\"failed_versions\":[],\"slots\":{},\"aleph_version\":\"\","
        "\"last_error\":\"\",\"last_error_code\":-1,\"last_checked_usec\":0}",
};

START_TEST(a_damaged_file_is_set_aside)
{
    _cleanup_close_ int folder = open_folder();
    const char *text = damaged[_i];
    ck_assert_int_eq(atomic_file_write(folder, ENGINE_STATE_FILE, text, strlen(text), 0644), 0);
    _cleanup_(engine_state_freep) EngineState *state = load(folder, ENGINE_STATE_CORRUPT);
    ck_assert(!state->has_pending && !state->has_interrupted);
    ck_assert_uint_eq(state->n_failed_versions, 0);
    ck_assert_uint_eq(state->n_slots, 0);
    ck_assert_int_eq(faccessat(folder, ENGINE_STATE_FILE, F_OK, 0), -1);
    ck_assert_int_eq(faccessat(folder, ENGINE_STATE_FILE ".bad", F_OK, 0), 0);
    engine_state_free(load(folder, ENGINE_STATE_NEW));
}
END_TEST

START_TEST(a_file_without_end_is_damaged)
{
    _cleanup_close_ int folder = open_folder();
    _cleanup_close_ int fd =
            openat(folder, ENGINE_STATE_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ck_assert_int_eq(ftruncate(fd, ENGINE_STATE_MAX_BYTES + 1), 0);
    engine_state_free(load(folder, ENGINE_STATE_CORRUPT));
}
END_TEST

START_TEST(reading_alone_moves_nothing)
{
    _cleanup_close_ int folder = open_folder();
    ck_assert_int_eq(atomic_file_write(folder, ENGINE_STATE_FILE, "{", 1, 0644), 0);
    EngineStateOrigin origin;
    _cleanup_(engine_state_freep) EngineState *state = NULL;
    ck_assert_int_eq(engine_state_load(folder, NOW_SEC, false, &state, &origin, NULL), 0);
    ck_assert_int_eq(origin, ENGINE_STATE_CORRUPT);
    ck_assert_int_eq(faccessat(folder, ENGINE_STATE_FILE, F_OK, 0), 0);
}
END_TEST

START_TEST(a_full_disk_leaves_the_old_state)
{
    _cleanup_close_ int folder = open_folder();
    _cleanup_(engine_state_freep) EngineState *state = load(folder, ENGINE_STATE_NEW);
    strcpy(state->aleph_version, "1.0");
    ck_assert_int_eq(engine_state_save(state, folder, NULL), 0);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){16, RLIM_INFINITY}), 0);
    strcpy(state->aleph_version, "2.0");
    ErrorText error = {};
    ck_assert_int_eq(engine_state_save(state, folder, &error), -EFBIG);
    ck_assert_ptr_nonnull(strstr(error.line, "cannot write state.json"));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}), 0);
    _cleanup_(engine_state_freep) EngineState *again = load(folder, ENGINE_STATE_LOADED);
    ck_assert_str_eq(again->aleph_version, "1.0");
}
END_TEST

START_TEST(failed_versions_are_bounded)
{
    _cleanup_(engine_state_freep) EngineState *state = NULL;
    ck_assert_int_eq(engine_state_new(&state), 0);
    char version[16];
    for (int i = 0; i < ENGINE_FAILED_VERSIONS_MAX + 3; i++) {
        snprintf(version, sizeof(version), "%d", i);
        engine_state_add_failed(state, version);
        engine_state_add_failed(state, version);
    }
    ck_assert_uint_eq(state->n_failed_versions, ENGINE_FAILED_VERSIONS_MAX);
    ck_assert(!engine_state_has_failed(state, "2"));
    ck_assert(engine_state_has_failed(state, "3"));
    engine_state_remove_failed(state, "3");
    engine_state_remove_failed(state, "3");
    ck_assert(!engine_state_has_failed(state, "3"));
    ck_assert(engine_state_has_failed(state, "4"));
}
END_TEST

START_TEST(slots_are_replaced_forgotten_and_bounded)
{
    _cleanup_(engine_state_freep) EngineState *state = NULL;
    ck_assert_int_eq(engine_state_new(&state), 0);
    SlotContent content = {.version = "1"};
    engine_state_set_slot(state, "A", &content);
    strcpy(content.version, "2");
    engine_state_set_slot(state, "A", &content);
    ck_assert_uint_eq(state->n_slots, 1);
    ck_assert_str_eq(engine_state_slot(state, "A")->version, "2");
    engine_state_set_slot(state, "B", NULL);
    engine_state_set_slot(state, "A", NULL);
    ck_assert_uint_eq(state->n_slots, 0);
    char label[16];
    for (int i = 0; i < ENGINE_SLOTS_MAX + 1; i++) {
        snprintf(label, sizeof(label), "USR-%d", i);
        engine_state_set_slot(state, label, &content);
    }
    ck_assert_uint_eq(state->n_slots, ENGINE_SLOTS_MAX);
    ck_assert_ptr_null(engine_state_slot(state, "USR-0"));
    ck_assert_ptr_nonnull(engine_state_slot(state, "USR-8"));
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("engine-state");
    TCase *tcase = unit_case(suite, "engine-state");
    tcase_add_test(tcase, everything_comes_back);
    tcase_add_loop_test(tcase, a_damaged_file_is_set_aside, 0, (int)ELEMENTS(damaged));
    tcase_add_test(tcase, a_file_without_end_is_damaged);
    tcase_add_test(tcase, reading_alone_moves_nothing);
    tcase_add_test(tcase, a_full_disk_leaves_the_old_state);
    tcase_add_test(tcase, failed_versions_are_bounded);
    tcase_add_test(tcase, slots_are_replaced_forgotten_and_bounded);
    return suite;
}
