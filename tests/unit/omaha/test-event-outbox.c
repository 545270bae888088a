/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/omaha/event-outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic-file.h"
#include "tests/unit/unit.h"
#include "updater/update-error.h"

static int open_state(void)
{
    int fd = open(unit_temp_dir(), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static EventOutbox *load(int state_fd)
{
    EventOutbox *outbox;
    ErrorText note;
    ck_assert_int_eq(event_outbox_load(state_fd, &outbox, &note), 0);
    ck_assert_str_eq(note.line, "");
    return outbox;
}

static OmahaEvent make_event(OmahaEventType type, OmahaEventResult result, unsigned error_code,
        const char *previous_version)
{
    OmahaEvent event = {.type = type, .result = result, .error_code = error_code};
    strcpy(event.previous_version, previous_version);
    return event;
}

static void add(EventOutbox *outbox, OmahaEventType type, OmahaEventResult result,
        unsigned error_code, const char *previous_version)
{
    OmahaEvent event = make_event(type, result, error_code, previous_version);
    ck_assert_int_eq(event_outbox_add(outbox, &event, NULL), 0);
}

static void assert_event(const EventOutbox *outbox, size_t i, OmahaEventType type,
        OmahaEventResult result, unsigned error_code, const char *previous_version)
{
    size_t n;
    const OmahaEvent *events = event_outbox_peek(outbox, &n);
    ck_assert_uint_lt(i, n);
    ck_assert_int_eq(events[i].type, type);
    ck_assert_int_eq(events[i].result, result);
    ck_assert_uint_eq(events[i].error_code, error_code);
    ck_assert_str_eq(events[i].previous_version, previous_version);
}

START_TEST(events_outlive_the_process)
{
    _cleanup_close_ int state_fd = open_state();
    _cleanup_(event_outbox_freep) EventOutbox *outbox = load(state_fd);
    ck_assert_uint_eq(event_outbox_count(outbox), 0);
    add(outbox, OMAHA_EVENT_DOWNLOAD_STARTED, OMAHA_RESULT_SUCCESS, 0, "");
    add(outbox, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, 4294967295U, "");
    add(outbox, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0, "1.2~rc^1+a_b-c");

    _cleanup_(event_outbox_freep) EventOutbox *again = load(state_fd);
    ck_assert_uint_eq(event_outbox_count(again), 3);
    assert_event(again, 0, OMAHA_EVENT_DOWNLOAD_STARTED, OMAHA_RESULT_SUCCESS, 0, "");
    assert_event(again, 1, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, 4294967295U, "");
    assert_event(again, 2, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0,
            "1.2~rc^1+a_b-c");

    ck_assert_int_eq(event_outbox_delivered(again, 2, NULL), 0);
    _cleanup_(event_outbox_freep) EventOutbox *third = load(state_fd);
    ck_assert_uint_eq(event_outbox_count(third), 1);
    assert_event(third, 0, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0,
            "1.2~rc^1+a_b-c");
    ck_assert_int_eq(event_outbox_delivered(third, 100, NULL), 0);
    ck_assert_uint_eq(event_outbox_count(third), 0);
}
END_TEST

START_TEST(a_full_queue_gives_up_progress_first)
{
    _cleanup_close_ int state_fd = open_state();
    _cleanup_(event_outbox_freep) EventOutbox *outbox = load(state_fd);
    unsigned rolled_back = UPDATE_ERROR_ROLLED_BACK | 1U << 28;
    add(outbox, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, rolled_back, "");
    add(outbox, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0, "1");
    add(outbox, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, 9, "");
    add(outbox, OMAHA_EVENT_DOWNLOAD_STARTED, OMAHA_RESULT_SUCCESS, 0, "");
    while (event_outbox_count(outbox) < EVENT_OUTBOX_MAX)
        add(outbox, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, 15, "");

    add(outbox, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, 23, ""); /* 13/1 goes */
    ck_assert_uint_eq(event_outbox_count(outbox), EVENT_OUTBOX_MAX);
    assert_event(outbox, 2, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, 9, "");
    assert_event(outbox, 3, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, 15, "");
    assert_event(
            outbox, EVENT_OUTBOX_MAX - 1, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, 23, "");

    add(outbox, OMAHA_EVENT_DOWNLOAD_FINISHED, OMAHA_RESULT_SUCCESS, 0, ""); /* is not taken */
    assert_event(
            outbox, EVENT_OUTBOX_MAX - 1, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, 23, "");

    add(outbox, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS, 0, ""); /* 3/0 9 goes */
    assert_event(outbox, 2, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, 15, "");
    assert_event(outbox, 0, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, rolled_back, "");
    assert_event(outbox, 1, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0, "1");
}
END_TEST

START_TEST(what_must_not_be_lost_is_not)
{
    _cleanup_close_ int state_fd = open_state();
    _cleanup_(event_outbox_freep) EventOutbox *outbox = load(state_fd);
    for (int i = 0; i < EVENT_OUTBOX_MAX; i++)
        add(outbox, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0, "1");
    OmahaEvent one_more =
            make_event(OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0, "2");
    ErrorText error = {0};
    ck_assert_int_eq(event_outbox_add(outbox, &one_more, &error), -ENOBUFS);
    ck_assert_str_ne(error.line, "");
    ck_assert_uint_eq(event_outbox_count(outbox), EVENT_OUTBOX_MAX);
    assert_event(outbox, EVENT_OUTBOX_MAX - 1, OMAHA_EVENT_UPDATE_COMPLETE,
            OMAHA_RESULT_SUCCESS_REBOOT, 0, "1");
}
END_TEST

START_TEST(a_version_that_is_none_is_refused)
{
    _cleanup_close_ int state_fd = open_state();
    _cleanup_(event_outbox_freep) EventOutbox *outbox = load(state_fd);
    OmahaEvent event =
            make_event(OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0, "1 2");
    ErrorText error = {0};
    ck_assert_int_eq(event_outbox_add(outbox, &event, &error), -EINVAL);
    ck_assert_str_ne(error.line, "");
    memset(event.previous_version, 'x', sizeof(event.previous_version)); /* no end */
    ck_assert_int_eq(event_outbox_add(outbox, &event, &error), -EINVAL);
    ck_assert_uint_eq(event_outbox_count(outbox), 0);
    ck_assert_int_eq(faccessat(state_fd, EVENT_OUTBOX_FILE, F_OK, 0), -1);
}
END_TEST

#define EVENT "{\"type\":3,\"result\":1,\"error_code\":0,\"previous_version\":\"\"}"

START_TEST(a_damaged_file_is_set_aside)
{
    static const char *const texts[] = {
            "",
            "{\"events\": [",
            "[]",
            "{\"events\": 3}",
            "{\"events\": [3]}",
            "{\"events\": [], \"events\": []}",
            "{\"events\": [" EVENT ",{\"type\":3,\"result\":1,\"error_code\":0}]}",
            "{\"events\": [{\"type\":4,\"result\":1,\"error_code\":0,\"previous_version\":\"\"}]}",
            "{\"events\": [{\"type\":3,\"result\":5,\"error_code\":0,\"previous_version\":\"\"}]}",
            "{\"events\": [{\"type\":3,\"result\":0,\"error_code\":-1,\"previous_version\":\"\"}]}",
            ("{\"events\": [{\"type\":3,\"result\":0,\"error_code\":4294967296,"
             "\"previous_version\":\"\"}]}"),
            "{\"events\": [{\"type\":3,\"result\":2,\"error_code\":0,\"previous_version\":\"a b\"}]}",
    };
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        _cleanup_close_ int state_fd = open_state();
        ck_assert_int_eq(
                atomic_file_write(state_fd, EVENT_OUTBOX_FILE, texts[i], strlen(texts[i]), 0600),
                0);
        _cleanup_(event_outbox_freep) EventOutbox *outbox = NULL;
        ErrorText note;
        ck_assert_int_eq(event_outbox_load(state_fd, &outbox, &note), 0);
        ck_assert_msg(note.line[0] != '\0', "case %zu is taken", i);
        ck_assert_uint_eq(event_outbox_count(outbox), 0);
        ck_assert_int_eq(faccessat(state_fd, EVENT_OUTBOX_FILE, F_OK, 0), -1);
        ck_assert_int_eq(faccessat(state_fd, EVENT_OUTBOX_DAMAGED_FILE, F_OK, 0), 0);
        add(outbox, OMAHA_EVENT_DOWNLOAD_STARTED, OMAHA_RESULT_SUCCESS, 0, "");
        _cleanup_(event_outbox_freep) EventOutbox *again = load(state_fd);
        ck_assert_uint_eq(event_outbox_count(again), 1);
    }
}
END_TEST

START_TEST(a_file_of_too_much_is_set_aside)
{
    _cleanup_close_ int state_fd = open_state();
    static char text[100 * 1024] = "{\"events\": [" EVENT;
    for (int i = 0; i < EVENT_OUTBOX_MAX; i++)
        strcat(text, "," EVENT);
    strcat(text, "]}");
    for (int i = 0; i < 2; i++) {
        size_t n_bytes = i == 0 ? strlen(text) : sizeof(text);
        ck_assert_int_eq(atomic_file_write(state_fd, EVENT_OUTBOX_FILE, text, n_bytes, 0600), 0);
        _cleanup_(event_outbox_freep) EventOutbox *outbox = NULL;
        ErrorText note;
        ck_assert_int_eq(event_outbox_load(state_fd, &outbox, &note), 0);
        ck_assert_str_ne(note.line, "");
        ck_assert_uint_eq(event_outbox_count(outbox), 0);
    }
    ck_assert_int_eq(mkdirat(state_fd, EVENT_OUTBOX_FILE, 0700), 0); /* not even a file */
    _cleanup_(event_outbox_freep) EventOutbox *outbox = NULL;
    ErrorText note;
    ck_assert_int_eq(event_outbox_load(state_fd, &outbox, &note), 0);
    ck_assert_str_ne(note.line, "");
}
END_TEST

/* A limit on the size of files makes every write fail, for root too. */
START_TEST(the_queue_works_when_it_cannot_be_written)
{
    _cleanup_close_ int state_fd = open_state();
    _cleanup_(event_outbox_freep) EventOutbox *outbox = load(state_fd);
    add(outbox, OMAHA_EVENT_DOWNLOAD_STARTED, OMAHA_RESULT_SUCCESS, 0, "");

    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit nothing = {0, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &nothing), 0);
    OmahaEvent event = make_event(OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS, 0, "");
    ErrorText error = {0}, delivered_error = {0};
    int r_add = event_outbox_add(outbox, &event, &error);
    int r_delivered = event_outbox_delivered(outbox, 1, &delivered_error);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);

    ck_assert_int_eq(r_add, -EFBIG);
    ck_assert_ptr_nonnull(strstr(error.line, EVENT_OUTBOX_FILE));
    ck_assert_int_eq(r_delivered, -EFBIG);
    ck_assert_str_ne(delivered_error.line, "");
    ck_assert_uint_eq(event_outbox_count(outbox), 1);
    assert_event(outbox, 0, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS, 0, "");

    _cleanup_(event_outbox_freep) EventOutbox *on_disk = load(state_fd); /* the old file, whole */
    assert_event(on_disk, 0, OMAHA_EVENT_DOWNLOAD_STARTED, OMAHA_RESULT_SUCCESS, 0, "");
    add(outbox, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_SUCCESS_REBOOT, 0, "1");
    _cleanup_(event_outbox_freep) EventOutbox *caught_up = load(state_fd);
    ck_assert_uint_eq(event_outbox_count(caught_up), 2);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("event-outbox");
    TCase *tcase = unit_case(suite, "event-outbox");
    tcase_add_test(tcase, events_outlive_the_process);
    tcase_add_test(tcase, a_full_queue_gives_up_progress_first);
    tcase_add_test(tcase, what_must_not_be_lost_is_not);
    tcase_add_test(tcase, a_version_that_is_none_is_refused);
    tcase_add_test(tcase, a_damaged_file_is_set_aside);
    tcase_add_test(tcase, a_file_of_too_much_is_set_aside);
    tcase_add_test(tcase, the_queue_works_when_it_cannot_be_written);
    return suite;
}
