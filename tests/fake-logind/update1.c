/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "tests/fake-logind/fake-host.h"
#include "updater/engine/bus-names.h"

/* An update engine of which only the old interface is there, and that has what it is told. */

static int append_status(sd_bus_message *message, const FakeHost *host)
{
    return sd_bus_message_append(message, "xdssx", (int64_t)1, 0.0, host->update_status,
            host->update_version, (int64_t)0);
}

static int on_get_status(sd_bus_message *call, void *userdata, sd_bus_error *error _unused_)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);
    if (r >= 0)
        r = append_status(reply, userdata);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int on_attempt_update(sd_bus_message *call, void *userdata, sd_bus_error *error _unused_)
{
    FakeHost *host = userdata;
    fake_report(host, "attempt-update", call, host->update_status);
    return sd_bus_reply_method_return(call, "");
}

static int on_reset_status(sd_bus_message *call, void *userdata, sd_bus_error *error _unused_)
{
    FakeHost *host = userdata;
    fake_report(host, "reset-status", call, host->update_status);
    int r = update1_set(host, BUS_STATUS_IDLE, "0.0.0");
    return r < 0 ? r : sd_bus_reply_method_return(call, "");
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("GetStatus", "", "xdssx", on_get_status, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("AttemptUpdate", "", "", on_attempt_update, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ResetStatus", "", "", on_reset_status, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("StatusUpdate", "xdssx", 0),
        SD_BUS_VTABLE_END,
};

int update1_set(FakeHost *host, const char *status, const char *version)
{
    snprintf(host->update_status, sizeof(host->update_status), "%s", status);
    snprintf(host->update_version, sizeof(host->update_version), "%s", version);
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
    int r = sd_bus_message_new_signal(
            host->bus, &signal, BUS_PATH, BUS_INTERFACE_MANAGER, "StatusUpdate");
    if (r >= 0)
        r = append_status(signal, host);
    return r < 0 ? r : sd_bus_send(host->bus, signal, NULL);
}

int update1_serve(FakeHost *host)
{
    snprintf(host->update_status, sizeof(host->update_status), BUS_STATUS_IDLE);
    snprintf(host->update_version, sizeof(host->update_version), "0.0.0");
    int r = sd_bus_add_object_vtable(
            host->bus, NULL, BUS_PATH, BUS_INTERFACE_MANAGER, manager_vtable, host);
    return r < 0 ? r : sd_bus_request_name(host->bus, BUS_NAME, 0);
}
