/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/boot-outcome.h"

#include <string.h>

/* The state is written before the flip and again after it, so that a kill or a power cut between
 * the three leaves a trace: is_flipped says that the table was changed for sure, and where it does
 * not, the slot's priority tells (zero until the flip). A boot chooser may set a slot's priority
 * back to zero when it cannot load it; with is_flipped that is a fall-back, too. */

static BootOutcome after_reboot(const PendingSlot *pending, const BootFacts *facts)
{
    if (strcmp(pending->label, facts->running_label) == 0)
        return BOOT_INTO_PENDING;
    if (pending->is_replaced)
        return BOOT_WAS_REPLACED;
    if (facts->running_label[0] == '\0')
        return BOOT_UNKNOWN;
    if (!pending->is_flipped && !facts->is_choosable)
        return BOOT_NEVER_FLIPPED;
    return BOOT_FELL_BACK;
}

BootOutcome boot_outcome_of(const EngineState *state, const BootFacts *facts)
{
    if (!state->has_pending)
        return BOOT_NOTHING_PENDING;
    const PendingSlot *pending = &state->pending;
    bool has_rebooted = facts->boot_id[0] != '\0' && strcmp(pending->boot_id, facts->boot_id) != 0;
    if (has_rebooted)
        return after_reboot(pending, facts);
    if (pending->is_replaced)
        return BOOT_WAS_REPLACED;
    return facts->is_choosable ? BOOT_STILL_PENDING : BOOT_NEVER_FLIPPED;
}
