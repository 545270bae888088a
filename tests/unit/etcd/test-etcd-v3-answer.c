/* SPDX-License-Identifier: Apache-2.0 */

/* Answers as etcd 3.4.23 and 3.5.16 gave them, and what others may give. */

#include "locksmith/lock/etcd/etcd-v3-answer.h"

#include <string.h>

#include "tests/unit/unit.h"

#define HEADER                                                                                   \
    "\"header\":{\"cluster_id\":\"2037210783374497686\",\"member_id\":\"13195394291058371180\"," \
    "\"revision\":\"2\",\"raft_term\":\"2\"}"
#define KV                                                                       \
    "{\"key\":\"Y29yZW9zLmNvbS91cGRhdGVlbmdpbmUvcmVib290bG9jay9zZW1hcGhvcmU=\"," \
    "\"create_revision\":\"2\",\"mod_revision\":\"2\",\"version\":\"1\","        \
    "\"value\":\"eyJzZW1hcGhvcmUiOjAsIm1heCI6MSwiaG9sZGVycyI6WyJtMSJdfQ==\"}"

static EtcdVerdict read_text(
        unsigned status, const char *text, EtcdV3Answer *answer, ErrorText *error)
{
    *error = (ErrorText){0};
    return etcd_v3_read_answer(status, text, strlen(text), answer, error);
}

static void assert_holds_pair(const char *text)
{
    ErrorText error;
    _cleanup_(etcd_v3_answer_done) EtcdV3Answer answer = {0};
    ck_assert_msg(read_text(200, text, &answer, &error) == ETCD_DONE, "%s", error.line);
    ck_assert_uint_eq(answer.revision, 2);
    ck_assert_uint_eq(answer.n_ranges, 1);
    ck_assert_uint_eq(answer.n_pairs, 1);
    ck_assert_str_eq(answer.pairs[0].key, "coreos.com/updateengine/rebootlock/semaphore");
    ck_assert_uint_eq(answer.pairs[0].n_key_bytes, strlen(answer.pairs[0].key));
    ck_assert_str_eq(answer.pairs[0].value, "{\"semaphore\":0,\"max\":1,\"holders\":[\"m1\"]}");
    ck_assert_uint_eq(answer.pairs[0].n_value_bytes, strlen(answer.pairs[0].value));
    ck_assert_uint_eq(answer.pairs[0].mod_revision, 2);
    ck_assert(!answer.is_swapped);
}

START_TEST(a_range_holds_the_pair)
{
    assert_holds_pair("{" HEADER ",\"kvs\":[" KV "],\"count\":\"1\"}");
    assert_holds_pair("{ " HEADER ", \"kvs\" : [ " KV " ], \"count\" : 1 }"); /* 3.5: blanks */
    assert_holds_pair("{\"kvs\":[" KV "]," HEADER ",\"future\":{}}");
}
END_TEST

START_TEST(a_missing_key_is_an_empty_range)
{
    ErrorText error;
    _cleanup_(etcd_v3_answer_done) EtcdV3Answer answer = {0};
    ck_assert_int_eq(read_text(200, "{" HEADER "}", &answer, &error), ETCD_DONE);
    ck_assert_uint_eq(answer.n_ranges, 1);
    ck_assert_uint_eq(answer.n_pairs, 0);
}
END_TEST

START_TEST(a_read_is_two_ranges)
{
    ErrorText error;
    _cleanup_(etcd_v3_answer_done) EtcdV3Answer answer = {0};
    ck_assert_int_eq(
            read_text(200,
                    "{" HEADER ",\"succeeded\":true,\"responses\":["
                    "{\"response_range\":{\"header\":{\"revision\":\"2\"},\"kvs\":[" KV
                    "],\"count\":\"1\"}},{\"response_range\":{\"header\":{\"revision\":\"2\"}}}]}",
                    &answer, &error),
            ETCD_DONE);
    ck_assert_uint_eq(answer.n_ranges, 2);
    ck_assert_uint_eq(answer.n_pairs, 1);
    ck_assert(answer.is_swapped);
}
END_TEST

