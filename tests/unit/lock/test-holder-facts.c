/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/holder-facts.h"

#include <string.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

static HolderFacts parse(const char *text)
{
    HolderFacts facts;
    ck_assert_int_eq(holder_facts_parse(text, strlen(text), &facts), 0);
    return facts;
}

START_TEST(facts_come_back_as_they_went)
{
    char host[] = "node-1", boot_id[] = "b\"1", version[] = "1.2";
    HolderFacts facts = {.host = host,
            .boot_id = boot_id,
            .version = version,
            .since_usec = 1795421401 * USEC_PER_SEC + 7};
    _cleanup_free_ char *text = NULL;
    ck_assert_int_eq(holder_facts_format(&facts, &text), 0);
    ck_assert_str_eq(text, "{\"host\":\"node-1\",\"boot_id\":\"b\\\"1\",\"version\":\"1.2\","
                           "\"since\":1795421401}");
    _cleanup_(holder_facts_done) HolderFacts again = parse(text);
    ck_assert_str_eq(again.host, "node-1");
    ck_assert_str_eq(again.boot_id, "b\"1");
    ck_assert_str_eq(again.version, "1.2");
    ck_assert_uint_eq(again.since_usec, 1795421401 * USEC_PER_SEC);
}
END_TEST

START_TEST(what_is_not_known_is_empty)
{
    _cleanup_free_ char *text = NULL;
    ck_assert_int_eq(holder_facts_format(&(HolderFacts){.host = NULL}, &text), 0);
    ck_assert_str_eq(text, "{\"host\":\"\",\"boot_id\":\"\",\"version\":\"\",\"since\":0}");
    const char *const texts[] = {text, "{}",
            "{\"host\":1,\"boot_id\":null,\"version\":[],\"since\":\"5\"}", "{\"since\":-1}",
            "{\"since\":9223372036854775807}", "{\"since\":1.5,\"more\":{}}"};
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        _cleanup_(holder_facts_done) HolderFacts facts = parse(texts[i]);
        ck_assert_str_eq(facts.host, "");
        ck_assert_str_eq(facts.boot_id, "");
        ck_assert_str_eq(facts.version, "");
        ck_assert_uint_eq(facts.since_usec, 0);
    }
}
END_TEST

START_TEST(hostile_text_is_cleaned_both_ways)
{
    _cleanup_(holder_facts_done) HolderFacts facts =
            parse("{\"host\":\"a\\n\\u001b[2J\",\"version\":\"\\u202e1\"}");
    ck_assert_str_eq(facts.host, "a??[2J");
    ck_assert_str_eq(facts.version, "???1");

    char long_name[2 * HOLDER_FACTS_MAX_FIELD_CHARS];
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    long_name[HOLDER_FACTS_MAX_FIELD_CHARS - 1] = '\xc3'; /* cut in the middle of a character */
    long_name[HOLDER_FACTS_MAX_FIELD_CHARS] = '\xa9';
    char no_utf8[] = "\xff";
    HolderFacts hostile = {.host = long_name, .version = no_utf8};
    _cleanup_free_ char *text = NULL;
    ck_assert_int_eq(holder_facts_format(&hostile, &text), 0);
    _cleanup_(holder_facts_done) HolderFacts cut = parse(text);
    ck_assert_uint_eq(strlen(cut.host), HOLDER_FACTS_MAX_FIELD_CHARS);
    ck_assert_int_eq(cut.host[HOLDER_FACTS_MAX_FIELD_CHARS - 1], '?');
    ck_assert_str_eq(cut.version, "?");
}
END_TEST

START_TEST(a_string_that_is_too_long_is_unknown)
{
    char text[HOLDER_FACTS_MAX_FIELD_CHARS + 32];
    int n = snprintf(text, sizeof(text), "{\"host\":\"%0*d\"}", HOLDER_FACTS_MAX_FIELD_CHARS, 7);
    _cleanup_(holder_facts_done) HolderFacts whole = parse(text);
    ck_assert_uint_eq(strlen(whole.host), HOLDER_FACTS_MAX_FIELD_CHARS);
    ck_assert_int_gt(n, 0);
    snprintf(text, sizeof(text), "{\"host\":\"%0*d\"}", HOLDER_FACTS_MAX_FIELD_CHARS + 1, 7);
    _cleanup_(holder_facts_done) HolderFacts facts = parse(text);
    ck_assert_str_eq(facts.host, "");
}
END_TEST

START_TEST(what_is_no_object_or_too_long_is_refused)
{
    HolderFacts facts;
    const char *const texts[] = {
            "", "x", "[]", "null", "\"a\"", "{\"host\":\"a\"", "{}x", "{\"host\":\"\xff\"}"};
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        ck_assert_int_eq(holder_facts_parse(texts[i], strlen(texts[i]), &facts), -EINVAL);
    char text[HOLDER_FACTS_MAX_BYTES + 2];
    snprintf(text, sizeof(text), "{}%*s", HOLDER_FACTS_MAX_BYTES - 2, "");
    ck_assert_int_eq(holder_facts_parse(text, HOLDER_FACTS_MAX_BYTES, &facts), 0);
    holder_facts_done(&facts);
    snprintf(text, sizeof(text), "{}%*s", HOLDER_FACTS_MAX_BYTES - 1, "");
    ck_assert_int_eq(holder_facts_parse(text, HOLDER_FACTS_MAX_BYTES + 1, &facts), -EINVAL);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("holder-facts");
    TCase *tcase = unit_case(suite, "facts");
    tcase_add_test(tcase, facts_come_back_as_they_went);
    tcase_add_test(tcase, what_is_not_known_is_empty);
    tcase_add_test(tcase, hostile_text_is_cleaned_both_ways);
    tcase_add_test(tcase, a_string_that_is_too_long_is_unknown);
    tcase_add_test(tcase, what_is_no_object_or_too_long_is_refused);
    return suite;
}
