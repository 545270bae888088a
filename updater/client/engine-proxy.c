/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/client/engine-proxy.h"

#include <string.h>

#include "common/bus-connect.h"
#include "common/bus-properties.h"
#include "common/clock.h"
#include "common/printable.h"
#include "updater/client/client.h"
#include "updater/engine/bus-names.h"

#define QUICK_CALL_USEC (10 * USEC_PER_SEC)

struct EngineProxy {
    sd_bus *bus;
    sd_bus_slot *finished_slot;
    sd_bus_slot *changed_slot;
    sd_bus_slot *owner_slot;
    bool is_gone;
    bool has_end;
    EngineEnd end;
};

int engine_proxy_read_text(sd_bus_message *message, char *text, size_t n_bytes)
{
    const char *value;
    int r = sd_bus_message_read(message, "s", &value);
    if (r > 0)
        printable_copy(text, n_bytes, value);
    return r > 0 ? 0 : r < 0 ? r : -ENXIO;
}

int engine_proxy_new(const char *address, EngineProxy **ret_proxy, ErrorText *error)
{
    _cleanup_(engine_proxy_freep) EngineProxy *proxy = calloc(1, sizeof(*proxy));
    if (!proxy)
        return -ENOMEM;
    int r = bus_connect(address, &proxy->bus);
    if (r < 0)
        return error_say(error, r, "cannot reach %s: %s", address ? address : "the system bus",
                strerror(-r));
    *ret_proxy = TAKE_PTR(proxy);
    return 0;
}

void engine_proxy_free(EngineProxy *proxy)
{
    if (!proxy)
        return;
    sd_bus_slot_unref(proxy->finished_slot);
    sd_bus_slot_unref(proxy->changed_slot);
    sd_bus_slot_unref(proxy->owner_slot);
    sd_bus_flush_close_unref(proxy->bus);
    free(proxy);
}

static int exit_code_of(const sd_bus_error *error, int r)
{
    static const struct {
        const char *name;
        int exit_code;
    } codes[] = {
            {SD_BUS_ERROR_SERVICE_UNKNOWN, CLIENT_NO_DAEMON},
            {SD_BUS_ERROR_NAME_HAS_NO_OWNER, CLIENT_NO_DAEMON},
            {SD_BUS_ERROR_NO_REPLY, CLIENT_NO_DAEMON},
            {SD_BUS_ERROR_TIMEOUT, CLIENT_NO_DAEMON},
            {SD_BUS_ERROR_DISCONNECTED, CLIENT_NO_DAEMON},
            {SD_BUS_ERROR_ACCESS_DENIED, CLIENT_REFUSED},
            {SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, CLIENT_REFUSED},
            {BUS_ERROR_BUSY, CLIENT_REFUSED},
            {BUS_ERROR_DISABLED, CLIENT_REFUSED},
            {BUS_ERROR_REFUSED, CLIENT_REFUSED},
            {BUS_ERROR_NOTHING_TO_DO, CLIENT_NOTHING},
    };
    for (size_t i = 0; i < ELEMENTS(codes); i++)
        if (sd_bus_error_has_name(error, codes[i].name))
            return codes[i].exit_code;
    return r == -ETIMEDOUT || r == -ECONNRESET || r == -ENOTCONN ? CLIENT_NO_DAEMON : CLIENT_FAILED;
}

static int say_failure(const sd_bus_error *bus_error, int r, ErrorText *error)
{
    int exit_code = exit_code_of(bus_error, r);
    const char *reason = bus_error->message ? bus_error->message : strerror(-r);
    if (exit_code == CLIENT_NO_DAEMON)
        error_say(error, r,
                "update-engine does not answer (%s); see 'systemctl status "
                "update-engine'",
                reason);
    else if (sd_bus_error_has_name(bus_error, SD_BUS_ERROR_ACCESS_DENIED))
        error_say(error, r, "not permitted; run it as root");
    else
        error_say(error, r, "%s", reason);
    return exit_code;
}

static int call_message(EngineProxy *proxy, sd_bus_message *call, uint64_t timeout_usec,
        sd_bus_message **ret_reply, ErrorText *error)
{
    _cleanup_(sd_bus_error_free) sd_bus_error bus_error = SD_BUS_ERROR_NULL;
    int r = sd_bus_message_set_auto_start(call, false);
    if (r >= 0)
        r = sd_bus_call(proxy->bus, call, timeout_usec, &bus_error, ret_reply);
    return r < 0 ? say_failure(&bus_error, r, error) : CLIENT_DONE;
}

