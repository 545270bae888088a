/* SPDX-License-Identifier: Apache-2.0 */

/* The bad answers are the fuzzer's corpus: a file's name begins with the error that it must give
 * and goes on with the rule that it breaks. */

#include "updater/omaha/omaha-response.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "common/fd-io.h"
#include "tests/unit/unit.h"

#define CORPUS "../../fuzz/corpus/omaha-response"
#define RECORDED_APP "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}"
#define RECORDED_SHA256 "e43c2fa03a48d9185087f82c74e0d0f67661e9b3b627a83d762ae3d19b04c847"

/* Reads a copy of exactly this size, so that a sanitizer sees a read past its end. */
static UpdateError parse(const char *data, size_t n_bytes, const char *app_id,
        OmahaResponse **ret_response, ErrorText *error)
{
    _cleanup_free_ char *exact = malloc(n_bytes > 0 ? n_bytes : 1);
    memcpy(exact, data, n_bytes);
    return omaha_response_parse(exact, n_bytes, app_id, ret_response, error);
}

static UpdateError parse_file(
        const char *name, const char *app_id, OmahaResponse **ret_response, ErrorText *error)
{
    char below[256];
    snprintf(below, sizeof(below), CORPUS "/%s", name);
    _cleanup_free_ char *data = NULL;
    size_t n_bytes;
    ck_assert_msg(fd_read_file(AT_FDCWD, unit_data_path(below), 1 << 20, &data, &n_bytes) == 0,
            "%s cannot be read", name);
    return parse(data, n_bytes, app_id, ret_response, error);
}

static OmahaResponse *parse_good(const char *name, const char *app_id)
{
    OmahaResponse *response = NULL;
    ErrorText error = {0};
    UpdateError result = parse_file(name, app_id, &response, &error);
    ck_assert_msg(result == UPDATE_OK, "%s: %d %s", name, (int)result, error.line);
    ck_assert_str_eq(error.line, "");
    return response;
}

static void assert_sha256(const Sha256 *digest, const char *expected)
{
    char hex[SHA256_HEX_CHARS + 1];
    sha256_to_hex(digest, hex);
    ck_assert_str_eq(hex, expected);
}

static void assert_recorded_offer(const OmahaResponse *response)
{
    ck_assert_int_eq(response->verdict, OMAHA_UPDATE);
    ck_assert_str_eq(response->app_status, "ok");
    ck_assert_str_eq(response->check_status, "ok");
    ck_assert_str_eq(response->version, "2.0.0");
    ck_assert_uint_eq(response->n_urls, 1);
    ck_assert_str_eq(response->urls[0], "http://127.0.0.1:18010/full-signed.gz");
    ck_assert_uint_eq(response->n_packages, 1);
    ck_assert_str_eq(response->packages[0].name, "full-signed.gz");
    ck_assert_uint_eq(response->packages[0].size_bytes, 15348400);
    ck_assert(response->packages[0].is_required);
    assert_sha256(&response->payload_sha256, RECORDED_SHA256);
    ck_assert(!response->is_delta);
    ck_assert_uint_eq(response->max_failures_per_url, 10);
    ck_assert_uint_eq(response->poll_interval_sec, 0);
    ck_assert_str_eq(response->metadata_signature_base64, "");
}

START_TEST(offers_that_were_recorded)
{
    _cleanup_(omaha_response_freep) OmahaResponse *nebraska =
            parse_good("recorded-nebraska-update", RECORDED_APP);
    assert_recorded_offer(nebraska);
    ck_assert(nebraska->disables_backoff);
    ck_assert(!nebraska->packages[0].has_sha256);
    ck_assert_uint_eq(nebraska->metadata_size_bytes, 0);

    _cleanup_(omaha_response_freep) OmahaResponse *chromiumos =
            parse_good("recorded-chromiumos-update", "E96281A6-D1AF-4BDE-9A0A-97B76E56DC57");
    assert_recorded_offer(chromiumos);
    ck_assert(!chromiumos->disables_backoff);
    ck_assert(chromiumos->packages[0].has_sha256);
    assert_sha256(&chromiumos->packages[0].sha256, RECORDED_SHA256);
    ck_assert_uint_eq(chromiumos->metadata_size_bytes, 3542);
}
END_TEST

