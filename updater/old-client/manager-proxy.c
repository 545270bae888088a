/* SPDX-License-Identifier: Apache-2.0 */

/* A signal counts when its sender has the daemon's name, for anybody can send one straight to us.
 * What came is kept in a short queue: while a call waits for its reply, sd-bus hands out nothing,
 * so all of it has come before the reply has been seen. */

#include "updater/old-client/manager-proxy.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "common/bus-connect.h"
#include "common/bus-properties.h"
#include "common/clock.h"
#include "common/printable.h"
#include "updater/engine/bus-names.h"

#define QUICK_CALL_USEC (25 * USEC_PER_SEC)
#define SLOW_CALL_USEC (2 * USEC_PER_MINUTE)
#define QUEUE_MAX 64

struct ManagerProxy {
    sd_bus *bus;
    sd_bus_slot *status_slot;
    sd_bus_slot *finished_slot;
    sd_bus_slot *owner_slot;
    char owner[256]; /* unique name; "" while there is none */
    ManagerEvent queue[QUEUE_MAX];
    size_t n_queued;
};

/* A full queue loses its oldest: whoever is so late asks for the status itself. */
static ManagerEvent *enqueue(ManagerProxy *proxy, ManagerEventKind kind)
{
    if (proxy->n_queued == QUEUE_MAX)
        memmove(proxy->queue, proxy->queue + 1, --proxy->n_queued * sizeof(proxy->queue[0]));
    ManagerEvent *event = &proxy->queue[proxy->n_queued++];
    *event = (ManagerEvent){.kind = kind};
    return event;
}

static bool is_from_daemon(const ManagerProxy *proxy, sd_bus_message *message)
{
    const char *sender = sd_bus_message_get_sender(message);
    return sender && proxy->owner[0] && strcmp(sender, proxy->owner) == 0;
}

static int read_status(sd_bus_message *message, ManagerStatus *ret_status)
{
    const char *operation, *version;
    ManagerStatus status = {};
    int r = sd_bus_message_read(message, "xdssx", &status.last_checked_sec, &status.progress,
            &operation, &version, &status.new_size_bytes);
    if (r <= 0)
        return r < 0 ? r : -EBADMSG;
    printable_copy(status.operation, sizeof(status.operation), operation);
    printable_copy(status.new_version, sizeof(status.new_version), version);
    *ret_status = status;
    return 0;
}

static int on_status(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    ManagerProxy *proxy = userdata;
    ManagerStatus status;
    if (is_from_daemon(proxy, message) && read_status(message, &status) == 0)
        enqueue(proxy, MANAGER_STATUS)->status = status;
    return 0;
}

static int on_finished(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    ManagerProxy *proxy = userdata;
    const char *what, *result, *text;
    uint32_t code;
    if (!is_from_daemon(proxy, message) ||
            sd_bus_message_read(message, "ssus", &what, &result, &code, &text) <= 0 ||
            (strcmp(what, BUS_WHAT_UPDATE) != 0 && strcmp(what, BUS_WHAT_INSTALL) != 0))
        return 0;
    ManagerEvent *event = enqueue(proxy, MANAGER_END);
    printable_copy(event->result, sizeof(event->result), result);
    printable_copy(event->text, sizeof(event->text), text);
    return 0;
}

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    ManagerProxy *proxy = userdata;
    const char *name, *old_owner, *new_owner;
    if (sd_bus_message_read(message, "sss", &name, &old_owner, &new_owner) <= 0)
        return 0;
    if (proxy->owner[0] && new_owner[0] == '\0')
        enqueue(proxy, MANAGER_GONE);
    snprintf(proxy->owner, sizeof(proxy->owner), "%s", new_owner);
    return 0;
}

static int listen_to(ManagerProxy *proxy)
{
    int r = sd_bus_match_signal(proxy->bus, &proxy->status_slot, BUS_NAME, BUS_PATH,
            BUS_INTERFACE_MANAGER, "StatusUpdate", on_status, proxy);
    if (r >= 0)
        r = sd_bus_match_signal(proxy->bus, &proxy->finished_slot, BUS_NAME, BUS_PATH,
                BUS_INTERFACE_FLIPSIDE, "Finished", on_finished, proxy);
    if (r >= 0)
        r = sd_bus_add_match(proxy->bus, &proxy->owner_slot,
                "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                "member='NameOwnerChanged',arg0='" BUS_NAME "'",
                on_owner_changed, proxy);
    return r;
}

int manager_proxy_new(ManagerProxy **ret_proxy, ErrorText *error)
{
    _cleanup_(manager_proxy_freep) ManagerProxy *proxy = calloc(1, sizeof(*proxy));
    if (!proxy)
        return error_say(error, -ENOMEM, "out of memory");
    int r = bus_connect(NULL, &proxy->bus);
    if (r >= 0)
        r = listen_to(proxy);
    if (r < 0)
        return error_say(error, r, "cannot reach the system bus: %s", strerror(-r));
    *ret_proxy = TAKE_PTR(proxy);
    return 0;
}

void manager_proxy_free(ManagerProxy *proxy)
{
    if (!proxy)
        return;
    sd_bus_slot_unref(proxy->status_slot);
    sd_bus_slot_unref(proxy->finished_slot);
    sd_bus_slot_unref(proxy->owner_slot);
    sd_bus_flush_close_unref(proxy->bus);
    free(proxy);
}

/* After listen_to(), so that no change is missed. */
static int ask_owner(ManagerProxy *proxy)
{
    _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
    const char *owner = "";
    int r = sd_bus_get_name_creds(proxy->bus, BUS_NAME, SD_BUS_CREDS_UNIQUE_NAME, &creds);
    if (r == -ENXIO || r == -ESRCH || r == -EHOSTUNREACH)
        return 0;
    if (r >= 0)
        r = sd_bus_creds_get_unique_name(creds, &owner);
    if (r >= 0)
        snprintf(proxy->owner, sizeof(proxy->owner), "%s", owner);
    return r < 0 ? r : 0;
}

