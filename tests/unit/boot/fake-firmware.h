/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A firmware for the boot chooser that writes down what it is asked to do, and what the disk holds
 * at that moment. What it starts runs on for good, unless it is to come back. */

#include <stdbool.h>
#include <stddef.h>

#include "partitions/boot/chooser.h"
#include "tests/unit/partitions/recorder.h"

#define FAKE_STATES_MAX 32
#define FAKE_STATE_BYTES 512

typedef struct {
    BootFirmware base;
    Recorder *disk;   /* borrowed; whose bits are written down */
    Recorder *others; /* borrowed; the further disks */
    size_t n_others;
    size_t n_searches; /* for them */

    /* Labels, with a blank between two: "USR-A USR-B". */
    const char *refused;     /* whose image it does not take */
    const char *hindered;    /* for whose image it has no memory */
    const char *coming_back; /* whose image returns when it is started */
    bool has_no_memory;      /* for the chooser */
    bool cannot_announce;

    /* A line for each event:
     *     say: USR-B is chosen: ...
     *     load: kernel of USR-B, 5000 bytes; [USR-A 1 0 good 0] [USR-B 2 2 - 0]
     *     load file: USR-B; ...
     *     announce: 42424242-...
     *     start: USR-B; ... */
    char trace[16384];
    /* The bits of all slots on the disk, one behind the other, as they were seen at each event. */
    char states[FAKE_STATES_MAX][FAKE_STATE_BYTES];
    size_t n_states;

    char loaded[SLOT_LABEL_BYTES];
    size_t n_allocated; /* and not released */
    bool is_watched;    /* since the last thing that takes its time */
    bool is_over;       /* something was started that runs on: nothing is written down any more */
} FakeFirmware;

/* disk is borrowed. */
void fake_firmware_init(FakeFirmware *fake, Recorder *disk);

/* The bits of all slots in what a disk holds, as they stand in the trace: label, priority, tries,
 * "good" or "-", starts; "no table" where neither copy is valid. */
void fake_firmware_read_bits(const uint8_t *content, uint32_t sector_bytes, uint64_t n_sectors,
        char ret_text[static FAKE_STATE_BYTES]);
