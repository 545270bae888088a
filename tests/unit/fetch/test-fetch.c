/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/install/file-server.h"
#include "tests/unit/unit.h"

#define FILE_BYTES 1000000

/* One fetch from one or two servers; the owner keeps what it was given, in pieces of piece_bytes
 * that count only when they are whole. */
static sd_event *event;
static HttpClient *http;
static uint8_t file[FILE_BYTES], other[FILE_BYTES], got[FILE_BYTES + 1];
static FileServer first, second;
static const char *urls[2];
static FetchOptions options;
static Fetch *fetch;
static uint64_t range_first, n_got, piece_bytes;
static unsigned n_done, n_rewinds, n_pauses;
static uint64_t pause_at; /* 0: never */
static UpdateError code;
static char error_line[512];

static size_t on_data(
        Fetch *f, uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)userdata;
    ck_assert_ptr_eq(f, fetch);
    ck_assert_uint_eq(offset_bytes, range_first + n_got);
    ck_assert_uint_le(offset_bytes + n_bytes, FILE_BYTES);
    size_t n = n_bytes;
    if (pause_at && offset_bytes + n_bytes > pause_at) {
        n = (size_t)(pause_at - offset_bytes);
        n_pauses++;
    }
    memcpy(got + offset_bytes, data, n);
    n_got += n;
    return n;
}

static uint64_t on_rewind(Fetch *f, uint64_t offset_bytes, void *userdata)
{
    (void)f;
    (void)userdata;
    ck_assert_uint_eq(offset_bytes, range_first + n_got);
    uint64_t kept = n_got / piece_bytes * piece_bytes;
    n_rewinds += kept != n_got;
    n_got = kept;
    return range_first + kept;
}

static void on_done(Fetch *f, UpdateError c, const char *error, void *userdata)
{
    (void)userdata;
    n_done++;
    code = c;
    strncpy(error_line, error, sizeof(error_line) - 1);
    ck_assert(fetch_is_idle(f));
}

static const FetchHandlers handlers = {
        .on_data = on_data, .on_rewind = on_rewind, .on_done = on_done};

static void setup(void)
{
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    for (size_t i = 0; i < FILE_BYTES; i++) {
        file[i] = (uint8_t)(i * 7 + (i >> 9));
        other[i] = (uint8_t)~file[i];
    }
    ck_assert_int_eq(sd_event_new(&event), 0);
    ck_assert_int_eq(http_client_new(event, "test/1", &http), 0);
    first = (FileServer){.data = file, .n_bytes = FILE_BYTES, .etag = "\"1\""};
    second = first;
    file_server_start(&first, event);
    file_server_start(&second, event);
    urls[0] = file_server_url(&first);
    urls[1] = file_server_url(&second);
    options = (FetchOptions){
            .urls = urls, .n_urls = 1, .max_failures_per_url = 3, .retry_delay_usec = 500};
    piece_bytes = 1;
    fetch = NULL;
    pause_at = 0;
    n_done = n_rewinds = n_pauses = 0;
}

static void teardown(void)
{
    fetch_free(fetch);
    file_server_stop(&first);
    file_server_stop(&second);
    http_client_free(http);
    sd_event_unref(event);
}

static void run_until_done(void)
{
    for (unsigned i = 0; n_done == 0; i++) {
        ck_assert_uint_lt(i, 100000);
        ck_assert_int_gt(sd_event_run(event, 10 * 1000 * 1000), 0);
    }
}

static void run(uint64_t first_bytes, uint64_t end_bytes)
{
    if (!fetch)
        ck_assert_int_eq(fetch_new(event, http, &options, &handlers, NULL, &fetch), 0);
    range_first = first_bytes;
    n_got = n_done = 0;
    memset(got, 0, sizeof(got));
    fetch_start(fetch, first_bytes, end_bytes);
    ck_assert_uint_eq(n_done, 0);
    run_until_done();
}

static void assert_got(uint64_t end_bytes)
{
    ck_assert_msg(code == UPDATE_OK, "%s", error_line);
    ck_assert_uint_eq(range_first + n_got, end_bytes);
    ck_assert_int_eq(memcmp(got + range_first, file + range_first, n_got), 0);
}

