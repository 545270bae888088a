/* SPDX-License-Identifier: Apache-2.0 */

/* slotctl verify: the partition table and the slots' bits; with a slot named, all that is in it,
 * too. Reading a slot takes as long as the disk needs, so it is done only where it is asked for. */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/verbs.h"
#include "partitions/slot-reader.h"
#include "partitions/slot-report.h"
#include "partitions/slot-trailer-read.h"
#include "partitions/slot-verify.h"
#include "partitions/slotctl-target.h"

/* Holds the slot against its trailer, as the device has them. Returns the exit code; error says
 * what is wrong. */
static int verify_slot(
        const SlotctlTarget *target, size_t index, SlotTrailer *ret_trailer, ErrorText *error)
{
    const Slot *slot = slotctl_target_slot(target, index);
    _cleanup_close_ int fd = -1;
    uint64_t offset_bytes;
    TrailerFault fault;
    ErrorText reason = {0};
    int r = slot_reader_open(target->disk, index, &fd, &offset_bytes, error);
    if (r < 0)
        return EXIT_FAILURE;
    r = slot_trailer_read_at(fd, offset_bytes, slot->size_bytes, &fault, ret_trailer);
    if (r < 0)
        return error_say(
                error, EXIT_FAILURE, "the end of %s cannot be read: %s", slot->label, strerror(-r));
    if (fault == TRAILER_ABSENT || (fault == TRAILER_VALID && ret_trailer->tree_bytes == 0))
        return error_say(error, EXIT_UNVERIFIABLE, "%s has no %s: there is nothing to verify it by",
                slot->label, fault == TRAILER_ABSENT ? "trailer" : "hash tree");
    if (fault != TRAILER_VALID)
        return error_say(error, EXIT_ROTTEN, "%s is damaged: its trailer %s", slot->label,
                slot_trailer_fault_text(fault));
    r = slot_verify_tree(fd, offset_bytes, ret_trailer, NULL, &reason);
    if (r == 0)
        r = slot_verify_uki(fd, offset_bytes, ret_trailer, NULL, &reason);
    if (r == -EBADMSG)
        return error_say(error, EXIT_ROTTEN, "%s is damaged: %s", slot->label, reason.line);
    if (r < 0)
        return error_say(error, EXIT_FAILURE, "%s cannot be verified: %s", slot->label,
                reason.line[0] ? reason.line : strerror(-r));
    return EXIT_SUCCESS;
}

static int print_json(const SlotctlTarget *target, const char *verdict)
{
    const SlotReport report = {
            .disk = target->disk,
            .path = target->path,
            .running = target->running,
            .only = SLOT_NONE,
            .verified = target->slot,
            .verdict = verdict,
    };
    if (slot_report_print_json(&report) < 0)
        return slotctl_fail(&(ErrorText){"out of memory"});
    return EXIT_SUCCESS;
}

static void print_text(const SlotctlTarget *target, const SlotTrailer *trailer)
{
    size_t next = slot_disk_next(target->disk);
    printf("the primary copy %s\nthe backup copy %s\n",
            gpt_fault_text(slot_disk_primary_fault(target->disk)),
            gpt_fault_text(slot_disk_backup_fault(target->disk)));
    if (next != SLOT_NONE)
        printf("%s boots next\n", slotctl_target_slot(target, next)->label);
    if (!trailer)
        return;
    char root[SHA256_HEX_CHARS + 1];
    sha256_to_hex(&trailer->root_hash, root);
    printf("%s holds %s %s whole, root hash %s\n", slotctl_target_slot(target, target->slot)->label,
            trailer->product, trailer->version, root);
}

int slotctl_verify(int argc, char **argv, void *context)
{
    _cleanup_(slotctl_target_done) SlotctlTarget target = {0};
    ErrorText error, verdict = {"good"};
    SlotTrailer trailer;
    int content = EXIT_SUCCESS;
    if (slotctl_target_take_slot(argc, argv, context, false) < 0)
        return EXIT_USAGE;
    if (slotctl_target_open(context, false, &target, &error) < 0)
        return slotctl_fail(&error);
    if (target.slot != SLOT_NONE)
        content = verify_slot(&target, target.slot, &trailer, &verdict);
    bool is_proven = target.slot != SLOT_NONE && content == EXIT_SUCCESS;
    if (!target.options->json)
        print_text(&target, is_proven ? &trailer : NULL);
    else if (print_json(&target, verdict.line) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if (content != EXIT_SUCCESS)
        (void)slotctl_fail(&verdict);
    int table = slotctl_target_judge_table(&target);
    int slots = slot_disk_next(target.disk) == SLOT_NONE ? slotctl_target_none_usable(&target)
                                                         : EXIT_SUCCESS;
    if (content != EXIT_SUCCESS)
        return content;
    return table != EXIT_SUCCESS ? table : slots;
}
