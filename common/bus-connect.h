/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-bus.h>

/* Connects to the bus at address, NULL: the system bus, as one of its clients. *ret_bus is new and
 * on no event loop yet; what is sent waits until the bus has answered. Errors: of sd-bus. */
int bus_connect(const char *address, sd_bus **ret_bus);