static void assert_failed(UpdateError expected)
{
    ck_assert_msg(code == expected, "%d: %s", (int)code, error_line);
    ck_assert_ptr_nonnull(strstr(error_line, "http://"));
}

START_TEST(whole_file_and_ranges)
{
    run(0, FETCH_END_OF_FILE);
    assert_got(FILE_BYTES);
    ck_assert_uint_eq(fetch_total_bytes(fetch), FILE_BYTES);
    run(1000, 5000);
    assert_got(5000);
    ck_assert_str_eq(first.if_range, "\"1\"");
    run(FILE_BYTES - 1, FILE_BYTES);
    assert_got(FILE_BYTES);
    run(500, FETCH_END_OF_FILE);
    assert_got(FILE_BYTES);
    ck_assert_uint_eq(first.n_requests, 4);
    ck_assert_uint_eq(fetch_n_bytes(fetch), FILE_BYTES + 4000 + 1 + FILE_BYTES - 500);
}
END_TEST

START_TEST(cut_is_continued)
{
    first.n_cut_bytes = 300000;
    first.n_cuts = 10;
    run(0, FETCH_END_OF_FILE);
    assert_got(FILE_BYTES);
    ck_assert_uint_eq(first.n_requests, 4);
    ck_assert_uint_eq(n_rewinds, 0);
    ck_assert_uint_eq(fetch_n_bytes(fetch), FILE_BYTES);
}
END_TEST

START_TEST(without_etag_a_begun_piece_is_fetched_again)
{
    first.etag = NULL;
    first.n_cut_bytes = 350000;
    first.n_cuts = 1;
    piece_bytes = 100000;
    run(0, FETCH_END_OF_FILE);
    assert_got(FILE_BYTES);
    ck_assert_uint_eq(n_rewinds, 1);
    ck_assert_uint_eq(first.first_byte, 300000);
    ck_assert_str_eq(first.if_range, "");
}
END_TEST

static int change_file(sd_event_source *source, void *userdata)
{
    (void)source;
    (void)userdata;
    if (first.n_cuts == 0) {
        first.etag = "\"2\"";
        first.data = other;
    }
    return 0;
}

/* The answer says that the file is another one; what is taken is then all of the other. */
static void run_with_changed_file(void)
{
    first.n_cut_bytes = 350000;
    first.n_cuts = 1;
    piece_bytes = FILE_BYTES;
    sd_event_source *source = NULL;
    ck_assert_int_eq(sd_event_add_post(event, &source, change_file, NULL), 0);
    run(0, FETCH_END_OF_FILE);
    sd_event_source_disable_unref(source);
}

START_TEST(two_files_are_never_mixed)
{
    run_with_changed_file();
    ck_assert_uint_eq(code, UPDATE_OK);
    ck_assert_uint_eq(n_rewinds, 1);
    ck_assert_int_eq(memcmp(got, other, FILE_BYTES), 0);
}
END_TEST

START_TEST(server_that_ignores_if_range)
{
    first.ignores_if_range = true;
    run_with_changed_file();
    ck_assert_uint_eq(code, UPDATE_OK);
    ck_assert_int_eq(memcmp(got, other, FILE_BYTES), 0);
}
END_TEST

START_TEST(server_without_ranges)
{
    first.has_no_ranges = true;
    first.n_cut_bytes = 350000;
    first.n_cuts = 1;
    run(0, FETCH_END_OF_FILE);
    assert_got(FILE_BYTES);
    ck_assert_uint_eq(fetch_n_bytes(fetch), 350000 + FILE_BYTES);
    run(1000, 5000); /* ends the transfer when it has what it wants */
    assert_got(5000);
}
END_TEST

START_TEST(server_without_length)
{
    first.has_no_length = first.has_no_ranges = true;
    run(0, FETCH_END_OF_FILE);
    assert_got(FILE_BYTES);
    ck_assert_uint_eq(fetch_total_bytes(fetch), FILE_BYTES);
}
END_TEST

START_TEST(fails_over_to_the_next_url)
{
    options.n_urls = 2;
    first.status = 503;
    run(0, FETCH_END_OF_FILE);
    assert_got(FILE_BYTES);
    ck_assert_uint_eq(first.n_requests, 3);
    ck_assert_uint_eq(second.n_requests, 1);
}
END_TEST