START_TEST(refusals_that_were_recorded)
{
    static const struct {
        const char *name, *app_status, *check_status;
        OmahaVerdict verdict;
    } cases[] = {
            {"recorded-nebraska-noupdate", "ok", "noupdate", OMAHA_NO_UPDATE},
            {"recorded-nebraska-updates-disabled", "error-updatesDisabled", "error-internal",
                    OMAHA_NOT_NOW},
            {"recorded-nebraska-rate-limit", "error-maxUpdatesPerPeriodLimitReached",
                    "error-internal", OMAHA_NOT_NOW},
            {"recorded-nebraska-unknown-app", "error-failedToRetrieveUpdatePackageInfo",
                    "error-internal", OMAHA_NOT_NOW},
            {"good-app-status-alone", "error-unknownApplication", "", OMAHA_NOT_NOW},
            {"good-check-error-alone", "ok", "error-osnotsupported", OMAHA_NOT_NOW},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        _cleanup_(omaha_response_freep) OmahaResponse *response =
                parse_good(cases[i].name, RECORDED_APP);
        ck_assert_int_eq(response->verdict, cases[i].verdict);
        ck_assert_str_eq(response->app_status, cases[i].app_status);
        ck_assert_str_eq(response->check_status, cases[i].check_status);
    }
}
END_TEST

START_TEST(answers_without_a_verdict_that_were_recorded)
{
    OmahaResponse *response = NULL;
    ErrorText error;
    ck_assert_int_eq(parse_file("recorded-nebraska-event", RECORDED_APP, &response, &error),
            UPDATE_ERROR_RESPONSE);
    ck_assert_int_eq(parse_file("recorded-go-omaha-bad-xml", RECORDED_APP, &response, &error),
            UPDATE_ERROR_XML);
    ck_assert_ptr_null(response);
}
END_TEST

START_TEST(details_of_good_answers)
{
    _cleanup_(omaha_response_freep) OmahaResponse *escapes = parse_good("good-escapes", "a");
    ck_assert_str_eq(escapes->urls[0], "http://h/?a=1&b=2/p");
    _cleanup_(omaha_response_freep) OmahaResponse *joined =
            parse_good("good-no-slash-after-codebase", "a");
    ck_assert_str_eq(joined->urls[0], "HTTPS://h:1/x/p");
    _cleanup_(omaha_response_freep) OmahaResponse *folders =
            parse_good("good-name-with-folders-and-query", "a");
    ck_assert_str_eq(folders->urls[0], "http://h/a/b..c/p?x=../y");
    _cleanup_(omaha_response_freep) OmahaResponse *hash =
            parse_good("good-hash-in-package-only", "a");
    assert_sha256(&hash->payload_sha256, RECORDED_SHA256);
    _cleanup_(omaha_response_freep) OmahaResponse *version = parse_good("good-no-version", "a");
    ck_assert_str_eq(version->version, "");
    _cleanup_(omaha_response_freep) OmahaResponse *poll = parse_good("good-poll-interval", "a");
    ck_assert_uint_eq(poll->poll_interval_sec, 7200);
    _cleanup_(omaha_response_freep) OmahaResponse *lists = parse_good("good-metadata-lists", "a");
    ck_assert_uint_eq(lists->metadata_size_bytes, 3542);
    ck_assert_str_eq(lists->metadata_signature_base64, "AAAA");
    ck_assert(lists->is_delta);
    ck_assert(lists->disables_backoff);
    ck_assert_uint_eq(lists->max_failures_per_url, 3);
}
END_TEST

START_TEST(the_first_or_the_right_one_counts)
{
    _cleanup_(omaha_response_freep) OmahaResponse *apps =
            parse_good("good-second-app-is-ours", "a");
    ck_assert_int_eq(apps->verdict, OMAHA_NO_UPDATE);
    _cleanup_(omaha_response_freep) OmahaResponse *only =
            parse_good("good-only-app-has-another-id", "a");
    ck_assert_int_eq(only->verdict, OMAHA_NO_UPDATE);
    _cleanup_(omaha_response_freep) OmahaResponse *manifests =
            parse_good("good-second-manifest-is-left-out", "a");
    ck_assert_str_eq(manifests->version, "1");
    ck_assert_uint_eq(manifests->n_packages, 1);
    _cleanup_(omaha_response_freep) OmahaResponse *packages =
            parse_good("good-further-package-is-left-out", "a");
    ck_assert_uint_eq(packages->n_packages, 2);
    ck_assert_str_eq(packages->packages[1].name, "t");
    ck_assert(packages->packages[1].is_required);
}
END_TEST

static UpdateError code_of_name(const char *name)
{
    static const struct {
        const char *prefix;
        UpdateError code;
    } prefixes[] = {
            {"empty-", UPDATE_ERROR_EMPTY_RESPONSE},
            {"xml-", UPDATE_ERROR_XML},
            {"entity-", UPDATE_ERROR_ENTITY},
            {"response-", UPDATE_ERROR_RESPONSE},
    };
    for (size_t i = 0; i < ELEMENTS(prefixes); i++)
        if (strncmp(name, prefixes[i].prefix, strlen(prefixes[i].prefix)) == 0)
            return prefixes[i].code;
    return UPDATE_OK;
}

