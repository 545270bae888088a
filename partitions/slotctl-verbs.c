/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slotctl-verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/verbs.h"
#include "partitions/running-slot.h"
#include "partitions/slot-disk.h"
#include "partitions/slot-report.h"

#define MOUNT_POINT "/usr"

/* What a verb works on. */
typedef struct {
    const SlotctlOptions *options; /* borrowed */
    char *path;
    SlotDisk *disk;
    size_t running; /* SLOT_NONE where it is not on this disk, or not known */
    size_t slot;    /* the one that was named, or SLOT_NONE */
} Target;

static void target_done(Target *target)
{
    free(target->path);
    slot_disk_free(target->disk);
}

static int fail(const ErrorText *error)
{
    fprintf(stderr, SLOTCTL ": %s\n", error->line);
    return EXIT_FAILURE;
}

static int find_slot(Target *target, const char *name, ErrorText *error)
{
    Guid unique;
    size_t slot = slot_disk_find(target->disk, name);
    if (slot == SLOT_NONE && guid_from_text(name, &unique) >= 0)
        slot = slot_disk_find_unique(target->disk, &unique);
    if (slot != SLOT_NONE) {
        target->slot = slot;
        return 0;
    }
    size_t n_slots;
    const Slot *slots = slot_disk_slots(target->disk, &n_slots);
    char names[256] = "";
    for (size_t i = 0, n = 0; i < n_slots && n < sizeof(names); i++)
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "", slots[i].label);
    return error_say(error, -ENOENT, "%s has no slot '%s'; it has %s", target->path, name, names);
}

/* Opens the disk that was named, or the one of the running system, and finds the slot that was
 * named. */
static int open_target(
        const SlotctlOptions *options, bool writable, Target *target, ErrorText *error)
{
    RunningSlot running;
    int found = running_slot_find(options->root, MOUNT_POINT, &running, error);
    if (!options->disk && found < 0)
        return error_say(error, found,
                "the running system's disk is not known: " MOUNT_POINT
                " is on no single partition; name the disk with --disk");
    target->options = options;
    target->path = strdup(options->disk ? options->disk : running.disk_path);
    if (!target->path)
        return error_say(error, -ENOMEM, "out of memory");
    const Guid *type = options->has_type ? &options->type : NULL;
    int r = slot_disk_open(target->path, writable, type, 0, &target->disk, error);
    if (r < 0)
        return r;
    target->running = found >= 0 ? running_slot_index(&running, target->disk) : SLOT_NONE;
    target->slot = SLOT_NONE;
    return options->slot ? find_slot(target, options->slot, error) : 0;
}

/* The verb's SLOT stands for --slot. Errors: -EINVAL, said on stderr. */
static int take_slot_argument(int argc, char **argv, SlotctlOptions *options, bool is_needed)
{
    if (argc > 1 && options->slot) {
        verbs_usage_error(
                SLOTCTL, "the slot is given twice, '%s' and '%s'", options->slot, argv[1]);
        return -EINVAL;
    }
    if (argc > 1)
        options->slot = argv[1];
    if (is_needed && !options->slot) {
        verbs_usage_error(SLOTCTL, "%s needs to know which slot", argv[0]);
        return -EINVAL;
    }
    return 0;
}

static const Slot *slot_of(const Target *target, size_t slot)
{
    size_t n_slots;
    return &slot_disk_slots(target->disk, &n_slots)[slot];
}

static int print_report(const Target *target, size_t only)
{
    const SlotReport report = {
            .disk = target->disk, .path = target->path, .running = target->running, .only = only};
    if (!target->options->json)
        slot_report_print_text(&report);
    else if (slot_report_print_json(&report) < 0)
        return fail(&(ErrorText){"out of memory"});
    return EXIT_SUCCESS;
}

/* After a change: everything as JSON, or a line about the slot. */
static int print_change(const Target *target, size_t slot)
{
    if (target->options->json)
        return print_report(target, SLOT_NONE);
    const Slot *s = slot_of(target, slot);
    printf("%s: priority %u, tries %u, %ssuccessful\n", s->label, s->priority, s->tries,
            s->successful ? "" : "not ");
    return EXIT_SUCCESS;
}

static void say_damaged(const Target *target, const char *copy, GptFault fault, const char *other)
{
    fprintf(stderr,
            SLOTCTL ": %s: the %s copy of the partition table %s; the %s serves; run '" SLOTCTL
                    " repair'\n",
            target->path, copy, gpt_fault_text(fault), other);
}

/* Says on stderr what is wrong with the table, if anything is. Returns the exit code. */
static int judge_table(const Target *target)
{
    switch (slot_disk_health(target->disk)) {
    case TABLE_GOOD:
        return EXIT_SUCCESS;
    case TABLE_PRIMARY_BAD:
        say_damaged(target, "primary", slot_disk_primary_fault(target->disk), "backup");
        break;
    case TABLE_BACKUP_BAD:
        say_damaged(target, "backup", slot_disk_backup_fault(target->disk), "primary");
        break;
    case TABLE_COPIES_DIFFER:
        fprintf(stderr,
                SLOTCTL ": %s: the copies of the partition table differ, as after a power cut; the "
                        "primary counts; run '" SLOTCTL " repair'\n",
                target->path);
        break;
    }
    return EXIT_TABLE_DAMAGED;
}

