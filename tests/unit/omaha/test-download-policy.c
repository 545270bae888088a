/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/omaha/download-policy.h"

#include <errno.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

#define NOW UINT64_C(1800000000)
#define DAY UINT64_C(86400)
#define HOUR UINT64_C(3600)

static const char *const urls[] = {"http://a/p", "http://b/p"};
static const OmahaPackage package = {.name = "p", .size_bytes = 1000};

static OmahaResponse make_offer(void)
{
    return (OmahaResponse){
            .verdict = OMAHA_UPDATE,
            .urls = urls,
            .n_urls = 2,
            .packages = &package,
            .n_packages = 1,
            .max_failures_per_url = 3,
    };
}

START_TEST(faults_are_those_of_the_reference)
{
    static const int urls_faults[] = {
            10, 11, 12, 17, 18, 21, 22, 23, 24, 25, 26, 27, 28, 29, 32, 33, 38, 39};
    static const int transients[] = {1, 9, 14, 20, 37, 2000, 2404, 2503, 2999};
    static const int neither[] = {0, 2, 3, 4, 5, 7, 8, 13, 15, 16, 19, 30, 31, 34, 35, 36, 40, 41,
            42, 43, 44, 45, 46, 48, 51, 52, 56, 3000};
    for (size_t i = 0; i < ELEMENTS(urls_faults); i++)
        ck_assert_int_eq(download_fault_of((UpdateError)urls_faults[i]), DOWNLOAD_URLS_FAULT);
    for (size_t i = 0; i < ELEMENTS(transients); i++)
        ck_assert_int_eq(download_fault_of((UpdateError)transients[i]), DOWNLOAD_TRANSIENT);
    for (size_t i = 0; i < ELEMENTS(neither); i++)
        ck_assert_int_eq(download_fault_of((UpdateError)neither[i]), DOWNLOAD_NOT_URLS_FAULT);
}
END_TEST

START_TEST(another_offer_begins_anew)
{
    DownloadPolicy policy = {0};
    OmahaResponse offer = make_offer();
    ck_assert(download_policy_bind(&policy, &offer));
    ck_assert(!download_policy_bind(&policy, &offer));
    for (int change = 0; change < 7; change++) {
        OmahaResponse other = make_offer();
        OmahaPackage other_package = package;
        const char *const other_urls[] = {"http://a/pp", "http://b/p"};
        other.packages = &other_package;
        if (change == 0)
            other.urls = other_urls;
        if (change == 1)
            other.n_urls = 1;
        if (change == 2)
            other_package.size_bytes++;
        if (change == 3)
            other.payload_sha256.bytes[31] ^= 1;
        if (change == 4)
            other.is_delta = true;
        if (change == 5)
            other.disables_backoff = true;
        if (change == 6)
            other.max_failures_per_url++;
        policy.url_index = 1;
        policy.n_attempts = 5;
        policy.backoff_until_sec = NOW;
        ck_assert(download_policy_bind(&policy, &other));
        ck_assert_uint_eq(policy.url_index, 0);
        ck_assert_uint_eq(policy.n_attempts, 0);
        ck_assert_uint_eq(policy.backoff_until_sec, 0);
        ck_assert(download_policy_bind(&policy, &offer));
    }
    OmahaResponse same = make_offer();
    same.version = "9";
    same.poll_interval_sec = 60;
    ck_assert(!download_policy_bind(&policy, &same));
}
END_TEST

START_TEST(a_url_has_its_failures_then_the_next)
{
    DownloadPolicy policy = {0};
    OmahaResponse offer = make_offer();
    download_policy_bind(&policy, &offer);
    ck_assert_uint_eq(policy.url_index, 0);
    for (int i = 0; i < 2; i++)
        ck_assert(download_policy_on_failure(&policy, &offer, UPDATE_ERROR_TRANSFER, NOW, 0));
    ck_assert(!download_policy_on_failure(&policy, &offer, UPDATE_ERROR_FLIP, NOW, 0));
    ck_assert_uint_eq(policy.url_index, 0);
    ck_assert(download_policy_on_bytes(&policy));
    ck_assert(!download_policy_on_bytes(&policy));
    for (int i = 0; i < 2; i++)
        download_policy_on_failure(&policy, &offer, UPDATE_ERROR_TRANSFER, NOW, 0);
    ck_assert_uint_eq(policy.url_index, 0);
    download_policy_on_failure(&policy, &offer, UPDATE_ERROR_TRANSFER, NOW, 0);
    ck_assert_uint_eq(policy.url_index, 1);
    ck_assert_uint_eq(policy.n_url_failures, 0);
    ck_assert_uint_eq(policy.n_attempts, 0);

    ck_assert(download_policy_on_failure(&policy, &offer, UPDATE_ERROR_MAGIC, NOW, 0));
    ck_assert_uint_eq(policy.url_index, 0);
    ck_assert_uint_eq(policy.n_attempts, 1);
    ck_assert_uint_gt(download_policy_wait_sec(&policy, &offer, false, NOW), 0);
}
END_TEST

START_TEST(an_index_beyond_the_urls_is_the_first)
{
    DownloadPolicy policy = {.url_index = 31};
    OmahaResponse offer = make_offer();
    download_policy_on_failure(&policy, &offer, UPDATE_ERROR_MAGIC, NOW, 0);
    ck_assert_uint_eq(policy.url_index, 0);
}
END_TEST

