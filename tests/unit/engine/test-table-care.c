/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/table-care.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

/* A story is a line of events: a look that finds the table (g)ood, with a bad (p)rimary or
 * (b)ackup, with copies that (d)iffer, or (u)nreadable, in capitals once it has settled; a (c)heck;
 * what a repair came to: (r)epaired, (f)ailed. Each event has its step: . rest, a look again, R
 * repair, l say lost, k say back; for f, whether it is remembered: y or n. */
static const struct {
    const char *name, *events, *steps;
} stories[] = {
        {"good from the start", "gGGcg", "... ."},
        {"damaged before the start", "pPrG", "aR ."},
        {"damaged while it runs", "gPrGBrGDrG", ".R .R .R ."},
        {"found by a check", "gcpPrG", ". aR ."},
        {"a writer at work, found by a check", "gcdG", ". ak"},
        {"a repair that failed waits for the check", "gPfPPcpPfPcpPrG", ".Ry.. aRn. aR ."},
        {"a failure after a success is another", "gPfcpPrGPfG", ".Ry aR .Ryk"},
        {"somebody else repaired it", "gPfGPr", ".RykR "},
        {"neither copy: told once", "gUUucuU", ".l.. .."},
        {"neither copy, found by a check", "gcuU", ". al"},
        {"neither copy for a moment", "gcuG", ". ak"},
        {"restored, lost again", "gUGUG", ".lklk"},
        {"one copy is restored", "gUPrG", ".lR ."},
        {"one copy goes after the other", "gPfUG", ".Rylk"},
        {"a disk that forgets", "gPrPrPrPrPrPrPrPrPrPrPPcpPr", ".R R R R R R R R R R .. aR "},
};

static TableFinding finding_of(char event)
{
    switch (event) {
    case 'p':
    case 'P':
        return (TableFinding){TABLE_PRIMARY_BAD, GPT_NO_SIGNATURE, GPT_VALID};
    case 'b':
    case 'B':
        return (TableFinding){TABLE_BACKUP_BAD, GPT_VALID, GPT_BAD_ENTRIES_CRC};
    case 'd':
    case 'D':
        return (TableFinding){TABLE_COPIES_DIFFER, GPT_VALID, GPT_VALID};
    case 'u':
    case 'U':
        return (TableFinding){.health = TABLE_UNREADABLE};
    default:
        return (TableFinding){.health = TABLE_GOOD};
    }
}

static char step_of(TableCare *care, char event)
{
    static const char steps[] = {
            [TABLE_CARE_REST] = '.',
            [TABLE_CARE_LOOK_AGAIN] = 'a',
            [TABLE_CARE_REPAIR] = 'R',
            [TABLE_CARE_SAY_LOST] = 'l',
            [TABLE_CARE_SAY_BACK] = 'k',
    };
    TableFinding finding = finding_of(event);
    switch (event) {
    case 'c':
        table_care_on_check(care);
        return ' ';
    case 'r':
        table_care_on_repaired(care);
        ck_assert_int_eq(care->finding.health, TABLE_GOOD);
        return ' ';
    case 'f':
        return table_care_on_failed(care) ? 'y' : 'n';
    default:
        return steps[table_care_on_look(care, &finding, event >= 'A' && event <= 'Z')];
    }
}

START_TEST(each_story_goes_as_it_should)
{
    for (size_t i = 0; i < ELEMENTS(stories); i++) {
        TableCare care = {};
        char steps[64] = "";
        for (size_t k = 0; stories[i].events[k]; k++)
            steps[k] = step_of(&care, stories[i].events[k]);
        ck_assert_msg(strcmp(steps, stories[i].steps) == 0, "%s: '%s' instead of '%s'",
                stories[i].name, steps, stories[i].steps);
    }
}
END_TEST

START_TEST(who_could_not_read_it_at_the_start_has_said_so)
{
    TableCare care = {};
    table_care_on_lost(&care);
    ck_assert(care.is_known);
    ck_assert_int_eq(care.finding.health, TABLE_UNREADABLE);
    ck_assert_int_eq(step_of(&care, 'U'), '.');
    ck_assert_int_eq(step_of(&care, 'G'), 'k');
}
END_TEST

START_TEST(damage_is_described)
{
    static const struct {
        char event;
        const char *damage, *remedy;
    } cases[] = {
            {'p', "the primary copy has no GPT signature", "it is rebuilt from the backup"},
            {'b', "the backup copy has entries with a wrong checksum",
                    "it is rebuilt from the primary"},
            {'d', "the copies differ", "the backup is rebuilt from the primary"},
            {'u', "neither copy can be read", "nothing is written"},
            {'g', "nothing", "nothing is written"},
    };
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        TableFinding finding = finding_of(cases[i].event);
        ErrorText text = {};
        table_care_describe(&finding, &text);
        ck_assert_str_eq(text.line, cases[i].damage);
        ck_assert_str_eq(table_care_remedy(finding.health), cases[i].remedy);
    }
}
END_TEST

START_TEST(advice_is_for_a_table_that_is_gone)
{
    ck_assert_ptr_nonnull(strstr(table_care_advice(-ENOMEDIUM), "Restore the table"));
    ck_assert_str_eq(table_care_advice(-EIO), table_care_advice(-ENOMEDIUM));
    ck_assert_str_eq(table_care_advice(-ENOENT), "");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("table-care");
    TCase *tcase = unit_case(suite, "table-care");
    tcase_add_test(tcase, each_story_goes_as_it_should);
    tcase_add_test(tcase, who_could_not_read_it_at_the_start_has_said_so);
    tcase_add_test(tcase, damage_is_described);
    tcase_add_test(tcase, advice_is_for_a_table_that_is_gone);
    return suite;
}