int engine_proxy_call(EngineProxy *proxy, const char *method, uint64_t timeout_usec,
        sd_bus_message **ret_reply, ErrorText *error, const char *types, ...)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    int r = sd_bus_message_new_method_call(
            proxy->bus, &call, BUS_NAME, BUS_PATH, BUS_INTERFACE_FLIPSIDE, method);
    if (r >= 0) {
        va_list arguments;
        va_start(arguments, types);
        r = sd_bus_message_appendv(call, types, arguments);
        va_end(arguments);
    }
    if (r < 0)
        return say_failure(&SD_BUS_ERROR_NULL, r, error);
    return call_message(proxy, call, timeout_usec, ret_reply, error);
}

/* Reads the value of one property that we know; others are skipped. */
static int read_property(sd_bus_message *reply, const char *name, void *userdata)
{
    EngineView *view = userdata;
    const struct {
        const char *name;
        char *text;
        size_t n_bytes;
    } texts[] = {
            {"Phase", view->phase, sizeof(view->phase)},
            {"LastError", view->last_error, sizeof(view->last_error)},
            {"FetchWay", view->fetch_way, sizeof(view->fetch_way)},
            {"FetchText", view->fetch_text, sizeof(view->fetch_text)},
            {"Deferred", view->deferred, sizeof(view->deferred)},
            {"ConfigWarning", view->config_warning, sizeof(view->config_warning)},
            {"Channel", view->channel, sizeof(view->channel)},
            {"Server", view->server, sizeof(view->server)},
            {"Product", view->product, sizeof(view->product)},
            {"Version", view->version, sizeof(view->version)},
            {"NewVersion", view->new_version, sizeof(view->new_version)},
            {"RunningSlot", view->running_slot, sizeof(view->running_slot)},
            {"TargetSlot", view->target_slot, sizeof(view->target_slot)},
            {"TableHealth", view->table_health, sizeof(view->table_health)},
    };
    const struct {
        const char *name;
        uint64_t *count;
    } counts[] = {
            {"BytesDone", &view->n_bytes_done},
            {"BytesTotal", &view->n_bytes_total},
            {"BytesFetched", &view->n_bytes_fetched},
            {"BytesToFetch", &view->n_bytes_to_fetch},
            {"BytesWhole", &view->n_bytes_whole},
            {"Requests", &view->n_requests},
            {"LastCheckedUsec", &view->last_checked_usec},
            {"NextCheckUsec", &view->next_check_usec},
    };
    const char *text;
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        if (strcmp(name, texts[i].name) == 0) {
            int r = sd_bus_message_read(reply, "v", "s", &text);
            if (r >= 0)
                printable_copy(texts[i].text, texts[i].n_bytes, text);
            return r;
        }
    for (size_t i = 0; i < ELEMENTS(counts); i++)
        if (strcmp(name, counts[i].name) == 0)
            return sd_bus_message_read(reply, "v", "t", counts[i].count);
    if (strcmp(name, "LastErrorCode") == 0)
        return sd_bus_message_read(reply, "v", "u", &view->last_error_code);
    return sd_bus_message_skip(reply, "v");
}

int engine_proxy_view(EngineProxy *proxy, EngineView *ret_view, ErrorText *error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    int r = sd_bus_message_new_method_call(
            proxy->bus, &call, BUS_NAME, BUS_PATH, BUS_PROPERTIES, "GetAll");
    if (r >= 0)
        r = sd_bus_message_append(call, "s", BUS_INTERFACE_FLIPSIDE);
    if (r < 0)
        return say_failure(&SD_BUS_ERROR_NULL, r, error);
    int exit_code = call_message(proxy, call, QUICK_CALL_USEC, &reply, error);
    if (exit_code != CLIENT_DONE)
        return exit_code;
    EngineView view = {};
    r = bus_properties_read(reply, read_property, &view);
    if (r < 0)
        return say_failure(&SD_BUS_ERROR_NULL, r, error);
    *ret_view = view;
    return CLIENT_DONE;
}

