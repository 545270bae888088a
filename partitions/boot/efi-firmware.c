/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/efi-firmware.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "partitions/boot/device-path.h"
#include "partitions/boot/efi-disk.h"

#define LINE_CHARS 1024
#define FILE_BYTES 256
/* Section 7.5: what the firmware itself gives to what it starts, and a code that is not its own. */
#define WATCHDOG_SECONDS 300
#define WATCHDOG_CODE 0x10000
#define PARTUUID_CHARS (GUID_TEXT_CHARS + 1) /* with the NUL that ends the variable */

static const EfiGuid loaded_image_guid = EFI_LOADED_IMAGE_GUID;
static const EfiGuid device_path_guid = EFI_DEVICE_PATH_GUID;
/* The vendor of the variable FlipsideSlot; boot-request.h reads it in the running system. */
static const EfiGuid variable_vendor = {
        0x2c9b6a0f, 0x5f1e, 0x4ae1, {0x9d, 0x2c, 0x7a, 0x4f, 0x0a, 0x8e, 0x3b, 0x61}};
static const EfiChar variable_name[] = {
        'F', 'l', 'i', 'p', 's', 'i', 'd', 'e', 'S', 'l', 'o', 't', '\0'};

static EfiFirmware *upcast(BootFirmware *firmware)
{
    return (EfiFirmware *)firmware;
}

/* Cuts a text that does not fit; what is not ASCII becomes '?'. */
static void to_wide(const char *text, EfiChar *ret_wide, size_t n_chars)
{
    size_t n = 0;
    for (; text[n] && n + 1 < n_chars; n++)
        ret_wide[n] = (unsigned char)text[n] < 0x80 ? (EfiChar)text[n] : '?';
    ret_wide[n] = '\0';
}

static void say(BootFirmware *firmware, const char *line)
{
    EfiTextOutput *console = upcast(firmware)->system->console_out;
    EfiChar wide[LINE_CHARS];
    char text[LINE_CHARS];
    if (!console)
        return;
    snprintf(text, sizeof(text) - 2, "flipside: %s", line);
    snprintf(text + strlen(text), 3, "\r\n");
    to_wide(text, wide, ELEMENTS(wide));
    console->output_string(console, wide);
}

static size_t find_others(BootFirmware *base, BlockDevice *ret_disks[static BOOT_DISKS_MAX])
{
    EfiFirmware *firmware = upcast(base);
    return efi_disks_find_others(
            firmware->system->boot_services, firmware->esp, ret_disks, BOOT_DISKS_MAX);
}

static size_t pages_of(size_t n_bytes)
{
    return n_bytes / EFI_PAGE_BYTES + (n_bytes % EFI_PAGE_BYTES != 0);
}

static void *allocate(BootFirmware *firmware, size_t n_bytes)
{
    uint64_t address;
    EfiBootServices *services = upcast(firmware)->system->boot_services;
    return services->allocate_pages(EFI_ALLOCATE_ANY_PAGES, EFI_LOADER_DATA, pages_of(n_bytes),
                   &address) == EFI_SUCCESS
                   ? (void *)address
                   : NULL;
}

static void release(BootFirmware *firmware, void *memory, size_t n_bytes)
{
    upcast(firmware)->system->boot_services->free_pages((uint64_t)memory, pages_of(n_bytes));
}

/* Where there is none, there is none. */
static void set_watchdog(const EfiFirmware *firmware, size_t n_seconds)
{
    firmware->system->boot_services->set_watchdog_timer(n_seconds, WATCHDOG_CODE, 0, NULL);
}

static void arm_watchdog(BootFirmware *firmware)
{
    set_watchdog(upcast(firmware), WATCHDOG_SECONDS);
}

static const char *status_text(EfiStatus status)
{
    switch (status) {
    case EFI_SUCCESS:
        return "success";
    case EFI_LOAD_ERROR:
        return "load error";
    case EFI_INVALID_PARAMETER:
        return "invalid parameter";
    case EFI_UNSUPPORTED:
        return "unsupported";
    case EFI_OUT_OF_RESOURCES:
        return "out of resources";
    case EFI_NOT_FOUND:
        return "not found";
    case EFI_ACCESS_DENIED:
        return "access denied";
    case EFI_ABORTED:
        return "aborted";
    case EFI_SECURITY_VIOLATION:
        return "security violation";
    default:
        return "an error";
    }
}

/* The same of an image that cannot be loaded, as a person would say it. */
static const char *refusal_text(EfiStatus status)
{
    switch (status) {
    case EFI_UNSUPPORTED:
        return "not an image for this machine";
    case EFI_ACCESS_DENIED: /* section 7.4: the policy prohibits loading it, or starting it */
    case EFI_SECURITY_VIOLATION:
        return "not signed by a key that this machine trusts";
    default:
        return status_text(status);
    }
}

