/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/slot-name.h"

#include <string.h>

#include "partitions/slot-trailer-read.h"

void slot_name_find(const SlotDisk *disk, size_t slot, const SlotContent *recorded,
        const char *running_version, SlotName *ret_name)
{
    SlotName name = {0};
    SlotTrailer trailer;
    TrailerFault fault;
    if (slot_trailer_read(disk, slot, &fault, &trailer, NULL) == 0 && fault == TRAILER_VALID) {
        snprintf(name.product, sizeof(name.product), "%s", trailer.product);
        snprintf(name.version, sizeof(name.version), "%s", trailer.version);
    } else if (recorded) {
        snprintf(name.product, sizeof(name.product), "%s", recorded->product);
        snprintf(name.version, sizeof(name.version), "%s", recorded->version);
    } else if (running_version) {
        snprintf(name.version, sizeof(name.version), "%s", running_version);
    }
    *ret_name = name;
}