static int none_usable(const Target *target)
{
    fprintf(stderr,
            SLOTCTL ": %s: no slot could boot: none has a priority and is successful or has tries "
                    "left; prioritize one\n",
            target->path);
    return EXIT_NONE_USABLE;
}

int slotctl_status(int argc, char **argv, void *context)
{
    _cleanup_(target_done) Target target = {0};
    ErrorText error;
    if (take_slot_argument(argc, argv, context, false) < 0)
        return EXIT_USAGE;
    if (open_target(context, false, &target, &error) < 0)
        return fail(&error);
    int r = print_report(&target, target.slot);
    return r != EXIT_SUCCESS ? r : judge_table(&target);
}

int slotctl_next(int argc, char **argv, void *context)
{
    _cleanup_(target_done) Target target = {0};
    ErrorText error;
    const SlotctlOptions *options = context;
    (void)argc;
    (void)argv;
    if (open_target(options, options->spend, &target, &error) < 0)
        return fail(&error);
    size_t next = slot_disk_next(target.disk);
    if (next == SLOT_NONE)
        return none_usable(&target);
    if (options->spend && slot_disk_spend_try(target.disk, &next, &error) < 0)
        return fail(&error);
    if (slot_report_print_slot(slot_of(&target, next), options->json) < 0)
        return fail(&(ErrorText){"out of memory"});
    return EXIT_SUCCESS;
}

int slotctl_prioritize(int argc, char **argv, void *context)
{
    _cleanup_(target_done) Target target = {0};
    ErrorText error;
    const SlotctlOptions *options = context;
    if (take_slot_argument(argc, argv, context, true) < 0)
        return EXIT_USAGE;
    if (open_target(options, true, &target, &error) < 0)
        return fail(&error);
    bool was_off = slot_of(&target, target.slot)->priority == 0;
    if (slot_disk_prioritize(target.disk, target.slot, options->tries, &error) < 0)
        return fail(&error);
    if (was_off)
        fprintf(stderr,
                SLOTCTL ": %s had priority 0: if an update of it was cut short it will not boot, "
                        "and another slot does when its tries are spent\n",
                slot_of(&target, target.slot)->label);
    return print_change(&target, target.slot);
}

int slotctl_mark_good(int argc, char **argv, void *context)
{
    _cleanup_(target_done) Target target = {0};
    ErrorText error;
    if (take_slot_argument(argc, argv, context, false) < 0)
        return EXIT_USAGE;
    if (open_target(context, true, &target, &error) < 0)
        return fail(&error);
    size_t slot = target.slot != SLOT_NONE ? target.slot : target.running;
    if (slot == SLOT_NONE) {
        error_say(&error, 0, "the running system is in no slot of %s; name one with --slot",
                target.path);
        return fail(&error);
    }
    if (slot_disk_mark_good(target.disk, slot, &error) < 0)
        return fail(&error);
    return print_change(&target, slot);
}

int slotctl_mark_bad(int argc, char **argv, void *context)
{
    _cleanup_(target_done) Target target = {0};
    ErrorText error;
    if (take_slot_argument(argc, argv, context, true) < 0)
        return EXIT_USAGE;
    if (open_target(context, true, &target, &error) < 0 ||
            slot_disk_mark_bad(target.disk, target.slot, &error) < 0)
        return fail(&error);
    return print_change(&target, target.slot);
}

int slotctl_verify(int argc, char **argv, void *context)
{
    _cleanup_(target_done) Target target = {0};
    ErrorText error;
    (void)argc;
    (void)argv;
    if (open_target(context, false, &target, &error) < 0)
        return fail(&error);
    size_t next = slot_disk_next(target.disk);
    if (target.options->json) {
        int r = print_report(&target, SLOT_NONE);
        if (r != EXIT_SUCCESS)
            return r;
    } else {
        printf("the primary copy %s\nthe backup copy %s\n",
                gpt_fault_text(slot_disk_primary_fault(target.disk)),
                gpt_fault_text(slot_disk_backup_fault(target.disk)));
        if (next != SLOT_NONE)
            printf("%s boots next\n", slot_of(&target, next)->label);
    }
    int table = judge_table(&target);
    int slots = next == SLOT_NONE ? none_usable(&target) : EXIT_SUCCESS;
    return table != EXIT_SUCCESS ? table : slots;
}

int slotctl_repair(int argc, char **argv, void *context)
{
    _cleanup_(target_done) Target target = {0};
    ErrorText error;
    (void)argc;
    (void)argv;
    if (open_target(context, true, &target, &error) < 0)
        return fail(&error);
    TableHealth before = slot_disk_health(target.disk);
    if (slot_disk_repair(target.disk, &error) < 0)
        return fail(&error);
    if (target.options->json)
        return print_report(&target, SLOT_NONE);
    if (before == TABLE_GOOD)
        printf("%s: nothing to repair\n", target.path);
    else
        printf("%s: the %s copy of the partition table is written anew\n", target.path,
                before == TABLE_PRIMARY_BAD ? "primary" : "backup");
    return EXIT_SUCCESS;
}