START_TEST(a_swap_says_whether_it_was_done)
{
    ErrorText error;
    _cleanup_(etcd_v3_answer_done) EtcdV3Answer answer = {0};
    ck_assert_int_eq(read_text(200,
                             "{" HEADER ",\"succeeded\":true,\"responses\":["
                             "{\"response_put\":{\"header\":{\"revision\":\"3\"}}}]}",
                             &answer, &error),
            ETCD_DONE);
    ck_assert(answer.is_swapped);
    ck_assert_uint_eq(answer.n_ranges, 0);
    assert_holds_pair("{" HEADER ",\"responses\":[{\"response_range\":{\"header\":"
                      "{\"revision\":\"2\"},\"kvs\":[" KV "],\"count\":\"1\"}}]}");
}
END_TEST

START_TEST(a_token_is_read)
{
    ErrorText error = {0};
    _cleanup_(etcd_v3_answer_done) EtcdV3Answer answer = {0};
    const char *text = "{" HEADER ",\"token\":\"NBIFJQZdkQwlehdt.17\"}";
    ck_assert_int_eq(etcd_v3_read_login(200, text, strlen(text), &answer, &error), ETCD_DONE);
    ck_assert_str_eq(answer.token, "NBIFJQZdkQwlehdt.17");
}
END_TEST

START_TEST(a_cluster_without_users_needs_no_token)
{
    ErrorText error = {0};
    _cleanup_(etcd_v3_answer_done) EtcdV3Answer answer = {0};
    const char *text = "{\"error\":\"etcdserver: authentication is not enabled\",\"message\":"
                       "\"etcdserver: authentication is not enabled\",\"code\":9}";
    ck_assert_int_eq(etcd_v3_read_login(412, text, strlen(text), &answer, &error), ETCD_DONE);
    ck_assert_ptr_null(answer.token);
    ck_assert_str_eq(error.line, "");
    text = "{" HEADER "}";
    ck_assert_int_eq(etcd_v3_read_login(200, text, strlen(text), &answer, &error), ETCD_UNCLEAR);
}
END_TEST