START_TEST(begins_with_the_url_it_is_told)
{
    options.n_urls = 2;
    options.first_url = 1;
    second.status = 404; /* nothing that another try would cure */
    run(0, FETCH_END_OF_FILE);
    assert_got(FILE_BYTES);
    ck_assert_uint_eq(second.n_requests, 1);
    ck_assert_uint_eq(first.n_requests, 1);
}
END_TEST

START_TEST(fails_over_in_the_middle)
{
    options.n_urls = 2;
    options.max_failures_per_url = 1;
    piece_bytes = 100000;
    first.n_cut_bytes = 250000;
    first.n_cuts = 1;
    second.etag = "\"another\"";
    run(0, FETCH_END_OF_FILE);
    assert_got(FILE_BYTES);
    ck_assert_uint_eq(second.first_byte, 200000);
    ck_assert_str_eq(second.if_range, "");
}
END_TEST

START_TEST(failures_end)
{
    first.status = 500;
    run(0, FETCH_END_OF_FILE);
    assert_failed(UPDATE_ERROR_TRANSFER);
    ck_assert_uint_eq(first.n_requests, 3);
}
END_TEST

START_TEST(little_progress_is_a_failure)
{
    first.n_cut_bytes = 1000;
    first.n_cuts = UINT32_MAX;
    run(0, FETCH_END_OF_FILE);
    assert_failed(UPDATE_ERROR_TRANSFER);
    ck_assert_uint_eq(n_got, 3000);
}
END_TEST

START_TEST(progress_that_is_lost_again_is_a_failure)
{
    first.etag = NULL;
    first.n_cut_bytes = 400000;
    first.n_cuts = UINT32_MAX;
    piece_bytes = 500000;
    run(0, FETCH_END_OF_FILE);
    assert_failed(UPDATE_ERROR_TRANSFER);
    ck_assert_uint_le(first.n_requests, 4);
}
END_TEST

START_TEST(wrong_lengths)
{
    options.total_bytes = FILE_BYTES + 1;
    run(0, FETCH_END_OF_FILE);
    assert_failed(UPDATE_ERROR_PAYLOAD_SIZE);
    ck_assert_uint_eq(first.n_requests, 1);
}
END_TEST

START_TEST(range_beyond_the_end)
{
    run(FILE_BYTES + 10, FILE_BYTES + 20);
    assert_failed(UPDATE_ERROR_TRANSFER);
    ck_assert_uint_eq(first.n_requests, 1);
}
END_TEST

START_TEST(lie_about_the_length)
{
    first.n_extra_bytes = 5;
    run(0, FETCH_END_OF_FILE);
    assert_failed(UPDATE_ERROR_TRANSFER);
}
END_TEST

START_TEST(another_range_than_asked_for)
{
    first.range_shift = 1;
    run(1000, 2000);
    assert_failed(UPDATE_ERROR_TRANSFER);
}
END_TEST

START_TEST(nobody_listens)
{
    urls[0] = "http://127.0.0.1:1/payload";
    run(0, FETCH_END_OF_FILE);
    assert_failed(UPDATE_ERROR_TRANSFER);
    n_done = 0;
    fetch_free(fetch);
    fetch = NULL;
    urls[0] = "file:///etc/passwd";
    run(0, FETCH_END_OF_FILE);
    ck_assert_uint_eq(code, UPDATE_ERROR_TRANSFER);
}
END_TEST

static int resume(sd_event_source *source, void *userdata)
{
    (void)source;
    (void)userdata;
    if (pause_at && n_got == pause_at) {
        pause_at += 123457;
        fetch_resume(fetch);
    }
    return 0;
}

START_TEST(owner_takes_its_time)
{
    pause_at = 1;
    sd_event_source *source = NULL;
    ck_assert_int_eq(sd_event_add_post(event, &source, resume, NULL), 0);
    run(0, FETCH_END_OF_FILE);
    sd_event_source_disable_unref(source);
    assert_got(FILE_BYTES);
    ck_assert_uint_ge(n_pauses, 8);
    ck_assert_uint_eq(first.n_requests, 1);
    ck_assert_uint_eq(fetch_n_bytes(fetch), FILE_BYTES);
}
END_TEST

