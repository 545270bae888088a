/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/slot-task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/fd-io.h"
#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/unit.h"

/* The tasks that are about the table; those of a slot's content are tested with the daemon. */

static const DiskPlan plan = {
        .parts = {{.label = "USR-A", .priority = 1, .successful = true}, {.label = "USR-B"}, {}},
};

static MadeDisk made, meant;
static const char *path;
static sd_event *event;
static SlotTask *task;
static int result;
static TableFinding finding;
static ErrorText said;

static void set_up(void)
{
    disk_make(&plan, &made);
    disk_make(&plan, &meant);
    ck_assert_int_ge(sd_event_new(&event), 0);
}

static void tear_down(void)
{
    disk_unmake(&made);
    disk_unmake(&meant);
    event = sd_event_unref(event);
}

static void on_done(SlotTask *done, int r, const ErrorText *error, void *userdata)
{
    ck_assert_ptr_eq(done, task);
    ck_assert_ptr_eq(userdata, event);
    result = r;
    said = *error;
    finding = slot_task_finding(done);
    slot_task_free(TAKE_PTR(task));
    sd_event_exit(event, 0);
}

static int run(SlotTaskKind kind, const char *label)
{
    SlotTaskOptions options = {.kind = kind, .disk_path = path, .label = label};
    ck_assert_int_eq(slot_task_new(event, &options, on_done, event, &task), 0);
    ck_assert_int_eq(sd_event_loop(event), 0);
    sd_event_unref(event);
    ck_assert_int_ge(sd_event_new(&event), 0);
    return result;
}

static void assert_holds(const MadeDisk *disk)
{
    _cleanup_free_ uint8_t *data = malloc(disk->n_bytes);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fd_pread_full(fd, data, disk->n_bytes, 0), 0);
    ck_assert_int_eq(memcmp(data, disk->data, disk->n_bytes), 0);
}

START_TEST(a_look_finds_and_writes_nothing)
{
    path = disk_save(&made);
    ck_assert_int_eq(run(SLOT_TASK_LOOK, ""), 0);
    ck_assert_int_eq(finding.health, TABLE_GOOD);
    disk_damage_header(&made, false);
    path = disk_save(&made);
    ck_assert_int_eq(run(SLOT_TASK_LOOK, ""), 0);
    ck_assert_int_eq(finding.health, TABLE_PRIMARY_BAD);
    ck_assert_int_eq(finding.primary, GPT_BAD_HEADER_CRC);
    ck_assert_int_eq(finding.backup, GPT_VALID);
    assert_holds(&made);
    disk_damage_entries(&made, true);
    path = disk_save(&made);
    ck_assert_int_eq(run(SLOT_TASK_LOOK, ""), -ENOMEDIUM);
    ck_assert_ptr_nonnull(strstr(said.line, "holds no valid GPT"));
    assert_holds(&made);
}
END_TEST

START_TEST(a_look_does_not_wake_who_waits_for_writers)
{
    disk_damage_header(&made, false);
    path = disk_save(&made);
    _cleanup_close_ int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ck_assert_int_ge(inotify_add_watch(fd, path, IN_CLOSE_WRITE | IN_MODIFY), 0);
    struct inotify_event seen;
    ck_assert_int_eq(run(SLOT_TASK_LOOK, ""), 0);
    ck_assert_int_eq(read(fd, &seen, sizeof(seen)), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_eq(run(SLOT_TASK_REPAIR, ""), 0);
    ck_assert_int_eq(read(fd, &seen, sizeof(seen)), (ssize_t)sizeof(seen));
}
END_TEST

START_TEST(a_repair_tells_what_it_found)
{
    disk_damage_entries(&made, true);
    path = disk_save(&made);
    ck_assert_int_eq(run(SLOT_TASK_REPAIR, "USR-A"), 0);
    ck_assert_int_eq(finding.health, TABLE_BACKUP_BAD);
    ck_assert_int_eq(finding.backup, GPT_BAD_ENTRIES_CRC);
    assert_holds(&meant);
    ck_assert_int_eq(run(SLOT_TASK_REPAIR, ""), 0);
    ck_assert_int_eq(finding.health, TABLE_GOOD);
    assert_holds(&meant);
}
END_TEST

START_TEST(another_disk_is_not_repaired)
{
    disk_damage_header(&made, true);
    path = disk_save(&made);
    ck_assert_int_eq(run(SLOT_TASK_REPAIR, "USR-C"), -ENOENT);
    ck_assert_ptr_nonnull(strstr(said.line, "no slot USR-C"));
    assert_holds(&made);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("slot-task");
    TCase *tcase = unit_case(suite, "slot-task");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_look_finds_and_writes_nothing);
    tcase_add_test(tcase, a_look_does_not_wake_who_waits_for_writers);
    tcase_add_test(tcase, a_repair_tells_what_it_found);
    tcase_add_test(tcase, another_disk_is_not_repaired);
    return suite;
}
