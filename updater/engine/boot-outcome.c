/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/boot-outcome.h"

#include <string.h>

/* The state is written before the flip and again after it, so that a kill or a power cut between
 * the three leaves a trace: is_flipped says that the table was changed for sure, and where it does
 * not, the table tells. A flip puts the slot before all others, and spending tries does not change
 * that; a slot that merely can boot proves nothing, since the target of a rollback always could.
 * The same holds for is_replaced, which is written before the slot is made unbootable: as long as
 * it stands before all others, that has not happened. A boot chooser may set a slot's priority back
 * to zero when it cannot load it; with is_flipped that is a fall-back, too.
 *
 * The program of a new image that is run before the flip may flip by itself and fail afterwards. As
 * long as its success is not recorded, a table that says so in the same boot was not our flip, and
 * the install is made again. After a reboot it counts like ours, for the slot was proven before.
 *
 * A slot that booted is on probation until it is marked good. A system that starts the daemon and
 * then fails its checks spends its tries like one that never came up, and must not be installed
 * again either. */

static BootOutcome on_probation(bool runs, const BootFacts *facts)
{
    if (!facts->is_in_table)
        return BOOT_UNKNOWN;
    if (facts->is_good)
        return BOOT_IS_GOOD;
    if (runs)
        return BOOT_NOT_GOOD_YET;
    return facts->running_label[0] == '\0' ? BOOT_UNKNOWN : BOOT_FELL_BACK;
}

static BootOutcome after_reboot(const PendingSlot *pending, const BootFacts *facts)
{
    if (facts->running_label[0] == '\0' || !facts->is_in_table)
        return BOOT_UNKNOWN;
    if (facts->is_foremost)
        return BOOT_FELL_BACK;
    if (pending->is_replaced)
        return BOOT_WAS_REPLACED;
    return pending->is_flipped ? BOOT_FELL_BACK : BOOT_NEVER_FLIPPED;
}

static BootOutcome in_the_same_boot(const PendingSlot *pending, const BootFacts *facts)
{
    if (!facts->is_in_table)
        return pending->is_flipped && !pending->is_replaced ? BOOT_STILL_PENDING : BOOT_UNKNOWN;
    if (facts->is_foremost && !pending->awaits_postinst)
        return BOOT_STILL_PENDING;
    return pending->is_replaced ? BOOT_WAS_REPLACED : BOOT_NEVER_FLIPPED;
}

BootOutcome boot_outcome_of(const EngineState *state, const BootFacts *facts)
{
    if (!state->has_pending)
        return BOOT_NOTHING_PENDING;
    const PendingSlot *pending = &state->pending;
    bool runs = strcmp(pending->label, facts->running_label) == 0;
    if (pending->is_booted)
        return on_probation(runs, facts);
    if (runs)
        return BOOT_INTO_PENDING;
    bool has_rebooted = facts->boot_id[0] != '\0' && strcmp(pending->boot_id, facts->boot_id) != 0;
    return has_rebooted ? after_reboot(pending, facts) : in_the_same_boot(pending, facts);
}
