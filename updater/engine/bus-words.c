/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/bus-words.h"

#include "updater/engine/bus-names.h"

const char *bus_words_status(const EngineStatus *status)
{
    switch (status->phase) {
    case ENGINE_IDLE:
        return BUS_STATUS_IDLE;
    case ENGINE_CHECKING:
        /* As update_engine, which only pings while a reboot is pending: who waits for it must not
         * see it go away and come back. */
        return status->needs_reboot ? BUS_STATUS_NEED_REBOOT : BUS_STATUS_CHECKING;
    case ENGINE_STARTING:
    case ENGINE_PREPARING:
        return BUS_STATUS_AVAILABLE;
    case ENGINE_DOWNLOADING:
        return BUS_STATUS_DOWNLOADING;
    case ENGINE_VERIFYING:
    case ENGINE_ROLLING_BACK:
        return BUS_STATUS_VERIFYING;
    case ENGINE_COMMITTING:
        return BUS_STATUS_FINALIZING;
    case ENGINE_NEED_REBOOT:
        return BUS_STATUS_NEED_REBOOT;
    case ENGINE_REPORTING_ERROR:
        return BUS_STATUS_REPORTING_ERROR;
    }
    return BUS_STATUS_IDLE;
}

double bus_words_progress(const EngineStatus *status)
{
    if (status->n_bytes_total == 0)
        return 0;
    return (double)MIN(status->n_bytes_done, status->n_bytes_total) / (double)status->n_bytes_total;
}

const char *bus_words_task(EngineTask task)
{
    switch (task) {
    case ENGINE_CHECK:
        return BUS_WHAT_CHECK;
    case ENGINE_UPDATE:
        return BUS_WHAT_UPDATE;
    case ENGINE_INSTALL:
        return BUS_WHAT_INSTALL;
    case ENGINE_ROLLBACK:
        return BUS_WHAT_ROLLBACK;
    }
    return "";
}

const char *bus_words_result(EngineResult result)
{
    switch (result) {
    case ENGINE_DONE:
        return BUS_RESULT_DONE;
    case ENGINE_NO_UPDATE:
        return BUS_RESULT_NO_UPDATE;
    case ENGINE_NOT_NOW:
        return BUS_RESULT_NOT_NOW;
    case ENGINE_CANCELLED:
        return BUS_RESULT_CANCELLED;
    case ENGINE_FAILED:
        return BUS_RESULT_FAILED;
    }
    return "";
}