START_TEST(freed_under_way)
{
    pause_at = 1000;
    ck_assert_int_eq(fetch_new(event, http, &options, &handlers, NULL, &fetch), 0);
    range_first = n_got = 0;
    fetch_start(fetch, 0, FETCH_END_OF_FILE);
    while (n_got < 1000)
        ck_assert_int_gt(sd_event_run(event, 10 * 1000 * 1000), 0);
    fetch_free(fetch);
    fetch = NULL;
    ck_assert_uint_eq(n_done, 0);
}
END_TEST

START_TEST(drip_is_a_failure)
{
    first.drip_usec = 5000; /* 200 bytes a second */
    options.stall_timeout_usec = 100 * 1000;
    options.max_failures_per_url = 1;
    run(0, FETCH_END_OF_FILE);
    assert_failed(UPDATE_ERROR_TRANSFER);
    ck_assert_uint_lt(n_got, FILE_BYTES / 10);
}
END_TEST

START_TEST(a_password_in_the_url_is_not_told)
{
    char url[128];
    snprintf(url, sizeof(url), "http://user:secret@%s", urls[0] + strlen("http://"));
    urls[0] = url;
    options.max_failures_per_url = 1;
    first.status = 404;
    run(0, FETCH_END_OF_FILE);
    assert_failed(UPDATE_ERROR_TRANSFER);
    ck_assert_msg(!strstr(error_line, "secret"), "%s", error_line);
    first.status = 0;
    first.n_cut_bytes = first.n_cuts = 1;
    run(0, FETCH_END_OF_FILE);
    ck_assert_msg(!strstr(error_line, "secret"), "%s", error_line);
}
END_TEST

/* Ranges, delivered one after the other, each a piece. */
static FetchRange ranges[100];
static size_t n_ranges, range;
static uint64_t n_got_of_range;

static size_t on_ranges_data(
        Fetch *f, uint64_t offset_bytes, const uint8_t *data, size_t n_bytes, void *userdata)
{
    (void)f;
    (void)userdata;
    ck_assert_uint_lt(range, n_ranges);
    ck_assert_uint_eq(offset_bytes, ranges[range].first_bytes + n_got_of_range);
    ck_assert_uint_le(offset_bytes + n_bytes, ranges[range].end_bytes);
    ck_assert_int_eq(memcmp(data, file + offset_bytes, n_bytes), 0);
    n_got += n_bytes;
    n_got_of_range += n_bytes;
    if (offset_bytes + n_bytes == ranges[range].end_bytes) {
        range++;
        n_got_of_range = 0;
    }
    return n_bytes;
}

static uint64_t on_ranges_rewind(Fetch *f, uint64_t offset_bytes, void *userdata)
{
    (void)f;
    (void)userdata;
    n_rewinds += n_got_of_range > 0;
    offset_bytes -= n_got_of_range;
    n_got_of_range = 0;
    return offset_bytes;
}

static const FetchHandlers ranges_handlers = {
        .on_data = on_ranges_data, .on_rewind = on_ranges_rewind, .on_done = on_done};

static void start_ranges(size_t n, uint64_t step_bytes, uint64_t size_bytes)
{
    for (n_ranges = 0; n_ranges < n; n_ranges++) {
        uint64_t at = n_ranges * step_bytes;
        ranges[n_ranges] = (FetchRange){at, at + size_bytes};
    }
    ck_assert_int_eq(fetch_new(event, http, &options, &ranges_handlers, NULL, &fetch), 0);
    range = 0;
    n_got = n_got_of_range = 0;
    ck_assert_int_eq(fetch_start_ranges(fetch, ranges, n_ranges), 0);
}

