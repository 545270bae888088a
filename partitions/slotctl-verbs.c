/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slotctl-verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/verbs.h"
#include "partitions/slot-report.h"
#include "partitions/slotctl-target.h"

static int print_report(const SlotctlTarget *target, size_t only)
{
    const SlotReport report = {.disk = target->disk,
            .path = target->path,
            .running = target->running,
            .only = only,
            .verified = SLOT_NONE};
    int r = target->options->json ? slot_report_print_json(&report)
                                  : slot_report_print_text(&report);
    return r < 0 ? slotctl_fail(&(ErrorText){"out of memory"}) : EXIT_SUCCESS;
}

/* After a change: everything as JSON, or a line about the slot. */
static int print_change(const SlotctlTarget *target, size_t slot)
{
    if (target->options->json)
        return print_report(target, SLOT_NONE);
    const Slot *s = slotctl_target_slot(target, slot);
    printf("%s: priority %u, tries %u, %ssuccessful\n", s->label, s->priority, s->tries,
            s->successful ? "" : "not ");
    return EXIT_SUCCESS;
}

int slotctl_status(int argc, char **argv, void *context)
{
    _cleanup_(slotctl_target_done) SlotctlTarget target = {0};
    ErrorText error;
    if (slotctl_target_take_slot(argc, argv, context, false) < 0)
        return EXIT_USAGE;
    if (slotctl_target_open(context, false, &target, &error) < 0)
        return slotctl_fail(&error);
    int r = print_report(&target, target.slot);
    return r != EXIT_SUCCESS ? r : slotctl_target_judge_table(&target);
}

int slotctl_next(int argc, char **argv, void *context)
{
    _cleanup_(slotctl_target_done) SlotctlTarget target = {0};
    ErrorText error;
    const SlotctlOptions *options = context;
    (void)argc;
    (void)argv;
    if (slotctl_target_open(options, options->spend, &target, &error) < 0)
        return slotctl_fail(&error);
    size_t next = slot_disk_next(target.disk);
    if (next == SLOT_NONE)
        return slotctl_target_none_usable(&target);
    if (options->spend && slot_disk_spend_try(target.disk, &next, &error) < 0)
        return slotctl_fail(&error);
    if (slot_report_print_slot(slotctl_target_slot(&target, next), options->json) < 0)
        return slotctl_fail(&(ErrorText){"out of memory"});
    return EXIT_SUCCESS;
}

int slotctl_prioritize(int argc, char **argv, void *context)
{
    _cleanup_(slotctl_target_done) SlotctlTarget target = {0};
    ErrorText error;
    const SlotctlOptions *options = context;
    if (slotctl_target_take_slot(argc, argv, context, true) < 0)
        return EXIT_USAGE;
    if (slotctl_target_open(options, true, &target, &error) < 0)
        return slotctl_fail(&error);
    bool was_off = slotctl_target_slot(&target, target.slot)->priority == 0;
    if (slot_disk_prioritize(target.disk, target.slot, options->tries, &error) < 0)
        return slotctl_fail(&error);
    if (was_off)
        fprintf(stderr,
                SLOTCTL ": %s had priority 0: if an update of it was cut short it will not boot, "
                        "and another slot does when its tries are spent\n",
                slotctl_target_slot(&target, target.slot)->label);
    return print_change(&target, target.slot);
}

/* The slot that was named, else the one that runs; SLOT_NONE where neither is known. */
static size_t slot_or_running(const SlotctlTarget *target, ErrorText *error)
{
    size_t slot = target->slot != SLOT_NONE ? target->slot : target->running;
    if (slot == SLOT_NONE)
        error_say(error, 0, "the running system is in no slot of %s; name one with --slot",
                target->path);
    return slot;
}

int slotctl_is_good(int argc, char **argv, void *context)
{
    _cleanup_(slotctl_target_done) SlotctlTarget target = {0};
    ErrorText error;
    if (slotctl_target_take_slot(argc, argv, context, false) < 0)
        return EXIT_USAGE;
    if (slotctl_target_open(context, false, &target, &error) < 0)
        return slotctl_fail(&error);
    size_t slot = slot_or_running(&target, &error);
    if (slot == SLOT_NONE)
        return slotctl_fail(&error);
    const Slot *s = slotctl_target_slot(&target, slot);
    if (!target.options->json)
        printf("%s: %s good\n", s->label, s->successful ? "marked" : "not marked");
    else if (print_report(&target, slot) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    return s->successful ? EXIT_SUCCESS : EXIT_NOT_GOOD;
}

int slotctl_mark_good(int argc, char **argv, void *context)
{
    _cleanup_(slotctl_target_done) SlotctlTarget target = {0};
    ErrorText error;
    if (slotctl_target_take_slot(argc, argv, context, false) < 0)
        return EXIT_USAGE;
    if (slotctl_target_open(context, true, &target, &error) < 0)
        return slotctl_fail(&error);
    size_t slot = slot_or_running(&target, &error);
    if (slot == SLOT_NONE || slot_disk_mark_good(target.disk, slot, &error) < 0)
        return slotctl_fail(&error);
    return print_change(&target, slot);
}

int slotctl_mark_bad(int argc, char **argv, void *context)
{
    _cleanup_(slotctl_target_done) SlotctlTarget target = {0};
    ErrorText error;
    if (slotctl_target_take_slot(argc, argv, context, true) < 0)
        return EXIT_USAGE;
    if (slotctl_target_open(context, true, &target, &error) < 0 ||
            slot_disk_mark_bad(target.disk, target.slot, &error) < 0)
        return slotctl_fail(&error);
    return print_change(&target, target.slot);
}

int slotctl_repair(int argc, char **argv, void *context)
{
    _cleanup_(slotctl_target_done) SlotctlTarget target = {0};
    ErrorText error;
    (void)argc;
    (void)argv;
    if (slotctl_target_open(context, true, &target, &error) < 0)
        return slotctl_fail(&error);
    TableHealth before = slot_disk_health(target.disk);
    if (slot_disk_repair(target.disk, &error) < 0)
        return slotctl_fail(&error);
    if (target.options->json)
        return print_report(&target, SLOT_NONE);
    if (before == TABLE_GOOD)
        printf("%s: nothing to repair\n", target.path);
    else
        printf("%s: the %s copy of the partition table is written anew\n", target.path,
                before == TABLE_PRIMARY_BAD ? "primary" : "backup");
    return EXIT_SUCCESS;
}
