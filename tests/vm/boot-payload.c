/* SPDX-License-Identifier: Apache-2.0 */

/* Takes a kernel's place in the tests of the boot chooser: says from which slot it was started, and
 * powers the machine off, or comes back where it is built so. */

#include "partitions/boot/uefi.h"

EfiStatus efi_main(EfiHandle self, EfiSystemTable *system);

EfiStatus efi_main(EfiHandle self, EfiSystemTable *system)
{
    static const EfiGuid vendor = {
            0x2c9b6a0f, 0x5f1e, 0x4ae1, {0x9d, 0x2c, 0x7a, 0x4f, 0x0a, 0x8e, 0x3b, 0x61}};
    static const EfiChar name[] = {
            'F', 'l', 'i', 'p', 's', 'i', 'd', 'e', 'S', 'l', 'o', 't', '\0'};
    static const EfiChar begin[] = {'p', 'a', 'y', 'l', 'o', 'a', 'd', ':', ' ', '\0'};
    static const EfiChar end[] = {'\r', '\n', '\0'};
    EfiChar slot[64];
    size_t n_bytes = sizeof(slot);
    (void)self;

    system->console_out->output_string(system->console_out, begin);
    if (system->runtime_services->get_variable(name, &vendor, NULL, &n_bytes, slot) == EFI_SUCCESS)
        system->console_out->output_string(system->console_out, slot);
    system->console_out->output_string(system->console_out, end);
#ifndef PAYLOAD_COMES_BACK
    system->runtime_services->reset_system(EFI_RESET_SHUTDOWN, EFI_SUCCESS, 0, NULL);
#endif
    return EFI_ABORTED;
}
