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
    efi_memory_begin(system->boot_services);
    efi_firmware_begin(system, self, &firmware);
    BlockDevice *disk = efi_disk_of(system->boot_services, firmware.esp);
    chooser_run(&firmware.base, &disk);
    efi_firmware_end(&firmware);
    block_device_freep(&disk);
    return EFI_NOT_FOUND; /* the firmware goes on with its next entry */
}