/* What each release says, what it means, and a word of what a person is told. */
static const struct {
    unsigned status;
    const char *text;
    EtcdVerdict verdict;
    const char *word;
} errors[] = {
        {503, "{\"error\":\"etcdserver: no leader\",\"message\":\"etcdserver: no leader\",\"code\":14}",
                ETCD_ELSEWHERE, "no leader"},
        {503, "{\"code\":14, \"message\":\"etcdserver: no leader\"}", ETCD_ELSEWHERE, "members up"},
        {503,
                "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"etcdserver: no leader\","
                "\"http_status\":\"Service Unavailable\"}}",
                ETCD_ELSEWHERE, "no leader"},
        {503, "{\"error\":{\"code\":14,\"message\":\"etcdserver: no leader\"}}", ETCD_ELSEWHERE,
                "no leader"},
        {503,
                "{\"error\":\"etcdserver: request timed out\",\"message\":\"etcdserver: request timed "
                "out\",\"code\":14}",
                ETCD_UNCLEAR, "request timed out"},
        {500,
                "{\"error\":\"context deadline exceeded\",\"message\":\"context deadline exceeded\","
                "\"code\":2}",
                ETCD_UNCLEAR, "context deadline exceeded"},
        {504, "{\"code\":4, \"message\":\"context deadline exceeded\"}", ETCD_UNCLEAR, "code 4"},
        {401,
                "{\"error\":\"etcdserver: invalid auth token\",\"message\":\"etcdserver: invalid auth "
                "token\",\"code\":16}",
                ETCD_LOGIN, "login"},
        {400,
                "{\"error\":\"etcdserver: user name is empty\",\"message\":\"etcdserver: user name is "
                "empty\",\"code\":3}",
                ETCD_LOGIN, "password"},
        {400, "{\"code\":3, \"message\":\"etcdserver: revision of auth store is old\"}", ETCD_LOGIN,
                "users changed"},
        {400,
                "{\"code\":3, \"message\":\"etcdserver: authentication failed, invalid user ID or "
                "password\"}",
                ETCD_REFUSED, "wrong user or password"},
        {403, "{\"code\":7, \"message\":\"etcdserver: permission denied\"}", ETCD_REFUSED,
                "READWRITE"},
        {429, "{\"code\":8, \"message\":\"etcdserver: mvcc: database space exceeded\"}",
                ETCD_REFUSED, "alarm disarm"},
        {429, "{\"code\":8, \"message\":\"etcdserver: too many requests\"}", ETCD_ELSEWHERE,
                "too much"},
        {400, "{\"code\":3, \"message\":\"etcdserver: duplicate key given in txn request\"}",
                ETCD_REFUSED, "duplicate key"},
        {404, "{\"code\":5, \"message\":\"Not Found\"}", ETCD_OFF, "gateway"},
        {501, "{\"code\":12, \"message\":\"Method Not Allowed\"}", ETCD_OFF, "gateway"},
        {404, "404 page not found\n", ETCD_OFF, "--enable-grpc-gateway"},
        {404, "Not Found", ETCD_OFF, "gateway"},
        {405, "Method Not Allowed", ETCD_OFF, "gateway"},
        {400,
                "CommonName of client sending a request against gateway will be ignored and not used as "
                "expected",
                ETCD_OFF, "CommonName"},
        {302, "<html>", ETCD_OFF, "302"},
        {502, "<html>Bad Gateway</html>", ETCD_UNCLEAR, "502"},
        {200, "<html>log in to this network</html>", ETCD_UNCLEAR, "no JSON"},
        {200, "", ETCD_UNCLEAR, "no JSON"},
        {200, "[]", ETCD_UNCLEAR, "no JSON"},
        {200, "{}", ETCD_UNCLEAR, "none that etcd v3 gives"},
        {500, "{" HEADER "}", ETCD_UNCLEAR, "none that etcd v3 gives"},
        {200, "{\"header\":{\"revision\":\"-1\"}}", ETCD_UNCLEAR, "none"},
        {200, "{\"header\":{\"revision\":\"99999999999999999999\"}}", ETCD_UNCLEAR, "none"},
        {200, "{\"header\":{\"revision\":\"9223372036854775808\"}}", ETCD_UNCLEAR, "none"},
        {200, "{\"header\":{\"revision\":1.5}}", ETCD_UNCLEAR, "none"},
        {200, "{\"header\":{\"revision\":\"\"}}", ETCD_UNCLEAR, "none"},
        {200, "{" HEADER ",\"succeeded\":1}", ETCD_UNCLEAR, "none"},
        {200, "{" HEADER ",\"kvs\":{}}", ETCD_UNCLEAR, "none"},
        {200, "{" HEADER ",\"kvs\":[{}]}", ETCD_UNCLEAR, "none"},
        {200, "{" HEADER ",\"kvs\":[{\"key\":\"YQ==\"}]}", ETCD_UNCLEAR, "none"},
        {200, "{" HEADER ",\"kvs\":[{\"key\":\"YQ\",\"mod_revision\":\"1\"}]}", ETCD_UNCLEAR,
                "none"},
        {200, "{" HEADER ",\"kvs\":[{\"key\":\"YQ==\",\"value\":7,\"mod_revision\":\"1\"}]}",
                ETCD_UNCLEAR, "none"},
        {200, "{" HEADER ",\"responses\":[{\"response_range\":[]}]}", ETCD_UNCLEAR, "none"},
        {200, "{" HEADER ",\"token\":\"a b\"}", ETCD_UNCLEAR, "none"},
        {200, "{" HEADER ",\"token\":\"a\\r\\nHost: b\"}", ETCD_UNCLEAR, "none"},
        {200, "{" HEADER ",\"token\":\"\"}", ETCD_UNCLEAR, "none"},
};

START_TEST(an_error_is_told_apart)
{
    ErrorText error;
    EtcdV3Answer answer = {0};
    ck_assert_int_eq(
            read_text(errors[_i].status, errors[_i].text, &answer, &error), errors[_i].verdict);
    ck_assert_msg(strstr(error.line, errors[_i].word) != NULL, "%s", error.line);
    ck_assert_uint_eq(answer.n_pairs, 0);
}
END_TEST