/* Errors: of sd_bus_message_read; 0 at the end of the list, 1 for a slot. */
static int read_slot(sd_bus_message *reply, EngineSlotView *ret_slot)
{
    const char *label, *version, *product;
    uint32_t priority, tries;
    int successful, running, next;
    int r = sd_bus_message_read(reply, "(sssuubbb)", &label, &version, &product, &priority, &tries,
            &successful, &running, &next);
    if (r <= 0)
        return r;
    EngineSlotView slot = {.priority = priority,
            .tries = tries,
            .is_successful = successful,
            .is_running = running,
            .is_next = next};
    printable_copy(slot.label, sizeof(slot.label), label);
    printable_copy(slot.version, sizeof(slot.version), version);
    printable_copy(slot.product, sizeof(slot.product), product);
    *ret_slot = slot;
    return 1;
}

int engine_proxy_slots(
        EngineProxy *proxy, EngineSlotView **ret_slots, size_t *ret_n_slots, ErrorText *error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int exit_code = engine_proxy_call(proxy, "GetSlots", QUICK_CALL_USEC, &reply, error, "");
    if (exit_code != CLIENT_DONE)
        return exit_code;
    _cleanup_free_ EngineSlotView *slots = NULL;
    size_t n_slots = 0;
    EngineSlotView slot;
    int r = sd_bus_message_enter_container(reply, 'a', "(sssuubbb)");
    while (r >= 0 && (r = read_slot(reply, &slot)) > 0) {
        EngineSlotView *larger = realloc(slots, (n_slots + 1) * sizeof(*slots));
        if (!larger)
            return say_failure(&SD_BUS_ERROR_NULL, -ENOMEM, error);
        slots = larger;
        slots[n_slots++] = slot;
    }
    if (r < 0)
        return say_failure(&SD_BUS_ERROR_NULL, r, error);
    *ret_slots = TAKE_PTR(slots);
    *ret_n_slots = n_slots;
    return CLIENT_DONE;
}

static int on_finished(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    EngineProxy *proxy = userdata;
    EngineEnd end = {};
    if (engine_proxy_read_text(message, end.what, sizeof(end.what)) == 0 &&
            engine_proxy_read_text(message, end.result, sizeof(end.result)) == 0 &&
            sd_bus_message_read(message, "u", &end.code) > 0 &&
            engine_proxy_read_text(message, end.text, sizeof(end.text)) == 0) {
        proxy->end = end;
        proxy->has_end = true;
    }
    return 0;
}

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    EngineProxy *proxy = userdata;
    const char *name, *old_owner, *new_owner;
    if (sd_bus_message_read(message, "sss", &name, &old_owner, &new_owner) > 0)
        proxy->is_gone = new_owner[0] == '\0';
    return 0;
}

static int on_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    /* Only to be woken: the properties are read anew. */
    (void)message;
    (void)userdata;
    (void)error;
    return 0;
}

int engine_proxy_listen(EngineProxy *proxy, ErrorText *error)
{
    int r = sd_bus_match_signal(proxy->bus, &proxy->finished_slot, BUS_NAME, BUS_PATH,
            BUS_INTERFACE_FLIPSIDE, "Finished", on_finished, proxy);
    if (r >= 0)
        r = sd_bus_match_signal(proxy->bus, &proxy->changed_slot, BUS_NAME, BUS_PATH,
                BUS_PROPERTIES, "PropertiesChanged", on_changed, proxy);
    if (r >= 0)
        r = sd_bus_add_match(proxy->bus, &proxy->owner_slot,
                "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                "member='NameOwnerChanged',arg0='" BUS_NAME "'",
                on_owner_changed, proxy);
    return r < 0 ? error_say(error, r, "cannot listen on the bus: %s", strerror(-r)) : 0;
}

int engine_proxy_wait(EngineProxy *proxy, uint64_t wait_usec, EngineEnd *ret_end)
{
    int r;
    bool has_news = false;
    while (!proxy->has_end && (r = sd_bus_process(proxy->bus, NULL)) != 0) {
        if (r < 0)
            return r;
        has_news = true;
    }
    if (!proxy->has_end && !has_news) {
        r = sd_bus_wait(proxy->bus, wait_usec);
        if (r < 0 && r != -EINTR)
            return r;
        while (!proxy->has_end && (r = sd_bus_process(proxy->bus, NULL)) != 0)
            if (r < 0)
                return r;
    }
    if (!proxy->has_end)
        return 0;
    proxy->has_end = false;
    *ret_end = proxy->end;
    return 1;
}

bool engine_proxy_is_there(const EngineProxy *proxy)
{
    return !proxy->is_gone;
}
