/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/service-notify.h"

#include <stdbool.h>
#include <systemd/sd-daemon.h>

int service_notify_ready(sd_event *event)
{
    int r = sd_event_set_watchdog(event, true);
    if (r < 0)
        return r;
    (void)sd_notify(0, "READY=1");
    return 0;
}

void service_notify_status(const EngineStatus *status)
{
    const char *version = status->new_version;
    (void)sd_notifyf(0, "STATUS=%s%s%s%s%s", engine_phase_text(status->phase),
            version[0] ? ", version " : "", version,
            status->last_error[0] ? "; last failure: " : "", status->last_error);
}