START_TEST(every_file_of_the_corpus_is_what_its_name_says)
{
    DIR *corpus = opendir(unit_data_path(CORPUS));
    ck_assert_ptr_nonnull(corpus);
    size_t n_bad = 0;
    for (struct dirent *entry; (entry = readdir(corpus));) {
        const char *name = entry->d_name;
        if (name[0] == '.' || strncmp(name, "recorded-", 9) == 0)
            continue;
        OmahaResponse *response = NULL;
        ErrorText error = {0};
        UpdateError result = parse_file(name, "a", &response, &error);
        ck_assert_msg(result == code_of_name(name), "%s: %d %s", name, (int)result, error.line);
        ck_assert_int_eq(result == UPDATE_OK, error.line[0] == '\0');
        n_bad += result != UPDATE_OK;
        omaha_response_free(response);
    }
    closedir(corpus);
    ck_assert_uint_ge(n_bad, 70);
}
END_TEST

START_TEST(the_reason_is_said)
{
    static const struct {
        const char *name, *says;
    } cases[] = {
            {"xml-truncated", "line "},
            {"xml-utf16-bom", "zero bytes"},
            {"xml-nested-40-deep", "nested too deep"},
            {"xml-nine-namespaces", "too many namespaces"},
            {"xml-duplicate-attributes", "Attribute version redefined"},
            {"entity-html-page", "SERVER"},
            {"response-other-root", "SERVER"},
            {"response-no-app", "0 apps"},
            {"response-two-apps-none-ours", "2 apps, and none is a"},
            {"response-no-updatecheck", "whether there is an update"},
            {"response-no-check-status", "unknown updatecheck status \"\""},
            {"response-unknown-check-status", "\"perhaps\""},
            {"response-status-with-line-break", "status that is none"},
            {"response-no-manifest", "without a manifest"},
            {"response-bad-version", "\"2 0\""},
            {"response-no-url", "without a URL"},
            {"response-url-of-a-file", "\"file:///etc/\""},
            {"response-no-package", "of no package"},
            {"response-package-name-above", "\"a/../../p\""},
            {"response-size-zero", "a size of \"0\""},
            {"response-size-above-1-tib", "1 TiB"},
            {"response-no-hash", "without its SHA-256"},
            {"response-hash-sha1-only", "without its SHA-256"},
            {"response-hash-not-base64", "base64"},
            {"response-package-hash-not-hex", "hash_sha256"},
            {"response-two-hashes", "two different"},
            {"response-metadata-size-above-size", "MetadataSize"},
            {"response-metadata-signature-not-base64", "MetadataSignatureRsa"},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        OmahaResponse *response = NULL;
        ErrorText error = {0};
        ck_assert_int_ne(parse_file(cases[i].name, "a", &response, &error), UPDATE_OK);
        ck_assert_msg(
                strstr(error.line, cases[i].says) != NULL, "%s: %s", cases[i].name, error.line);
    }
}
END_TEST

/* An offer cut at any byte is an error, but where only blanks are missing. */
START_TEST(an_offer_that_is_cut_anywhere_is_refused)
{
    _cleanup_free_ char *data = NULL;
    size_t n_bytes;
    ck_assert_int_eq(
            fd_read_file(AT_FDCWD, unit_data_path(CORPUS "/good-smallest"), 4096, &data, &n_bytes),
            0);
    while (data[n_bytes - 1] == '\n')
        n_bytes--;
    for (size_t n = 0; n < n_bytes; n++) {
        OmahaResponse *response = NULL;
        ErrorText error;
        ck_assert_int_eq(parse(data, n, "a", &response, &error),
                n == 0 ? UPDATE_ERROR_EMPTY_RESPONSE : UPDATE_ERROR_XML);
    }
}
END_TEST

/* Reads head, n times middle with '@' counting up, tail; it must not take long. */
static UpdateError parse_repeated(const char *head, const char *middle, size_t n, const char *tail,
        OmahaResponse **ret_response)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes = 0;
    FILE *out = open_memstream(&text, &n_bytes);
    fputs(head, out);
    for (size_t i = 0; i < n; i++)
        for (const char *c = middle; *c != '\0'; c++)
            *c == '@' ? fprintf(out, "%zu", i) : fputc(*c, out);
    fputs(tail, out);
    fclose(out);

    ErrorText error = {0};
    clock_t before = clock();
    UpdateError result = parse(text, n_bytes, "a", ret_response, &error);
    ck_assert_msg(clock() - before < 2 * CLOCKS_PER_SEC, "%s... took too long", head);
    return result;
}

