/* SPDX-License-Identifier: Apache-2.0 */

/* Answers as etcd 3.4.23 gave them on its v2 keys, and what others may give. */

#include "locksmith/lock/etcd/etcd-v2-answer.h"

#include <string.h>

#include "tests/unit/unit.h"

#define KEY "/coreos.com/updateengine/rebootlock/semaphore"
#define NODE                                                                                       \
    "{\"key\":\"" KEY "\",\"value\":\"{\\\"semaphore\\\":1,\\\"max\\\":1,\\\"holders\\\":null}\"," \
    "\"modifiedIndex\":14,\"createdIndex\":14}"

static EtcdVerdict read_text(
        unsigned status, const char *text, EtcdV2Answer *answer, ErrorText *error)
{
    *error = (ErrorText){0};
    return etcd_v2_read_answer(status, text, strlen(text), answer, error);
}

static void assert_found(unsigned status, const char *text)
{
    ErrorText error;
    _cleanup_(etcd_v2_answer_done) EtcdV2Answer answer = {.nodes = NULL};
    ck_assert_msg(read_text(status, text, &answer, &error) == ETCD_DONE, "%s", error.line);
    ck_assert_int_eq(answer.outcome, ETCD_V2_FOUND);
    ck_assert_uint_eq(answer.n_nodes, 1);
    ck_assert_str_eq(answer.nodes[0].key, KEY);
    ck_assert_str_eq(answer.nodes[0].value, "{\"semaphore\":1,\"max\":1,\"holders\":null}");
    ck_assert_uint_eq(answer.nodes[0].modified_index, 14);
}

START_TEST(a_node_is_read)
{
    assert_found(200, "{\"action\":\"get\",\"node\":" NODE "}\n");
    assert_found(201, "{\"action\":\"create\",\"node\":" NODE "}\n");
    assert_found(200, "{\"action\":\"compareAndSwap\",\"node\":" NODE ",\"prevNode\":" NODE "}");
}
END_TEST

START_TEST(folders_are_gone_through)
{
    ErrorText error;
    _cleanup_(etcd_v2_answer_done) EtcdV2Answer answer = {.nodes = NULL};
    const char *text = "{\"action\":\"get\",\"node\":{\"key\":\"/a\",\"dir\":true,\"nodes\":["
                       "{\"key\":\"/a/empty\",\"dir\":true,\"modifiedIndex\":4,\"createdIndex\":4},"
                       "{\"key\":\"/a/b\",\"dir\":true,\"nodes\":[" NODE "]}," NODE "]}}";
    ck_assert_int_eq(read_text(200, text, &answer, &error), ETCD_DONE);
    ck_assert_uint_eq(answer.n_nodes, 2);
}
END_TEST

START_TEST(folders_are_not_gone_through_for_ever)
{
    char text[4096] = "{\"node\":";
    ErrorText error;
    EtcdV2Answer answer = {.nodes = NULL};
    for (int i = 0; i < 20; i++)
        strcat(text, "{\"key\":\"/a\",\"dir\":true,\"nodes\":[");
    for (int i = 0; i < 20; i++)
        strcat(text, "]}");
    strcat(text, "}");
    ck_assert_int_eq(read_text(200, text, &answer, &error), ETCD_UNCLEAR);
}
END_TEST

static const struct {
    unsigned status;
    const char *text;
    EtcdV2Outcome outcome;
    uint64_t index;
} outcomes[] = {
        {404, "{\"errorCode\":100,\"message\":\"Key not found\",\"cause\":\"/a\",\"index\":25}",
                ETCD_V2_MISSING, 25},
        {412, "{\"errorCode\":101,\"message\":\"Compare failed\",\"cause\":\"[1 != 13]\",\"index\":25}",
                ETCD_V2_CONFLICT, 25},
        {412, "{\"errorCode\":105,\"message\":\"Key already exists\",\"cause\":\"/a\",\"index\":14}",
                ETCD_V2_CONFLICT, 14},
        {400,
                "{\"errorCode\":401,\"message\":\"The event in requested index is outdated and cleared\","
                "\"cause\":\"the requested history has been cleared [1008/8]\",\"index\":2007}",
                ETCD_V2_OUTDATED, 2007},
};

START_TEST(some_errors_are_answers)
{
    ErrorText error;
    EtcdV2Answer answer = {.nodes = NULL};
    ck_assert_int_eq(read_text(outcomes[_i].status, outcomes[_i].text, &answer, &error), ETCD_DONE);
    ck_assert_int_eq(answer.outcome, outcomes[_i].outcome);
    ck_assert_uint_eq(answer.index, outcomes[_i].index);
}
END_TEST

