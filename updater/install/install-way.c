/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/install-way.h"

#include <inttypes.h>

#include "common/byte-count.h"

const char *install_way_text(InstallWay way)
{
    switch (way) {
    case INSTALL_UNDECIDED:
        return "";
    case INSTALL_FROM_FILE:
        return "file";
    case INSTALL_WHOLE:
        return "whole";
    case INSTALL_ADAPTIVE:
        return "adaptive";
    case INSTALL_DELTA:
        return "delta";
    }
    return "";
}

static bool is_fetched(const InstallPlan *plan)
{
    return plan->way != INSTALL_UNDECIDED && plan->way != INSTALL_FROM_FILE;
}

void install_plan_say(const InstallPlan *plan, ErrorText *ret_line)
{
    *ret_line = (ErrorText){};
    if (!is_fetched(plan))
        return;
    ByteCountText fetch = byte_count_text(plan->n_fetch_bytes);
    const char *colon = plan->reason.line[0] ? ": " : "";
    if (plan->n_fetch_bytes >= plan->n_whole_bytes)
        error_say(ret_line, 0, "fetching all %s%s%s", fetch.text, colon, plan->reason.line);
    else
        error_say(ret_line, 0, "fetching %s%s of %s%s%s",
                plan->way == INSTALL_WHOLE ? "the remaining " : "", fetch.text,
                byte_count_text(plan->n_whole_bytes).text, colon, plan->reason.line);
}

void install_plan_say_end(
        const InstallPlan *plan, uint64_t n_fetched_bytes, uint64_t n_requests, ErrorText *ret_line)
{
    *ret_line = (ErrorText){};
    if (is_fetched(plan))
        error_say(ret_line, 0, "fetched %s of %s in %" PRIu64 " request%s (%s)",
                byte_count_text(n_fetched_bytes).text, byte_count_text(plan->n_whole_bytes).text,
                n_requests, n_requests == 1 ? "" : "s", install_way_text(plan->way));
}