START_TEST(floods_are_bounded)
{
    OmahaResponse *response = NULL;
    ck_assert_int_eq(parse_repeated("<response>", "<a>", 10000, "", &response), UPDATE_ERROR_XML);
    ck_assert_int_eq(parse_repeated("<response>", "<a b='@'/>", 4097, "</response>", &response),
            UPDATE_ERROR_XML);
    ck_assert_int_eq(
            parse_repeated("<response ", "a@='' ", 90000, "/>", &response), UPDATE_ERROR_XML);
    ck_assert_int_eq(
            parse_repeated("<response ", "a@='' ", 4096, "/>", &response), UPDATE_ERROR_RESPONSE);
    ck_assert_int_eq(parse_repeated("<response>", "<app/>", 170000, "</response>", &response),
            UPDATE_ERROR_RESPONSE);
    ck_assert_int_eq(parse_repeated("<response>", "<a@/>", 100000, "</response>", &response),
            UPDATE_ERROR_RESPONSE);
    ck_assert_int_eq(parse_repeated("<!--", "-a", 500000, "--><response/>", &response),
            UPDATE_ERROR_RESPONSE);
    ck_assert_int_eq(parse_repeated("<response a='", "&#38;", 200000, "'/>", &response),
            UPDATE_ERROR_RESPONSE);
    ck_assert_int_eq(parse_repeated("<response>", "]]", 500000, "</response>", &response),
            UPDATE_ERROR_RESPONSE);
    ck_assert_int_eq(parse_repeated(" ", " ", OMAHA_RESPONSE_MAX_BYTES, "<response/>", &response),
            UPDATE_ERROR_RESPONSE);
    ck_assert_ptr_null(response);
}
END_TEST

START_TEST(deltas_are_further_packages)
{
    _cleanup_(omaha_response_freep) OmahaResponse *response =
            parse_good("good-deltas-beside-the-payload", "a");
    ck_assert_uint_eq(response->n_packages, 4);
    const OmahaPackage *packages = response->packages;
    ck_assert_str_eq(packages[0].name, "p");
    ck_assert_ptr_null(packages[0].delta_from);
    ck_assert_str_eq(packages[1].name, "d1");
    ck_assert_str_eq(packages[1].delta_from, "1.0.0");
    ck_assert_str_eq(packages[1].urls[0], "http://h/d1");
    ck_assert_str_eq(packages[1].urls[1], "http://i/x/d1");
    ck_assert_str_eq(packages[2].delta_from, "1.1.0");
    ck_assert_str_eq(packages[3].name, "oem-x.gz");
    ck_assert_ptr_null(packages[3].delta_from);
    ck_assert_ptr_null(packages[3].urls);
}
END_TEST

#define OFFER_HEAD \
    "<response><app appid='a' status='ok'><updatecheck status='ok'><urls><url codebase='http://h'/>"
#define OFFER_MIDDLE "</urls><manifest><packages><package name='p' size='1'/>"
#define OFFER_TAIL                                                                               \
    "</packages><actions><action event='postinstall' "                                           \
    "sha256='5DwvoDpI2RhQh/gsdODQ9nZh6bO2J6g9dirj0ZsEyEc='/></actions></manifest></updatecheck>" \
    "</app></response>"

START_TEST(many_urls_and_packages_are_bounded)
{
    OmahaResponse *response = NULL;
    ck_assert_int_eq(parse_repeated(OFFER_HEAD, "<url codebase='http://h@/'/>", 1000,
                             OFFER_MIDDLE OFFER_TAIL, &response),
            UPDATE_OK);
    ck_assert_uint_eq(response->n_urls, OMAHA_URLS_MAX);
    ck_assert_str_eq(response->urls[0], "http://h/p");
    ck_assert_str_eq(response->urls[31], "http://h30/p");
    omaha_response_free(response);

    ck_assert_int_eq(parse_repeated(OFFER_HEAD OFFER_MIDDLE, "<package name='q@' size='2'/>", 1000,
                             OFFER_TAIL, &response),
            UPDATE_OK);
    ck_assert_uint_eq(response->n_packages, OMAHA_PACKAGES_MAX);
    ck_assert_str_eq(response->packages[0].name, "p");
    ck_assert_str_eq(response->packages[63].name, "q62");
    omaha_response_free(response);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("omaha-response");
    TCase *tcase = unit_case(suite, "omaha-response");
    tcase_add_test(tcase, offers_that_were_recorded);
    tcase_add_test(tcase, refusals_that_were_recorded);
    tcase_add_test(tcase, answers_without_a_verdict_that_were_recorded);
    tcase_add_test(tcase, details_of_good_answers);
    tcase_add_test(tcase, the_first_or_the_right_one_counts);
    tcase_add_test(tcase, every_file_of_the_corpus_is_what_its_name_says);
    tcase_add_test(tcase, the_reason_is_said);
    tcase_add_test(tcase, an_offer_that_is_cut_anywhere_is_refused);
    tcase_add_test(tcase, floods_are_bounded);
    tcase_add_test(tcase, deltas_are_further_packages);
    tcase_add_test(tcase, many_urls_and_packages_are_bounded);
    return suite;
}