/* The server answers the first of several ranges. */
START_TEST(ranges_one_by_one)
{
    start_ranges(10, 100000, 5000);
    run_until_done();
    ck_assert_msg(code == UPDATE_OK, "%s", error_line);
    ck_assert_uint_eq(n_got, 50000);
    ck_assert_uint_eq(fetch_n_requests(fetch), 10);
    ck_assert_uint_eq(fetch_n_bytes(fetch), 50000);
    ck_assert_str_eq(first.if_range, "\"1\"");
    ck_assert_ptr_nonnull(strstr(fetch_why_single(fetch), "the first of several ranges only"));
    /* It is remembered. */
    range = 0;
    n_done = 0;
    ck_assert_int_eq(fetch_start_ranges(fetch, ranges, n_ranges), 0);
    run_until_done();
    ck_assert_uint_eq(n_got, 100000);
    ck_assert_uint_eq(fetch_n_requests(fetch), 20);
}
END_TEST

START_TEST(ranges_that_are_none)
{
    const FetchRange turned[] = {{5, 10}, {0, 3}};
    ck_assert_int_eq(fetch_new(event, http, &options, &ranges_handlers, NULL, &fetch), 0);
    ck_assert_int_eq(fetch_start_ranges(fetch, turned, 2), -EINVAL);
    ck_assert_int_eq(fetch_start_ranges(fetch, turned, 0), -EINVAL);
    ck_assert(fetch_is_idle(fetch));
}
END_TEST

START_TEST(ranges_without_etag_run_one_after_another)
{
    first.etag = NULL;
    first.n_cut_bytes = 3000;
    first.n_cuts = 1;
    start_ranges(10, 100000, 5000);
    run_until_done();
    ck_assert_msg(code == UPDATE_OK, "%s", error_line);
    ck_assert_uint_eq(n_rewinds, 1);
    ck_assert_uint_eq(first.n_requests, 11);
}
END_TEST

START_TEST(ranges_end_earlier)
{
    start_ranges(10, 100000, 5000);
    while (range < 3)
        ck_assert_int_gt(sd_event_run(event, 10 * 1000 * 1000), 0);
    ranges[9].end_bytes = ranges[9].first_bytes + 1000;
    fetch_set_end(fetch, ranges[9].end_bytes);
    run_until_done();
    ck_assert_msg(code == UPDATE_OK, "%s", error_line);
    ck_assert_uint_eq(n_got, 9 * 5000 + 1000);
}
END_TEST

START_TEST(ranges_freed_under_way)
{
    start_ranges(10, 100000, 50000);
    while (range < 3)
        ck_assert_int_gt(sd_event_run(event, 10 * 1000 * 1000), 0);
    fetch_free(fetch);
    fetch = NULL;
    ck_assert_uint_eq(n_done, 0);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("fetch");
    TCase *tcase = unit_case(suite, "fetch");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, whole_file_and_ranges);
    tcase_add_test(tcase, cut_is_continued);
    tcase_add_test(tcase, without_etag_a_begun_piece_is_fetched_again);
    tcase_add_test(tcase, two_files_are_never_mixed);
    tcase_add_test(tcase, server_that_ignores_if_range);
    tcase_add_test(tcase, server_without_ranges);
    tcase_add_test(tcase, server_without_length);
    tcase_add_test(tcase, fails_over_to_the_next_url);
    tcase_add_test(tcase, begins_with_the_url_it_is_told);
    tcase_add_test(tcase, fails_over_in_the_middle);
    tcase_add_test(tcase, failures_end);
    tcase_add_test(tcase, little_progress_is_a_failure);
    tcase_add_test(tcase, progress_that_is_lost_again_is_a_failure);
    tcase_add_test(tcase, wrong_lengths);
    tcase_add_test(tcase, range_beyond_the_end);
    tcase_add_test(tcase, lie_about_the_length);
    tcase_add_test(tcase, another_range_than_asked_for);
    tcase_add_test(tcase, nobody_listens);
    tcase_add_test(tcase, owner_takes_its_time);
    tcase_add_test(tcase, freed_under_way);
    tcase_add_test(tcase, drip_is_a_failure);
    tcase_add_test(tcase, a_password_in_the_url_is_not_told);
    tcase_add_test(tcase, ranges_one_by_one);
    tcase_add_test(tcase, ranges_that_are_none);
    tcase_add_test(tcase, ranges_without_etag_run_one_after_another);
    tcase_add_test(tcase, ranges_end_earlier);
    tcase_add_test(tcase, ranges_freed_under_way);
    return suite;
}
