/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/old-client/update-trace.h"

#include <string.h>

#include "common/clock.h"
#include "updater/engine/bus-names.h"

#define START_WAIT_USEC (5 * USEC_PER_SEC)   /* update_engine begins when it gets round to it */
#define RETURN_WAIT_USEC (30 * USEC_PER_SEC) /* this daemon goes on a second after its start */

static bool is(const char *operation, const char *status)
{
    return strcmp(operation, status) == 0;
}

void update_trace_add(UpdateTrace *trace, const char *operation)
{
    trace->has_worked |= !is(operation, BUS_STATUS_IDLE);
    trace->has_failed |= is(operation, BUS_STATUS_REPORTING_ERROR);
}

void update_trace_restart(UpdateTrace *trace)
{
    *trace = (UpdateTrace){.was_gone = true};
}

AttemptState update_trace_judge(
        const UpdateTrace *trace, const char *operation, uint64_t idle_usec, bool is_prompt)
{
    if (is(operation, BUS_STATUS_NEED_REBOOT))
        return ATTEMPT_INSTALLED;
    if (!is(operation, BUS_STATUS_IDLE))
        return ATTEMPT_GOES_ON;
    if (trace->has_failed)
        return ATTEMPT_FAILED;
    if (trace->has_worked)
        return ATTEMPT_NOTHING_NEW;
    if (trace->was_gone)
        return idle_usec < RETURN_WAIT_USEC ? ATTEMPT_GOES_ON : ATTEMPT_LOST;
    if (is_prompt)
        return ATTEMPT_NOT_STARTED;
    return idle_usec < START_WAIT_USEC ? ATTEMPT_GOES_ON : ATTEMPT_NOTHING_NEW;
}
