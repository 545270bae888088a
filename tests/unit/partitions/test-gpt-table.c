/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/gpt-table.h"

#include <string.h>

#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/unit.h"

static const DiskPlan PLAN = {
        .parts = {{.label = "EFI", .is_other_type = true}, {.label = "USR-A"}, {.label = "USR-B"}}};

/* Where the header's fields lie: UEFI 2.10 table 5.5. */
enum {
    SIGNATURE = 0,
    REVISION = 8,
    HEADER_BYTES = 12,
    MY_LBA = 24,
    ALTERNATE_LBA = 32,
    FIRST_USABLE = 40,
    LAST_USABLE = 48,
    ENTRIES_LBA = 72,
    N_ENTRIES = 80,
    ENTRY_BYTES = 84,
};

static GptFault parse(MadeDisk *disk, bool is_backup, GptHeader *ret_header)
{
    GptGeometry geometry = {
            .sector_bytes = disk->plan.sector_bytes, .n_sectors = disk->plan.n_sectors};
    return gpt_header_parse(&geometry, lba(disk_header_lba(disk, is_backup)),
            disk_header(disk, is_backup), ret_header);
}

static GptFault check(MadeDisk *disk, bool is_backup, uint32_t *ret_entry)
{
    GptHeader header;
    ck_assert_int_eq(parse(disk, is_backup, &header), GPT_VALID);
    return gpt_entries_check(&header, disk_entry(disk, is_backup, 0), ret_entry);
}

/* A header field of `size` bytes gets a value, and the checksum is right. */
static void assert_field_fault(
        bool is_backup, size_t field, size_t size, uint64_t value, GptFault expected)
{
    MadeDisk disk;
    GptHeader header;
    disk_make(&PLAN, &disk);
    if (size == 4)
        disk_put32(disk_header(&disk, is_backup) + field, (uint32_t)value);
    else
        disk_put64(disk_header(&disk, is_backup) + field, value);
    disk_seal(&disk, is_backup);
    GptFault fault = parse(&disk, is_backup, &header);
    ck_assert_msg(fault == expected, "field %zu of the %s = %llu: it %s", field,
            is_backup ? "backup" : "primary", (unsigned long long)value, gpt_fault_text(fault));
    disk_unmake(&disk);
}

START_TEST(crc_is_the_usual_one)
{
    ck_assert_uint_eq(gpt_crc32("123456789", 9), 0xcbf43926);
    ck_assert_uint_eq(gpt_crc32("", 0), 0);
}
END_TEST

START_TEST(a_table_of_any_size_is_read)
{
    static const DiskPlan PLANS[] = {
            {.parts = {{.label = "USR-A"}}},
            {.sector_bytes = 4096, .parts = {{.label = "USR-A"}}},
            {.sector_bytes = 1024, .entry_bytes = 256, .parts = {{.label = "USR-A"}}},
            {.entry_bytes = 4096, .n_entries = 4, .parts = {{.label = "USR-A"}}},
            {.n_entries = 1, .parts = {{.label = "USR-A"}}},
            {.n_entries = 7, .sector_bytes = 4096, .parts = {{.label = "USR-A"}}},
            {.n_entries = 8192, .n_sectors = 5000, .parts = {{.label = "USR-A"}}},
            {.header_bytes = 512, .parts = {{.label = "USR-A"}}},
            {.header_bytes = 4096, .sector_bytes = 4096, .parts = {{.label = "USR-A"}}},
            {.primary_entries_lba = 40, .parts = {{.label = "USR-A"}}},
    };
    for (size_t i = 0; i < sizeof(PLANS) / sizeof(PLANS[0]); i++)
        for (int is_backup = 0; is_backup < 2; is_backup++) {
            MadeDisk disk;
            GptHeader header;
            uint32_t bad;
            disk_make(&PLANS[i], &disk);
            GptFault fault = parse(&disk, is_backup, &header);
            ck_assert_msg(fault == GPT_VALID, "plan %zu: it %s", i, gpt_fault_text(fault));
            ck_assert_uint_eq(header.n_entries, disk.plan.n_entries);
            ck_assert_uint_eq(header.entry_bytes, disk.plan.entry_bytes);
            ck_assert_uint_eq(header.alternate.n, disk_header_lba(&disk, !is_backup));
            ck_assert_uint_eq(header.entries.n, disk_entries_lba(&disk, is_backup));
            const void *entries = disk_entry(&disk, is_backup, 0);
            ck_assert_int_eq(gpt_entries_check(&header, entries, &bad), GPT_VALID);
            ck_assert(gpt_entry_is_used(gpt_entry(&header, entries, 0)));
            if (header.n_entries > 1)
                ck_assert(!gpt_entry_is_used(gpt_entry(&header, entries, header.n_entries - 1)));
            disk_unmake(&disk);
        }
}
END_TEST

