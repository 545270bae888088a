/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/fake-logind/fake-host.h"

/* systemd: a few units and their ActiveState. As from systemd, signals of units come only after
 * somebody has subscribed. */

#define UNITS_PATH SYSTEMD1_PATH "/unit"
#define UNIT_INTERFACE SYSTEMD1_NAME ".Unit"
#define BOOT_COMPLETE "boot-complete.target"

static FakeUnit *find_unit(FakeHost *host, const char *name)
{
    for (size_t i = 0; i < host->n_units; i++)
        if (strcmp(host->units[i].name, name) == 0)
            return &host->units[i];
    return NULL;
}

static int on_get_unit(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    FakeHost *host = userdata;
    const char *name;
    int r = sd_bus_message_read(call, "s", &name);
    if (r < 0)
        return r;
    if (!find_unit(host, name))
        return sd_bus_error_setf(error, SYSTEMD1_NAME ".NoSuchUnit", "Unit %s not loaded.", name);
    _cleanup_free_ char *path = NULL;
    r = sd_bus_path_encode(UNITS_PATH, name, &path);
    return r < 0 ? r : sd_bus_reply_method_return(call, "o", path);
}

static int on_subscribe(sd_bus_message *call, void *userdata, sd_bus_error *error _unused_)
{
    FakeHost *host = userdata;
    host->is_subscribed = true;
    return sd_bus_reply_method_return(call, "");
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("GetUnit", "s", "o", on_get_unit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("LoadUnit", "s", "o", on_get_unit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Subscribe", "", "", on_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
        SD_BUS_VTABLE_END,
};

static int get_unit_word(sd_bus *bus _unused_, const char *path _unused_,
        const char *interface _unused_, const char *property, sd_bus_message *reply, void *userdata,
        sd_bus_error *error _unused_)
{
    const FakeUnit *unit = userdata;
    return sd_bus_message_append(reply, "s",
            strcmp(property, "Id") == 0          ? unit->name
            : strcmp(property, "LoadState") == 0 ? "loaded"
                                                 : unit->active_state);
}

static const sd_bus_vtable unit_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Id", "s", get_unit_word, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("LoadState", "s", get_unit_word, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ActiveState", "s", get_unit_word, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

static int on_find_unit(sd_bus *bus _unused_, const char *path, const char *interface _unused_,
        void *userdata, void **ret_found, sd_bus_error *error _unused_)
{
    FakeHost *host = userdata;
    _cleanup_free_ char *name = NULL;
    int r = sd_bus_path_decode(path, UNITS_PATH, &name);
    if (r <= 0)
        return r;
    *ret_found = find_unit(host, name);
    return *ret_found != NULL;
}

int systemd1_set_unit(FakeHost *host, const char *name, const char *active_state)
{
    FakeUnit *unit = find_unit(host, name);
    if (!unit && host->n_units == FAKE_MAX_UNITS)
        return -ENOSPC;
    if (!unit) {
        unit = &host->units[host->n_units++];
        snprintf(unit->name, sizeof(unit->name), "%s", name);
    }
    snprintf(unit->active_state, sizeof(unit->active_state), "%s", active_state);
    if (!host->is_subscribed)
        return 0;
    _cleanup_free_ char *path = NULL;
    int r = sd_bus_path_encode(UNITS_PATH, name, &path);
    if (r >= 0)
        r = sd_bus_emit_properties_changed(host->bus, path, UNIT_INTERFACE, "ActiveState", NULL);
    if (r >= 0)
        r = sd_bus_emit_signal(host->bus, SYSTEMD1_PATH, SYSTEMD1_MANAGER, "JobRemoved", "uoss",
                (uint32_t)1, SYSTEMD1_PATH "/job/1", name, "done");
    return r;
}

int systemd1_serve(FakeHost *host)
{
    int r = systemd1_set_unit(host, BOOT_COMPLETE, "inactive");
    if (r >= 0)
        r = sd_bus_add_object_vtable(
                host->bus, NULL, SYSTEMD1_PATH, SYSTEMD1_MANAGER, manager_vtable, host);
    if (r >= 0)
        r = sd_bus_add_fallback_vtable(
                host->bus, NULL, UNITS_PATH, UNIT_INTERFACE, unit_vtable, on_find_unit, host);
    return r < 0 ? r : sd_bus_request_name(host->bus, SYSTEMD1_NAME, 0);
}
