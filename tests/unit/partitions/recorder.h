/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A disk in memory that remembers in which order it was written and flushed, and what a power cut
 * makes of that: between two flushes any of the written sectors may be on the medium or not, one
 * sector changes as a whole, and no write passes a flush. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "partitions/block-device.h"
#include "tests/unit/partitions/disk-maker.h"

typedef struct {
    bool is_flush;
    uint64_t first_lba; /* of a write */
    size_t n_sectors;
    uint8_t *data;
} RecordedStep;

typedef struct {
    BlockDevice device;
    uint8_t *medium; /* what it held when recording began */
    uint8_t *cache;  /* what reads see: every write that was made */
    RecordedStep *steps;
    size_t n_steps;
    size_t n_steps_allowed; /* the step after these fails with -EIO, and is not made */
    uint64_t first_unreadable, n_unreadable; /* sectors whose reading fails with -EIO */
    size_t n_steps_before_failure;           /* when the first of these was asked for */
    size_t n_frees;                          /* how often the device was freed */
} Recorder;

/* Begins with the disk's content. recorder_done() frees it; freeing the device does not. */
void recorder_init(Recorder *recorder, const MadeDisk *disk);
void recorder_done(Recorder *recorder);

/* A device for reading that is `state` (borrowed) itself; of the sizes of another recorder or disk.
 * Needs no recorder_done(). */
void recorder_view(
        Recorder *recorder, const uint8_t *state, uint32_t sector_bytes, uint64_t n_sectors);

/* Calls check() with each state that a power cut at any moment of the recording could leave: every
 * subset of the sectors that changed between two flushes where these are up to 10, otherwise all
 * beginnings, all ends, each single one, all but each, and some hundreds by chance. Writes that are
 * not flushed at the end count as not yet safe. Returns the number of states. */
typedef void (*RecorderCheck)(const uint8_t *state, void *userdata);
size_t recorder_cut_power(const Recorder *recorder, RecorderCheck check, void *userdata);