static const struct {
    unsigned status;
    const char *text;
    EtcdVerdict verdict;
    const char *word;
} errors[] = {
        {403, "{\"errorCode\":102,\"message\":\"Not a file\",\"cause\":\"/a\",\"index\":3}",
                ETCD_REFUSED, "folder"},
        {400, "{\"errorCode\":104,\"message\":\"Not a directory\",\"cause\":\"/a\",\"index\":3}",
                ETCD_REFUSED, "plain key"},
        {400,
                "{\"errorCode\":203,\"message\":\"The given index in POST form is not a number\","
                "\"cause\":\"invalid value for \\\"prevIndex\\\"\",\"index\":0}",
                ETCD_REFUSED, "203"},
        {401,
                "{\"errorCode\":110,\"message\":\"The request requires user authentication\","
                "\"cause\":\"Insufficient credentials\",\"index\":0}",
                ETCD_REFUSED, "user and a password"},
        {500,
                "{\"errorCode\":300,\"message\":\"Raft Internal Error\",\"cause\":\"etcdserver: request "
                "timed out\",\"index\":0}",
                ETCD_UNCLEAR, "members up"},
        {500, "{\"errorCode\":301,\"message\":\"During Leader Election\",\"cause\":\"\",\"index\":0}",
                ETCD_UNCLEAR, "leader"},
        {500, "{\"errorCode\":999,\"message\":\"new\",\"cause\":\"new\"}", ETCD_UNCLEAR, "999"},
        {404, "404 page not found\n", ETCD_OFF, "--enable-v2=true"},
        {405, "Method Not Allowed", ETCD_OFF, "405"},
        {307, "", ETCD_OFF, "307"},
        {503, "upstream", ETCD_UNCLEAR, "503"},
        {200, "<html>", ETCD_UNCLEAR, "no JSON"},
        {200, "{}", ETCD_UNCLEAR, "none that etcd v2 gives"},
        {204, "{\"node\":" NODE "}", ETCD_UNCLEAR, "204"},
        {200, "{\"node\":[]}", ETCD_UNCLEAR, "none"},
        {200, "{\"node\":{\"key\":\"a\",\"value\":\"\",\"modifiedIndex\":1}}", ETCD_UNCLEAR,
                "none"},
        {200, "{\"node\":{\"key\":\"/a\",\"value\":1,\"modifiedIndex\":1}}", ETCD_UNCLEAR, "none"},
        {200, "{\"node\":{\"key\":\"/a\",\"value\":\"\",\"modifiedIndex\":0}}", ETCD_UNCLEAR,
                "none"},
        {200, "{\"node\":{\"key\":\"/a\",\"value\":\"\",\"modifiedIndex\":-1}}", ETCD_UNCLEAR,
                "none"},
        {200, "{\"node\":{\"key\":\"/a\",\"dir\":true,\"nodes\":7}}", ETCD_UNCLEAR, "none"},
};

START_TEST(an_error_is_told_apart)
{
    ErrorText error;
    EtcdV2Answer answer = {.nodes = NULL};
    ck_assert_int_eq(
            read_text(errors[_i].status, errors[_i].text, &answer, &error), errors[_i].verdict);
    ck_assert_msg(strstr(error.line, errors[_i].word) != NULL, "%s", error.line);
}
END_TEST

static const struct {
    const char *line;
    EtcdNews news;
    uint64_t revision;
} news[] = {
        {"{\"action\":\"compareAndSwap\",\"node\":" NODE ",\"prevNode\":" NODE "}",
                ETCD_NEWS_CHANGED, 14},
        {"{\"action\":\"create\",\"node\":" NODE "}", ETCD_NEWS_CHANGED, 14},
        {"{\"action\":\"delete\",\"node\":{\"key\":\"/a\",\"modifiedIndex\":15,\"createdIndex\":14}}",
                ETCD_NEWS_CHANGED, 0},
        {"{\"action\":\"expire\",\"node\":{\"key\":\"/a\",\"modifiedIndex\":15,\"createdIndex\":14}}",
                ETCD_NEWS_CHANGED, 0},
        {"{\"errorCode\":401,\"message\":\"\",\"cause\":\"\",\"index\":2007}", ETCD_NEWS_OUTDATED,
                2007},
        {"{\"errorCode\":110,\"message\":\"\",\"cause\":\"\",\"index\":0}", ETCD_NEWS_ENDED, 0},
        {"{\"errorCode\":100,\"message\":\"\",\"cause\":\"\",\"index\":0}", ETCD_NEWS_ENDED, 0},
        {"404 page not found", ETCD_NEWS_ENDED, 0},
};

START_TEST(news_are_read)
{
    ErrorText error = {0};
    uint64_t revision = 0;
    ck_assert_int_eq(etcd_v2_read_news(news[_i].line, strlen(news[_i].line), &revision, &error),
            news[_i].news);
    ck_assert_uint_eq(revision, news[_i].revision);
}
END_TEST

START_TEST(an_answer_of_too_many_values_is_refused)
{
    enum { N = 1000 * 1000 };
    ErrorText error = {0};
    uint64_t revision = 0;
    EtcdV2Answer answer = {.nodes = NULL};
    char *text = malloc(3 * N + 200);
    char *end = stpcpy(text,
            "{\"action\":\"set\",\"node\":{\"key\":\"/a\",\"value\":\"\",\"modifiedIndex\":1},"
            "\"future\":[");
    for (int i = 0; i < N; i++)
        end = stpcpy(end, "{},");
    end = stpcpy(end, "{}]}");
    size_t n_bytes = (size_t)(end - text);
    ck_assert_int_eq(etcd_v2_read_answer(200, text, n_bytes, &answer, &error), ETCD_UNCLEAR);
    ck_assert_int_eq(etcd_v2_read_news(text, n_bytes, &revision, &error), ETCD_NEWS_ENDED);
    free(text);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("etcd-v2-answer");
    TCase *tcase = unit_case(suite, "etcd-v2-answer");
    tcase_add_test(tcase, a_node_is_read);
    tcase_add_test(tcase, folders_are_gone_through);
    tcase_add_test(tcase, folders_are_not_gone_through_for_ever);
    tcase_add_loop_test(tcase, some_errors_are_answers, 0, ELEMENTS(outcomes));
    tcase_add_loop_test(tcase, an_error_is_told_apart, 0, ELEMENTS(errors));
    tcase_add_loop_test(tcase, news_are_read, 0, ELEMENTS(news));
    tcase_add_test(tcase, an_answer_of_too_many_values_is_refused);
    return suite;
}