START_TEST(every_header_field_is_checked)
{
    for (int b = 0; b < 2; b++) {
        assert_field_fault(b, SIGNATURE, 8, UINT64_C(0x5452415020494645), GPT_VALID);
        assert_field_fault(b, SIGNATURE, 4, 0, GPT_NO_SIGNATURE);
        assert_field_fault(b, REVISION, 4, 0x00020000, GPT_BAD_REVISION);
        assert_field_fault(b, MY_LBA, 8, 2, GPT_BAD_MY_LBA);
        assert_field_fault(b, MY_LBA, 8, UINT64_MAX, GPT_BAD_MY_LBA);
        assert_field_fault(b, ALTERNATE_LBA, 8, 0, GPT_BAD_ALTERNATE_LBA);
        assert_field_fault(b, ALTERNATE_LBA, 8, 240, GPT_BAD_ALTERNATE_LBA);
        assert_field_fault(b, ALTERNATE_LBA, 8, UINT64_MAX, GPT_BAD_ALTERNATE_LBA);
        assert_field_fault(b, FIRST_USABLE, 8, 0, GPT_BAD_USABLE_LBAS);
        assert_field_fault(b, FIRST_USABLE, 8, 207, GPT_BAD_USABLE_LBAS);
        assert_field_fault(b, FIRST_USABLE, 8, UINT64_MAX, GPT_BAD_USABLE_LBAS);
        assert_field_fault(b, LAST_USABLE, 8, 239, GPT_BAD_USABLE_LBAS);
        assert_field_fault(b, LAST_USABLE, 8, UINT64_MAX, GPT_BAD_USABLE_LBAS);
        assert_field_fault(b, ENTRY_BYTES, 4, 0, GPT_BAD_ENTRY_SIZE);
        assert_field_fault(b, ENTRY_BYTES, 4, 64, GPT_BAD_ENTRY_SIZE);
        assert_field_fault(b, ENTRY_BYTES, 4, 384, GPT_BAD_ENTRY_SIZE);
        assert_field_fault(b, ENTRY_BYTES, 4, 8192, GPT_BAD_ENTRY_SIZE);
        assert_field_fault(b, ENTRY_BYTES, 4, UINT32_MAX, GPT_BAD_ENTRY_SIZE);
        assert_field_fault(b, N_ENTRIES, 4, 0, GPT_BAD_ENTRY_COUNT);
        assert_field_fault(b, N_ENTRIES, 4, 8193, GPT_BAD_ENTRY_COUNT);
        assert_field_fault(b, N_ENTRIES, 4, UINT32_MAX, GPT_BAD_ENTRY_COUNT);
        assert_field_fault(b, N_ENTRIES, 4, 129, GPT_BAD_ENTRIES_LBA); /* no longer fits */
        assert_field_fault(b, ENTRIES_LBA, 8, 0, GPT_BAD_ENTRIES_LBA);
        assert_field_fault(b, ENTRIES_LBA, 8, 1, GPT_BAD_ENTRIES_LBA);
        assert_field_fault(b, ENTRIES_LBA, 8, 100, GPT_BAD_ENTRIES_LBA);
        assert_field_fault(b, ENTRIES_LBA, 8, 208, GPT_BAD_ENTRIES_LBA);
        assert_field_fault(b, ENTRIES_LBA, 8, UINT64_MAX, GPT_BAD_ENTRIES_LBA);
        assert_field_fault(b, ENTRIES_LBA, 8, UINT64_MAX - 30, GPT_BAD_ENTRIES_LBA);
    }
}
END_TEST

