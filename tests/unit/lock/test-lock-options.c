/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/lock-options.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

/* One set of options; what is not said is as it must be. */
typedef struct {
    LockStoreKind store;
    const char *endpoint;
    size_t n_endpoints; /* 0: one; the same each time */
    const char *group;
    const char *cert_file, *key_file;
    const char *user, *password;
    const char *says; /* NULL: good */
} Case;

static const Case cases[] = {
        {.endpoint = "http://127.0.0.1:2379"},
        {.endpoint = "https://[::1]:2379/", .n_endpoints = 16, .group = "a b/\xc3\xa9"},
        {.endpoint = "http://h", .user = "u", .password = "p"},
        {.endpoint = "http://h", .cert_file = "c", .key_file = "k"},
        {.store = LOCK_STORE_FLEET_LOCK, .endpoint = "http://h/base/path/", .group = "a.B-9"},
        {.store = LOCK_STORE_FLEET_LOCK, .endpoint = "https://h", .user = "u", .password = "p"},

        {.endpoint = "127.0.0.1:2379", .says = "write http://HOST:PORT"},
        {.endpoint = "", .says = "no address"},
        {.endpoint = "ftp://h", .says = "ftp://h is no address"},
        {.endpoint = "http://h/path", .says = "nothing may follow the port"},
        {.endpoint = "http://h?q", .says = "nothing may follow the port"},
        {.endpoint = "http://u:secret@h", .says = "user or password in it"},
        {.endpoint = "http://h", .n_endpoints = 17, .says = "at most 16"},
        {.endpoint = "http://h", .group = "..", .says = "group .. will not do"},
        {.endpoint = "http://h", .group = "a\n", .says = "group a? will not do"},
        {.endpoint = "http://h", .cert_file = "c", .says = "needs its key"},
        {.endpoint = "http://h", .key_file = "k", .says = "needs its key"},
        {.endpoint = "http://h", .user = "u", .says = "needs a password"},
        {.endpoint = "http://h", .password = "p", .says = "needs a password"},
        {.endpoint = "http://h", .user = "\xff", .password = "p", .says = "UTF-8"},
        {.endpoint = "http://h", .user = "u", .password = "\xff", .says = "UTF-8"},
        {.endpoint = "http://h", .user = "a:b", .password = "p"},
        {.store = LOCK_STORE_ETCD_V2,
                .endpoint = "http://h",
                .user = "a:b",
                .password = "p",
                .says = "colon"},
        {.store = LOCK_STORE_FLEET_LOCK,
                .endpoint = "http://h",
                .n_endpoints = 2,
                .says = "at most 1"},
        {.store = LOCK_STORE_FLEET_LOCK, .endpoint = "http://h/b?q", .says = "follow the path"},
        {.store = LOCK_STORE_FLEET_LOCK,
                .endpoint = "http://h",
                .group = "a_b",
                .says = "letters, digits, dots"},
        {.store = LOCK_STORE_FLEET_LOCK,
                .endpoint = "http://h",
                .user = "u",
                .password = "p",
                .says = "https alone"},
};

START_TEST(options_are_judged)
{
    const Case *c = cases + _i;
    const char *endpoints[17];
    for (size_t i = 0; i < ELEMENTS(endpoints); i++)
        endpoints[i] = c->endpoint;
    LockOptions options = {
            .store = c->store,
            .endpoints = endpoints,
            .n_endpoints = c->n_endpoints ? c->n_endpoints : 1,
            .group = c->group ? c->group : "",
            .cert_file = c->cert_file,
            .key_file = c->key_file,
            .user = c->user,
            .password = c->password,
    };
    ErrorText error = {""};
    int r = lock_options_check(&options, &error);
    ck_assert_msg(r == (c->says ? -EINVAL : 0), "%s: %d: %s", c->endpoint, r, error.line);
    ck_assert_msg(strstr(error.line, c->says ? c->says : ""), "%s", error.line);
    ck_assert((r == 0) == (error.line[0] == '\0'));
    ck_assert_ptr_null(strstr(error.line, "secret"));
}
END_TEST

START_TEST(a_lock_needs_a_server)
{
    ErrorText error = {""};
    LockOptions options = {.group = ""};
    ck_assert_int_eq(lock_options_check(&options, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "no server"));
}
END_TEST

START_TEST(a_password_without_tls_is_noticed)
{
    static const struct {
        const char *endpoint;
        bool is_open;
    } places[] = {{"http://etcd.example:2379", true}, {"http://192.0.2.1:2379", true},
            {"https://etcd.example:2379", false}, {"http://127.0.0.1:2379", false},
            {"http://localhost:2379", false}, {"http://[::1]:2379", false}};
    for (size_t i = 0; i < ELEMENTS(places); i++) {
        const char *endpoints[] = {"https://a", places[i].endpoint};
        LockOptions options = {
                .endpoints = endpoints, .n_endpoints = 2, .user = "u", .password = "p"};
        ck_assert_msg(
                lock_options_are_open(&options) == places[i].is_open, "%s", places[i].endpoint);
        options.user = options.password = NULL;
        ck_assert(!lock_options_are_open(&options));
    }
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("lock-options");
    TCase *tcase = unit_case(suite, "options");
    tcase_add_loop_test(tcase, options_are_judged, 0, (int)ELEMENTS(cases));
    tcase_add_test(tcase, a_lock_needs_a_server);
    tcase_add_test(tcase, a_password_without_tls_is_noticed);
    return suite;
}
