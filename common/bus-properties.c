/* SPDX-License-Identifier: Apache-2.0 */
#include "common/bus-properties.h"

#include <string.h>

int bus_properties_read(sd_bus_message *message,
        int (*on_property)(sd_bus_message *message, const char *name, void *userdata),
        void *userdata)
{
    int r = sd_bus_message_enter_container(message, 'a', "{sv}");
    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        const char *name;
        r = sd_bus_message_read(message, "s", &name);
        if (r >= 0)
            r = on_property(message, name, userdata);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

typedef struct {
    const char *property;
    bool is_found;
} Search;

static int compare(sd_bus_message *message, const char *name, void *userdata)
{
    Search *search = userdata;
    search->is_found |= strcmp(name, search->property) == 0;
    return sd_bus_message_skip(message, "v");
}

bool bus_properties_changed_name(
        sd_bus_message *signal, const char *interface, const char *property)
{
    const char *name;
    Search search = {.property = property};
    if (sd_bus_message_read(signal, "s", &name) <= 0 || strcmp(name, interface) != 0 ||
            bus_properties_read(signal, compare, &search) < 0 ||
            sd_bus_message_enter_container(signal, 'a', "s") < 0)
        return false;
    while (!search.is_found && sd_bus_message_read(signal, "s", &name) > 0)
        search.is_found = strcmp(name, property) == 0;
    return search.is_found;
}
