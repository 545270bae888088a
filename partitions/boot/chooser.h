/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The boot chooser's decisions: which slot is started, what that costs it, and what becomes of one
 * that cannot be loaded. All that it needs of the firmware goes through BootFirmware, so that the
 * host's unit tests run every branch; efi-firmware.h is the real one.
 *
 *     choose -> spend a try, on the disk -> load the kernel image -> announce the slot -> start
 *        ^                                        |                                         |
 *        |<-- it loses its priority --------------+        it came back: once per start ----+
 *
 * - A try is spent before anything of the slot is looked at: an image that hangs the firmware must
 *   not be loaded for ever.
 * - A slot whose image is missing, cut, altered, not signed or of another machine loses priority,
 *   tries and success at once, unless no other could boot: then it keeps what it has, as the fault
 *   may be one of the moment, and another start costs nobody anything.
 * - What hangs is reset by the firmware's watchdog, which begins anew for each slot that is tried
 *   and once more when its image is started.
 * - On a disk that cannot be written no try can be spent, and a slot with tries would be started
 *   for ever. So only a successful slot is started from then on. */

#include <stddef.h>

#include "common/error-text.h"
#include "partitions/slot-disk.h"

#define BOOT_DISKS_MAX 64

typedef struct BootFirmware BootFirmware;

typedef enum {
    LOAD_DONE,
    LOAD_REFUSED,  /* the image is at fault; error says what is wrong with it */
    LOAD_HINDERED, /* it may be good, but there is no memory or no place for it; error says so */
} LoadResult;

/* All of these block. */
typedef struct {
    /* Shows a line (without its end; cleaned) on the console. */
    void (*say)(BootFirmware *firmware, const char *line);
    /* Finds the disks beside the one that the chooser came from, which the firmware may never have
     * looked for, so that it takes its time: as many as there is room and memory for, new ones of
     * the caller. Returns their number. */
    size_t (*find_others)(BootFirmware *firmware, BlockDevice *ret_disks[static BOOT_DISKS_MAX]);
    /* Memory that begins on a page; NULL when there is none. */
    void *(*allocate)(BootFirmware *firmware, size_t n_bytes);
    void (*release)(BootFirmware *firmware, void *memory, size_t n_bytes);
    /* Lets the machine reset itself unless it is armed anew, or an operating system has taken over,
     * within some minutes. */
    void (*arm_watchdog)(BootFirmware *firmware);
    /* Takes a kernel image that was read from a slot (data borrowed), or the ESP's file
     * \EFI\flipside\NAME.efi. One image is loaded at a time. */
    LoadResult (*load)(BootFirmware *firmware, const Slot *slot, const void *data, size_t n_bytes,
            ErrorText *error);
    LoadResult (*load_file)(BootFirmware *firmware, const char *name, ErrorText *error);
    /* Tells the system which slot it was started from. Errors: any. */
    int (*announce)(BootFirmware *firmware, const char *partuuid);
    /* Starts what was loaded. When it comes back error says how it ended. */
    void (*start)(BootFirmware *firmware, ErrorText *error);
} BootFirmwareOperations;

/* The head of each implementation's object. */
struct BootFirmware {
    const BootFirmwareOperations *operations;
};

/* Starts a slot of one of the disks, and returns only when none is left that could be started,
 * which it has said. *own is the disk that the chooser itself came from, or NULL; others count
 * where it has no slots, and then only one of them may have any. When it was used, *own is freed
 * and NULL afterwards; else it stays the caller's. */
void chooser_run(BootFirmware *firmware, BlockDevice **own);