/* Takes in what has come. Errors: errno when the bus is gone. */
static int drain(ManagerProxy *proxy)
{
    int r;
    while ((r = sd_bus_process(proxy->bus, NULL)) > 0)
        continue;
    return r;
}

int manager_proxy_wait_for_daemon(ManagerProxy *proxy, uint64_t wait_usec, ErrorText *error)
{
    uint64_t end = clock_now_usec(CLOCK_MONOTONIC) + wait_usec;
    int r = proxy->owner[0] ? 0 : ask_owner(proxy);
    while (r >= 0 && !proxy->owner[0]) {
        uint64_t now = clock_now_usec(CLOCK_MONOTONIC);
        if (now >= end)
            return error_say(error, -ETIMEDOUT,
                    "update-engine is not on the bus; see 'systemctl status update-engine'");
        r = drain(proxy);
        if (r >= 0 && !proxy->owner[0])
            r = sd_bus_wait(proxy->bus, end - now);
        if (r == -EINTR)
            r = 0;
    }
    return r < 0 ? error_say(error, r, "the system bus is gone: %s", strerror(-r)) : 0;
}

static int say_failure(const sd_bus_error *bus_error, int r, ErrorText *error)
{
    static const char *const gone[] = {SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
            SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_DISCONNECTED};
    for (size_t i = 0; i < ELEMENTS(gone); i++)
        if (sd_bus_error_has_name(bus_error, gone[i]))
            return error_say(error, -EHOSTUNREACH, "update-engine is gone");
    if (sd_bus_error_has_name(bus_error, SD_BUS_ERROR_ACCESS_DENIED))
        return error_say(error, -EACCES, "not permitted; run it as root");
    return error_say(error, r, "%s", bus_error->message ? bus_error->message : strerror(-r));
}

static int call(ManagerProxy *proxy, const char *interface, const char *method,
        uint64_t timeout_usec, sd_bus_message **ret_reply, ErrorText *error)
{
    _cleanup_(sd_bus_error_free) sd_bus_error bus_error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    int r = sd_bus_message_new_method_call(
            proxy->bus, &message, BUS_NAME, BUS_PATH, interface, method);
    if (r >= 0)
        r = sd_bus_message_set_auto_start(message, false);
    if (r >= 0)
        r = sd_bus_call(proxy->bus, message, timeout_usec, &bus_error, ret_reply);
    return r < 0 ? say_failure(&bus_error, r, error) : 0;
}

int manager_proxy_call(ManagerProxy *proxy, const char *method, ErrorText *error)
{
    return call(proxy, BUS_INTERFACE_MANAGER, method, SLOW_CALL_USEC, NULL, error);
}

int manager_proxy_update(ManagerProxy *proxy, ErrorText *error)
{
    return call(proxy, BUS_INTERFACE_FLIPSIDE, "Update", QUICK_CALL_USEC, NULL, error);
}

int manager_proxy_status(ManagerProxy *proxy, ManagerStatus *ret_status, ErrorText *error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = call(proxy, BUS_INTERFACE_MANAGER, "GetStatus", QUICK_CALL_USEC, &reply, error);
    if (r < 0)
        return r;
    r = read_status(reply, ret_status);
    return r < 0 ? error_say(error, r, "update-engine's answer cannot be read: %s", strerror(-r))
                 : 0;
}

static int read_extra(sd_bus_message *reply, const char *name, void *userdata)
{
    ManagerExtra *extra = userdata;
    bool is_error = strcmp(name, "LastError") == 0;
    if (!is_error && strcmp(name, "Server") != 0)
        return sd_bus_message_skip(reply, "v");
    const char *text;
    int r = sd_bus_message_read(reply, "v", "s", &text);
    if (r < 0)
        return r;
    extra->is_there = true;
    if (is_error)
        printable_copy(extra->last_error, sizeof(extra->last_error), text);
    else
        printable_copy(extra->server, sizeof(extra->server), text);
    return r;
}

void manager_proxy_extra(ManagerProxy *proxy, ManagerExtra *ret_extra)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
    ManagerExtra extra = {};
    int r = sd_bus_message_new_method_call(
            proxy->bus, &message, BUS_NAME, BUS_PATH, BUS_PROPERTIES, "GetAll");
    if (r >= 0)
        r = sd_bus_message_append(message, "s", BUS_INTERFACE_FLIPSIDE);
    if (r >= 0)
        r = sd_bus_call(proxy->bus, message, QUICK_CALL_USEC, NULL, &reply);
    if (r >= 0)
        r = bus_properties_read(reply, read_extra, &extra);
    *ret_extra = r < 0 ? (ManagerExtra){} : extra;
}

int manager_proxy_next(ManagerProxy *proxy, uint64_t wait_usec, ManagerEvent *ret_event)
{
    int r = drain(proxy);
    if (r >= 0 && proxy->n_queued == 0 && wait_usec > 0) {
        r = sd_bus_wait(proxy->bus, wait_usec);
        if (r >= 0 || r == -EINTR)
            r = drain(proxy);
    }
    if (r < 0)
        return r;
    *ret_event = (ManagerEvent){.kind = MANAGER_NOTHING};
    if (proxy->n_queued == 0)
        return 0;
    *ret_event = proxy->queue[0];
    memmove(proxy->queue, proxy->queue + 1, --proxy->n_queued * sizeof(proxy->queue[0]));
    return 0;
}
