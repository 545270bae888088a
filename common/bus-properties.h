/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading what the standard interface of properties sends (D-Bus Specification, Standard
 * Interfaces). */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#define BUS_PROPERTIES "org.freedesktop.DBus.Properties"

/* Reads an a{sv}: on_property is called for each with the message at the variant, which it must
 * read or skip as a whole; a negative result ends the reading and is returned.
 * Errors: errno of sd-bus for a message of another form. */
int bus_properties_read(sd_bus_message *message,
        int (*on_property)(sd_bus_message *message, const char *name, void *userdata),
        void *userdata);

/* Whether the signal PropertiesChanged is about this property of interface, with its new value or
 * without. */
bool bus_properties_changed_name(
        sd_bus_message *signal, const char *interface, const char *property);
