/* SPDX-License-Identifier: Apache-2.0 */
#include "common/bus-connect.h"

#include <stdbool.h>

#include "common/cleanup.h"

int bus_connect(const char *address, sd_bus **ret_bus)
{
    if (!address)
        return sd_bus_open_system(ret_bus);
    _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, address);
    if (r >= 0)
        r = sd_bus_set_bus_client(bus, true);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r >= 0)
        *ret_bus = TAKE_PTR(bus);
    return r;
}