START_TEST(backoff_doubles_up_to_sixteen_days)
{
    static const uint64_t days[] = {1, 2, 4, 8, 16, 16, 16};
    for (uint64_t random = 0; random < 100; random++) {
        DownloadPolicy policy = {0};
        OmahaResponse offer = make_offer();
        download_policy_bind(&policy, &offer);
        for (size_t i = 0; i < ELEMENTS(days); i++) {
            download_policy_on_complete(
                    &policy, &offer, NOW, random * UINT64_C(0x9e3779b97f4a7c15));
            uint64_t wait = download_policy_wait_sec(&policy, &offer, false, NOW);
            ck_assert_uint_ge(wait, days[i] * DAY - (days[i] == 16 ? 12 : 6) * HOUR);
            ck_assert_uint_le(wait, MIN(days[i] * DAY + 6 * HOUR, 16 * DAY));
            ck_assert_uint_eq(download_policy_wait_sec(&policy, &offer, false, NOW + wait), 0);
            ck_assert_uint_eq(download_policy_wait_sec(&policy, &offer, false, NOW + wait - 1), 1);
        }
    }
}
END_TEST

START_TEST(backoff_has_its_exceptions)
{
    DownloadPolicy policy = {0};
    OmahaResponse offer = make_offer();
    download_policy_on_complete(&policy, &offer, NOW, 1);
    ck_assert_uint_gt(download_policy_wait_sec(&policy, &offer, false, NOW), 0);
    ck_assert_uint_eq(download_policy_wait_sec(&policy, &offer, true, NOW), 0);
    /* the clock was set back by a month */
    ck_assert_uint_eq(download_policy_wait_sec(&policy, &offer, false, NOW - 30 * DAY), 0);
    offer.disables_backoff = true;
    ck_assert_uint_eq(download_policy_wait_sec(&policy, &offer, false, NOW), 0);

    policy = (DownloadPolicy){0};
    offer = make_offer();
    offer.is_delta = true;
    download_policy_on_complete(&policy, &offer, NOW, 1);
    ck_assert_uint_eq(policy.n_attempts, 0);
    ck_assert_uint_eq(download_policy_wait_sec(&policy, &offer, false, NOW), 0);
}
END_TEST

START_TEST(json_goes_both_ways)
{
    DownloadPolicy policy = {0}, back;
    OmahaResponse offer = make_offer();
    download_policy_bind(&policy, &offer);
    policy.url_index = 1;
    policy.n_url_failures = 2;
    policy.n_attempts = 4;
    policy.backoff_until_sec = NOW + 8 * DAY;
    json_t *json;
    ck_assert_int_eq(download_policy_to_json(&policy, &json), 0);
    ck_assert_int_eq(download_policy_from_json(json, NOW, &back), 0);
    ck_assert_mem_eq(&back.offer, &policy.offer, sizeof(Sha256));
    ck_assert_uint_eq(back.url_index, 1);
    ck_assert_uint_eq(back.n_url_failures, 2);
    ck_assert_uint_eq(back.n_attempts, 4);
    ck_assert_uint_eq(back.backoff_until_sec, NOW + 8 * DAY);

    ck_assert_int_eq(download_policy_from_json(json, NOW - 9 * DAY, &back), 0);
    ck_assert_uint_eq(back.backoff_until_sec, 0);
    ck_assert_uint_eq(back.n_attempts, 4);
    json_decref(json);
}
END_TEST

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

START_TEST(json_that_is_none_of_ours_is_refused)
{
    static const char *const texts[] = {
            "[]",
            "{}",
            "{\"offer\":\"" HEX "\",\"url_index\":0,\"url_failures\":0,\"attempts\":0}",
            "{\"offer\":\"00\",\"url_index\":0,\"url_failures\":0,\"attempts\":0,"
            "\"backoff_until\":0}",
            "{\"offer\":\"" HEX "\",\"url_index\":-1,\"url_failures\":0,\"attempts\":0,"
            "\"backoff_until\":0}",
            "{\"offer\":\"" HEX "\",\"url_index\":32,\"url_failures\":0,\"attempts\":0,"
            "\"backoff_until\":0}",
            "{\"offer\":\"" HEX "\",\"url_index\":0,\"url_failures\":-1,\"attempts\":0,"
            "\"backoff_until\":0}",
            "{\"offer\":\"" HEX "\",\"url_index\":0,\"url_failures\":0,"
            "\"attempts\":9223372036854775807,\"backoff_until\":0}",
            "{\"offer\":\"" HEX "\",\"url_index\":0,\"url_failures\":0,\"attempts\":0,"
            "\"backoff_until\":-1}",
            "{\"offer\":\"" HEX "\",\"url_index\":\"0\",\"url_failures\":0,\"attempts\":0,"
            "\"backoff_until\":0}",
    };
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        json_t *json = json_loads(texts[i], 0, NULL);
        ck_assert_ptr_nonnull(json);
        DownloadPolicy policy = {.n_attempts = 7};
        ck_assert_msg(
                download_policy_from_json(json, NOW, &policy) == -EINVAL, "case %zu is taken", i);
        ck_assert_uint_eq(policy.n_attempts, 0);
        json_decref(json);
    }
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("download-policy");
    TCase *tcase = unit_case(suite, "download-policy");
    tcase_add_test(tcase, faults_are_those_of_the_reference);
    tcase_add_test(tcase, another_offer_begins_anew);
    tcase_add_test(tcase, a_url_has_its_failures_then_the_next);
    tcase_add_test(tcase, an_index_beyond_the_urls_is_the_first);
    tcase_add_test(tcase, backoff_doubles_up_to_sixteen_days);
    tcase_add_test(tcase, backoff_has_its_exceptions);
    tcase_add_test(tcase, json_goes_both_ways);
    tcase_add_test(tcase, json_that_is_none_of_ours_is_refused);
    return suite;
}
