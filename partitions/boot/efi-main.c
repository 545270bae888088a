/* SPDX-License-Identifier: Apache-2.0 */

/* The boot chooser as an application of the firmware: flipside-chooser(7). */

#include "partitions/boot/chooser.h"
#include "partitions/boot/efi-disk.h"
#include "partitions/boot/efi-firmware.h"
#include "partitions/boot/efi-memory.h"

/* The entry point, named to the linker. */
EfiStatus efi_main(EfiHandle self, EfiSystemTable *system);

EfiStatus efi_main(EfiHandle self, EfiSystemTable *system)
{
    EfiFirmware firmware;
    BlockDevice *disks[EFI_DISKS_MAX];
    efi_memory_begin(system->boot_services);
    efi_firmware_begin(system, self, &firmware);
    size_t n_disks = efi_disks_find(system->boot_services, firmware.esp, disks);
    chooser_run(&firmware.base, disks, n_disks);
    efi_firmware_end(&firmware);
    for (size_t i = 0; i < n_disks; i++)
        block_device_freep(&disks[i]);
    return EFI_NOT_FOUND; /* the firmware goes on with its next entry */
}
