/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http-url.h"

#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    bool is_https;
    bool has_credentials;
    const char *host;
    unsigned port;
} good_urls[] = {
        {"http://a", false, false, "a", 80},
        {"https://example.org:8443/v1/update/?x=y", true, false, "example.org", 8443},
        {"HTTPS://example.org/", true, false, "example.org", 443},
        {"http://[::1]:81/", false, false, "[::1]", 81},
        {"http://127.0.0.1/a%20b", false, false, "127.0.0.1", 80},
        {"https://user:word@host/", true, true, "host", 443},
        {"https://user@host/", true, true, "host", 443},
};

START_TEST(a_good_url_is_taken_apart)
{
    _cleanup_(http_url_done) HttpUrl url = {.host = NULL};
    ck_assert_int_eq(http_url_parse(good_urls[_i].text, &url), 0);
    ck_assert(url.is_https == good_urls[_i].is_https);
    ck_assert(url.has_credentials == good_urls[_i].has_credentials);
    ck_assert_str_eq(url.host, good_urls[_i].host);
    ck_assert_uint_eq(url.port, good_urls[_i].port);
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

static const struct {
    const char *a, *b;
    bool is_same;
} pairs[] = {
        {"https://host/a", "https://HOST:443/b?c", true},
        {"https://host/", "https://host:8443/", false},
        {"https://host:8443/", "https://host:8444/", false},
        {"https://host/", "http://host:443/", false},
        {"https://host/", "https://host.example/", false},
};

START_TEST(an_origin_is_scheme_host_and_port)
{
    _cleanup_(http_url_done) HttpUrl a = {.host = NULL}, b = {.host = NULL};
    ck_assert_int_eq(http_url_parse(pairs[_i].a, &a), 0);
    ck_assert_int_eq(http_url_parse(pairs[_i].b, &b), 0);
    ck_assert(http_url_is_same_origin(&a, &b) == pairs[_i].is_same);
}
END_TEST

static const struct {
    const char *text, *shown;
} secrets[] = {
        {"https://host/v1/update/", "https://host/v1/update/"},
        {"https://host/pkg@1.0/x?mail=a@b", "https://host/pkg@1.0/x?***"},
        {"https://user:word@host:1/p@th", "https://***@host:1/p@th"},
        {"http://user:word@host/?a@b", "http://***@host/?***"},
        {"http://us@er:word@host/", "http://***@host/"},
        /* No addresses, perhaps by one wrong character in the password. */
        {"https://user:wo/rd@host/", "https://***@host/"},
        {"htps://user:word@host/", "htps://***@host/"},
        {"user:word@host", "***@host"},
        {"user:word@host/?http://a@b", "***@b"},
        {"https:/user:word@host", "***@host"},
        {"", ""},
};

START_TEST(a_secret_is_not_shown)
{
    ck_assert_str_eq(http_url_show(secrets[_i].text).text, secrets[_i].shown);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("http-url");
    TCase *tcase = unit_case(suite, "http-url");
    tcase_add_loop_test(tcase, a_good_url_is_taken_apart, 0, ELEMENTS(good_urls));
    tcase_add_loop_test(tcase, a_bad_url_is_refused, 0, ELEMENTS(bad_urls));
    tcase_add_test(tcase, the_length_is_bounded);
    tcase_add_loop_test(tcase, an_origin_is_scheme_host_and_port, 0, ELEMENTS(pairs));
    tcase_add_loop_test(tcase, a_secret_is_not_shown, 0, ELEMENTS(secrets));
    return suite;
}
