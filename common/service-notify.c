/* SPDX-License-Identifier: Apache-2.0 */
#include "common/service-notify.h"

#include <stdarg.h>
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

void service_notify_status(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    (void)sd_notifyf(0, "STATUS=%s", text);
}
