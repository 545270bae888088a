/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http-url.h"

#include <string.h>

#include "tests/unit/unit.h"

static const struct {
    const char *text;
    bool is_https;
    bool has_credentials;
    const char *host;
} good_urls[] = {
        {"http://a", false, false, "a"},
        {"https://example.org:8443/v1/update/?x=y", true, false, "example.org"},
        {"HTTPS://example.org/", true, false, "example.org"},
        {"http://[::1]:80/", false, false, "[::1]"},
        {"http://127.0.0.1/a%20b", false, false, "127.0.0.1"},
        {"https://user:word@host/", true, true, "host"},
        {"https://user@host/", true, true, "host"},
};

START_TEST(a_good_url_is_taken_apart)
{
    _cleanup_(http_url_done) HttpUrl url = {.host = NULL};
    ck_assert_int_eq(http_url_parse(good_urls[_i].text, &url), 0);
    ck_assert(url.is_https == good_urls[_i].is_https);
    ck_assert(url.has_credentials == good_urls[_i].has_credentials);
    ck_assert_str_eq(url.host, good_urls[_i].host);
}
END_TEST

static const char *const bad_urls[] = {"", "/", "host", "host:80", "//host/", "file:///etc/passwd",
        "ftp://host/", "javascript:x", "http:", "http:/host", "http://", "http:///host",
        "https:////host", "http://:80/", "http://host:99999/", "http://host:x/", "http://[::1/",
        "http://ho st/", "http://host/a b", "http://host/\n", " http://host/", "http://h\x7f/"};

START_TEST(a_bad_url_is_refused)
{
    HttpUrl url = {.host = NULL};
    ck_assert_int_eq(http_url_parse(bad_urls[_i], &url), -EINVAL);
    ck_assert_ptr_null(url.host);
}
END_TEST

START_TEST(the_length_is_bounded)
{
    char text[HTTP_URL_MAX_CHARS + 2];
    memset(text, 'a', sizeof(text));
    memcpy(text, "http://h/", 9);
    text[sizeof(text) - 1] = '\0';
    HttpUrl url = {.host = NULL};
    ck_assert_int_eq(http_url_parse(text, &url), -EINVAL);
    text[sizeof(text) - 2] = '\0';
    ck_assert_int_eq(http_url_parse(text, &url), 0);
    http_url_done(&url);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("http-url");
    TCase *tcase = unit_case(suite, "http-url");
    tcase_add_loop_test(tcase, a_good_url_is_taken_apart, 0, ELEMENTS(good_urls));
    tcase_add_loop_test(tcase, a_bad_url_is_refused, 0, ELEMENTS(bad_urls));
    tcase_add_test(tcase, the_length_is_bounded);
    return suite;
}