static const EfiDevicePath *path_of(EfiFirmware *firmware, EfiHandle handle)
{
    void *path;
    EfiBootServices *services = firmware->system->boot_services;
    if (!handle || services->handle_protocol(handle, &device_path_guid, &path) != EFI_SUCCESS)
        return NULL;
    return path;
}

static LoadResult load_image(EfiFirmware *firmware, const EfiDevicePath *path, const void *data,
        size_t n_bytes, const char *what, ErrorText *error)
{
    EfiBootServices *services = firmware->system->boot_services;
    EfiHandle image = NULL;
    EfiStatus status = services->load_image(false, firmware->self, path, data, n_bytes, &image);
    if (status == EFI_SUCCESS) {
        firmware->loaded = image;
        return LOAD_DONE;
    }
    /* Loaded and not to be started, as far as the firmware's policy goes (section 7.4). */
    if (image && (status == EFI_SECURITY_VIOLATION || status == EFI_ACCESS_DENIED))
        services->unload_image(image);
    error_say(error, 0, "the firmware refuses %s: %s (status %x)", what, refusal_text(status),
            (unsigned)status);
    return status == EFI_OUT_OF_RESOURCES ? LOAD_HINDERED : LOAD_REFUSED;
}

static LoadResult load(
        BootFirmware *base, const Slot *slot, const void *data, size_t n_bytes, ErrorText *error)
{
    EfiFirmware *firmware = upcast(base);
    EfiHandle partition = efi_partition_find(firmware->system->boot_services, slot->unique.bytes);
    const EfiDevicePath *path = path_of(firmware, partition ? partition : firmware->esp);
    return load_image(firmware, path, data, n_bytes, "its kernel image", error);
}

static LoadResult load_file(BootFirmware *base, const char *name, ErrorText *error)
{
    EfiFirmware *firmware = upcast(base);
    const EfiDevicePath *esp = path_of(firmware, firmware->esp);
    char file[FILE_BYTES], what[FILE_BYTES + 64];
    snprintf(file, sizeof(file), "\\EFI\\flipside\\%s.efi", name);
    if (!esp) {
        error_say(error, 0, "it has no kernel image, and there is no ESP to look for %s", file);
        return LOAD_HINDERED;
    }
    _cleanup_free_ EfiDevicePath *path = device_path_with_file(esp, file);
    if (!path) {
        error_say(error, 0, "out of memory");
        return LOAD_HINDERED;
    }
    snprintf(what, sizeof(what), "%s, which it has instead of a kernel image of its own", file);
    return load_image(firmware, path, NULL, 0, what, error);
}

/* Section 8.2: n_bytes 0 deletes it, whatever its attributes are. */
static EfiStatus set_slot_variable(
        const EfiFirmware *firmware, uint32_t attributes, const void *data, size_t n_bytes)
{
    return firmware->system->runtime_services->set_variable(
            variable_name, &variable_vendor, attributes, n_bytes, data);
}

static int announce(BootFirmware *base, const char *partuuid)
{
    const EfiFirmware *firmware = upcast(base);
    EfiChar text[PARTUUID_CHARS];
    to_wide(partuuid, text, ELEMENTS(text));
    /* One with other attributes, which somebody made to last, would stay as it is. */
    set_slot_variable(firmware, 0, NULL, 0);
    EfiStatus status = set_slot_variable(firmware,
            EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS, text, sizeof(text));
    return status == EFI_SUCCESS ? 0 : -EIO;
}

static void start(BootFirmware *base, ErrorText *error)
{
    EfiFirmware *firmware = upcast(base);
    EfiStatus status = firmware->system->boot_services->start_image(firmware->loaded, NULL, NULL);
    firmware->loaded = NULL;
    set_slot_variable(firmware, 0, NULL, 0); /* nobody runs from that slot */
    error_say(error, 0, "%s (status %x)", status_text(status), (unsigned)status);
}

static const BootFirmwareOperations operations = {
        .say = say,
        .find_others = find_others,
        .allocate = allocate,
        .release = release,
        .arm_watchdog = arm_watchdog,
        .load = load,
        .load_file = load_file,
        .announce = announce,
        .start = start,
};

void efi_firmware_begin(EfiSystemTable *system, EfiHandle self, EfiFirmware *ret_firmware)
{
    void *loaded_image;
    *ret_firmware = (EfiFirmware){.base = {&operations}, .system = system, .self = self};
    if (system->boot_services->handle_protocol(self, &loaded_image_guid, &loaded_image) ==
            EFI_SUCCESS)
        ret_firmware->esp = ((EfiLoadedImage *)loaded_image)->device;
}

void efi_firmware_end(EfiFirmware *firmware)
{
    set_watchdog(firmware, 0);
}