static const struct {
    const char *line;
    EtcdNews news;
    uint64_t revision;
    const char *word;
} news[] = {
        {"{\"result\":{" HEADER ",\"created\":true}}", ETCD_NEWS_NONE, 0, NULL},
        {"{\"result\":{" HEADER "}}", ETCD_NEWS_NONE, 0, NULL}, /* progress */
        {"{\"result\":{" HEADER ",\"events\":[{\"kv\":" KV "}]}}", ETCD_NEWS_CHANGED, 2, NULL},
        {"{\"result\":{" HEADER ",\"events\":[{\"kv\":" KV "},{\"type\":\"DELETE\",\"kv\":{\"key\":"
         "\"YQ==\",\"mod_revision\":\"10\"}}]}}",
                ETCD_NEWS_CHANGED, 0, NULL},
        {"{\"result\":{" HEADER ",\"canceled\":true,\"compact_revision\":\"10\"}}",
                ETCD_NEWS_OUTDATED, 10, "compacted"},
        {"{\"result\":{" HEADER ",\"watch_id\":\"-1\",\"created\":true,\"canceled\":true,"
         "\"cancel_reason\":\"rpc error: code = InvalidArgument desc = etcdserver: user name is "
         "empty\"}}",
                ETCD_NEWS_ENDED, 0, "user name is empty"},
        {"{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"etcdserver: no leader\","
         "\"http_status\":\"Service Unavailable\"}}",
                ETCD_NEWS_ENDED, 0, "no leader"},
        {"{\"error\":{\"code\":14,\"message\":\"etcdserver: no leader\"}}", ETCD_NEWS_ENDED, 0,
                "no leader"},
        {"{\"error\":\"etcdserver: invalid auth token\",\"code\":16,\"message\":\"etcdserver: invalid "
         "auth token\"}",
                ETCD_NEWS_ENDED, 0, "login"},
        {"404 page not found", ETCD_NEWS_ENDED, 0, "no JSON"},
        {"{}", ETCD_NEWS_ENDED, 0, "no JSON"},
        {"{\"result\":[]}", ETCD_NEWS_ENDED, 0, "no JSON"},
};

START_TEST(news_are_read)
{
    ErrorText error = {0};
    uint64_t revision = 0;
    ck_assert_int_eq(etcd_v3_read_news(news[_i].line, strlen(news[_i].line), &revision, &error),
            news[_i].news);
    ck_assert_uint_eq(revision, news[_i].revision);
    if (news[_i].word)
        ck_assert_msg(strstr(error.line, news[_i].word) != NULL, "%s", error.line);
}
END_TEST

/* As a server would have it that wants our memory: valid, and for its size worth a hundred times as
 * much. */
START_TEST(an_answer_of_too_many_values_is_refused)
{
    enum { N = 1000 * 1000 };
    ErrorText error = {0};
    uint64_t revision = 0;
    EtcdV3Answer answer = {0};
    char *text = malloc(3 * N + 200);
    char *end = stpcpy(text, "{" HEADER ",\"future\":[");
    for (int i = 0; i < N; i++)
        end = stpcpy(end, "{},");
    end = stpcpy(end, "{}]}");
    size_t n_bytes = (size_t)(end - text);
    ck_assert_int_eq(etcd_v3_read_answer(200, text, n_bytes, &answer, &error), ETCD_UNCLEAR);
    ck_assert_int_eq(etcd_v3_read_login(200, text, n_bytes, &answer, &error), ETCD_UNCLEAR);
    memcpy(text, "{\"result\":{\"events\":[{}],", 26);
    memset(text + 26, ' ', sizeof("{" HEADER ",") - 27);
    memcpy(end, "}", 2);
    ck_assert_int_eq(etcd_v3_read_news(text, n_bytes + 1, &revision, &error), ETCD_NEWS_ENDED);
    free(text);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("etcd-v3-answer");
    TCase *tcase = unit_case(suite, "etcd-v3-answer");
    tcase_add_test(tcase, a_range_holds_the_pair);
    tcase_add_test(tcase, a_missing_key_is_an_empty_range);
    tcase_add_test(tcase, a_read_is_two_ranges);
    tcase_add_test(tcase, a_swap_says_whether_it_was_done);
    tcase_add_test(tcase, a_token_is_read);
    tcase_add_test(tcase, a_cluster_without_users_needs_no_token);
    tcase_add_loop_test(tcase, an_error_is_told_apart, 0, ELEMENTS(errors));
    tcase_add_loop_test(tcase, news_are_read, 0, ELEMENTS(news));
    tcase_add_test(tcase, an_answer_of_too_many_values_is_refused);
    return suite;
}