START_TEST(header_size_and_checksum_are_checked)
{
    static const uint32_t SIZES[] = {0, 91, 513, UINT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        MadeDisk disk;
        GptHeader header;
        disk_make(&PLAN, &disk);
        disk_put32(disk_header(&disk, false) + HEADER_BYTES, SIZES[i]);
        ck_assert_int_eq(parse(&disk, false, &header), GPT_BAD_HEADER_SIZE);
        disk_unmake(&disk);
    }
    MadeDisk disk;
    GptHeader header;
    disk_make(&PLAN, &disk);
    for (size_t bit = 0; bit < 92 * 8; bit++) {
        disk_header(&disk, true)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_ne(parse(&disk, true, &header), GPT_VALID);
        disk_header(&disk, true)[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_eq(parse(&disk, true, &header), GPT_VALID);
    disk_unmake(&disk);
}
END_TEST

START_TEST(a_copy_of_the_other_place_is_none)
{
    MadeDisk disk;
    GptHeader header;
    disk_make(&PLAN, &disk);
    memcpy(disk_header(&disk, true), disk_header(&disk, false), 512);
    ck_assert_int_eq(parse(&disk, true, &header), GPT_BAD_MY_LBA);
    disk_unmake(&disk);

    /* A disk that is shorter than its table. */
    disk_make(&PLAN, &disk);
    disk.plan.n_sectors = 200;
    ck_assert_int_eq(parse(&disk, false, &header), GPT_BAD_ALTERNATE_LBA);
    disk_unmake(&disk);
}
END_TEST

START_TEST(entries_are_checked)
{
    MadeDisk disk;
    uint32_t bad = 99;
    disk_make(&PLAN, &disk);
    disk_damage_entries(&disk, false);
    ck_assert_int_eq(check(&disk, false, &bad), GPT_BAD_ENTRIES_CRC);
    disk_unmake(&disk);

    static const struct {
        uint64_t first, last;
        GptFault fault;
        uint32_t entry;
    } CASES[] = {
            {33, 40, GPT_ENTRY_OUTSIDE, 2},
            {0, UINT64_MAX, GPT_ENTRY_OUTSIDE, 2},
            {100, 99, GPT_ENTRY_OUTSIDE, 2},
            {200, 207, GPT_ENTRY_OUTSIDE, 2},
            {200, UINT64_MAX, GPT_ENTRY_OUTSIDE, 2},
            {65, 70, GPT_ENTRIES_OVERLAP, 2}, /* USR-A ends at 65 */
            {34, 34, GPT_ENTRIES_OVERLAP, 2},
            {34, 206, GPT_ENTRIES_OVERLAP, 2},
            {66, 206, GPT_VALID, 99},
            {206, 206, GPT_VALID, 99},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        bad = 99;
        disk_make(&PLAN, &disk);
        disk_put64(disk_entry(&disk, false, 2) + 32, CASES[i].first);
        disk_put64(disk_entry(&disk, false, 2) + 40, CASES[i].last);
        disk_seal(&disk, false);
        ck_assert_msg(check(&disk, false, &bad) == CASES[i].fault, "case %zu", i);
        ck_assert_uint_eq(bad, CASES[i].entry);
        disk_unmake(&disk);
    }
}
END_TEST

START_TEST(a_header_is_made_for_the_other_place)
{
    DiskPlan plan = PLAN;
    plan.header_bytes = 200; /* and what is in the unknown part comes along */
    MadeDisk disk;
    GptHeader header;
    disk_make(&plan, &disk);
    ck_assert_int_eq(parse(&disk, true, &header), GPT_VALID);
    uint8_t made[512];
    gpt_header_make(&header, disk_header(&disk, true), lba(1), lba(239), lba(2),
            disk_entry(&disk, true, 0), made);
    ck_assert_mem_eq(made, disk_header(&disk, false), sizeof(made));
    disk_unmake(&disk);
}
END_TEST

START_TEST(attributes_are_changed_alone)
{
    MadeDisk disk, before;
    GptHeader header;
    disk_make(&PLAN, &disk);
    disk_make(&PLAN, &before);
    ck_assert_int_eq(parse(&disk, false, &header), GPT_VALID);
    gpt_entry_set_attributes(&header, disk_entry(&disk, false, 0), 1, UINT64_C(0x0123456789abcdef));
    const GptEntry *entry = gpt_entry(&header, disk_entry(&disk, false, 0), 1);
    ck_assert_uint_eq(le64_get(entry->attributes), UINT64_C(0x0123456789abcdef));
    gpt_entry_set_attributes(&header, disk_entry(&disk, false, 0), 1, 0);
    ck_assert_mem_eq(disk.data, before.data, disk.n_bytes);
    disk_unmake(&disk);
    disk_unmake(&before);
}
END_TEST

static void assert_label(const uint16_t *units, size_t n_units, const char *expected)
{
    GptEntry entry = {0};
    char label[GPT_LABEL_BYTES];
    for (size_t i = 0; i < n_units; i++)
        entry.name[i] = le16(units[i]);
    gpt_entry_label(&entry, label);
    ck_assert_str_eq(label, expected);
}

START_TEST(labels_become_text)
{
    uint16_t longest[GPT_NAME_UNITS];
    char expected[GPT_LABEL_BYTES] = "";
    for (size_t i = 0; i < GPT_NAME_UNITS; i++) {
        longest[i] = 0x20ac;
        strcat(expected, "\u20ac");
    }
    assert_label(longest, GPT_NAME_UNITS, expected);
    assert_label((uint16_t[]){'U', 'S', 'R', 0, 'x'}, 5, "USR");
    assert_label((uint16_t[]){0xe9, 0xd83d, 0xde00, 'x'}, 4, "\u00e9\U0001f600x");
    assert_label((uint16_t[]){'a', 0xd83d, 'b', 0xde00}, 4, "a?b?");
    assert_label((uint16_t[]){0x1b, 0x07, 0x7f, 0x9b, 0x202e, 0xffff, 0xfeff}, 7, "???????");
    longest[35] = 0xd83d; /* half a pair at the end */
    longest[34] = 0;
    longest[0] = 0xd83d;
    assert_label(longest + 35, 1, "?");
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("gpt-table");
    TCase *tcase = unit_case(suite, "gpt-table");
    tcase_add_test(tcase, crc_is_the_usual_one);
    tcase_add_test(tcase, a_table_of_any_size_is_read);
    tcase_add_test(tcase, every_header_field_is_checked);
    tcase_add_test(tcase, header_size_and_checksum_are_checked);
    tcase_add_test(tcase, a_copy_of_the_other_place_is_none);
    tcase_add_test(tcase, entries_are_checked);
    tcase_add_test(tcase, a_header_is_made_for_the_other_place);
    tcase_add_test(tcase, attributes_are_changed_alone);
    tcase_add_test(tcase, labels_become_text);
    return suite;
}
