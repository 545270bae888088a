/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/partitions/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define ALL_SUBSETS_OF 10
#define N_BY_CHANCE 200
#define MAX_CHANGED 4096

static Recorder *recorder_of(BlockDevice *device)
{
    return (Recorder *)device;
}

static int recorder_read(BlockDevice *device, Lba first, size_t n_sectors, void *ret_data)
{
    Recorder *recorder = recorder_of(device);
    if (first.n < recorder->first_unreadable + recorder->n_unreadable &&
            recorder->first_unreadable < first.n + n_sectors) {
        if (recorder->n_steps_before_failure == 0)
            recorder->n_steps_before_failure = recorder->n_steps;
        return -EIO;
    }
    memcpy(ret_data, recorder->cache + first.n * device->sector_bytes,
            n_sectors * device->sector_bytes);
    return 0;
}

static RecordedStep *add_step(Recorder *recorder)
{
    if (recorder->n_steps >= recorder->n_steps_allowed)
        return NULL;
    recorder->steps = realloc(recorder->steps, (recorder->n_steps + 1) * sizeof(*recorder->steps));
    ck_assert_ptr_nonnull(recorder->steps);
    return &recorder->steps[recorder->n_steps++];
}

static int recorder_write(BlockDevice *device, Lba first, size_t n_sectors, const void *data)
{
    Recorder *recorder = recorder_of(device);
    RecordedStep *step = add_step(recorder);
    if (!step)
        return -EIO;
    size_t n_bytes = n_sectors * device->sector_bytes;
    *step = (RecordedStep){.first_lba = first.n, .n_sectors = n_sectors, .data = malloc(n_bytes)};
    ck_assert_ptr_nonnull(step->data);
    memcpy(step->data, data, n_bytes);
    memcpy(recorder->cache + first.n * device->sector_bytes, data, n_bytes);
    return 0;
}

static int recorder_flush(BlockDevice *device)
{
    RecordedStep *step = add_step(recorder_of(device));
    if (!step)
        return -EIO;
    *step = (RecordedStep){.is_flush = true};
    return 0;
}

static void recorder_free(BlockDevice *device)
{
    recorder_of(device)->n_frees++; /* the memory is the test's */
}

static const BlockDeviceOperations OPERATIONS = {
        .read = recorder_read,
        .write = recorder_write,
        .flush = recorder_flush,
        .free = recorder_free,
};

void recorder_view(
        Recorder *recorder, const uint8_t *state, uint32_t sector_bytes, uint64_t n_sectors)
{
    *recorder = (Recorder){
            .device =
                    {
                            .operations = &OPERATIONS,
                            .name = "recorder",
                            .sector_bytes = sector_bytes,
                            .n_sectors = n_sectors,
                    },
            .cache = (uint8_t *)state,
    };
}

void recorder_init(Recorder *recorder, const MadeDisk *disk)
{
    uint32_t sector_bytes = disk->plan.sector_bytes;
    recorder_view(recorder, NULL, sector_bytes, disk->n_bytes / sector_bytes);
    recorder->device.is_writable = true;
    recorder->n_steps_allowed = SIZE_MAX;
    recorder->medium = malloc(disk->n_bytes);
    recorder->cache = malloc(disk->n_bytes);
    ck_assert(recorder->medium && recorder->cache);
    memcpy(recorder->medium, disk->data, disk->n_bytes);
    memcpy(recorder->cache, disk->data, disk->n_bytes);
}

void recorder_done(Recorder *recorder)
{
    for (size_t i = 0; i < recorder->n_steps; i++)
        free(recorder->steps[i].data);
    free(recorder->steps);
    free(recorder->medium);
    free(recorder->cache);
    *recorder = (Recorder){0};
}

/* The sectors that change between two flushes, and the disk before them. */
typedef struct {
    uint32_t sector_bytes;
    uint8_t *state;
    uint8_t *before; /* of each changed sector */
    size_t n_changed;
    uint64_t lba[MAX_CHANGED];
    const uint8_t *after[MAX_CHANGED];
    bool is_on_medium[MAX_CHANGED];
    RecorderCheck check;
    void *userdata;
    size_t n_states;
} Window;

static void window_add(Window *window, const RecordedStep *step)
{
    for (size_t i = 0; i < step->n_sectors; i++) {
        const uint8_t *after = step->data + i * window->sector_bytes;
        const uint8_t *before = window->state + (step->first_lba + i) * window->sector_bytes;
        for (size_t k = 0; k < window->n_changed; k++)
            ck_assert_msg(window->lba[k] != step->first_lba + i, "a sector is written twice");
        if (memcmp(before, after, window->sector_bytes) == 0)
            continue;
        ck_assert_uint_lt(window->n_changed, MAX_CHANGED);
        window->lba[window->n_changed] = step->first_lba + i;
        window->after[window->n_changed++] = after;
    }
}

static void window_put(Window *window, size_t i, bool is_on_medium)
{
    memcpy(window->state + window->lba[i] * window->sector_bytes,
            is_on_medium ? window->after[i] : window->before + i * window->sector_bytes,
            window->sector_bytes);
}

static void window_try(Window *window)
{
    for (size_t i = 0; i < window->n_changed; i++)
        window_put(window, i, window->is_on_medium[i]);
    window->check(window->state, window->userdata);
    window->n_states++;
}

static void try_all_subsets(Window *window)
{
    for (size_t subset = 0; subset < (size_t)1 << window->n_changed; subset++) {
        for (size_t i = 0; i < window->n_changed; i++)
            window->is_on_medium[i] = subset >> i & 1;
        window_try(window);
    }
}

static void try_many_subsets(Window *window)
{
    size_t n = window->n_changed;
    for (size_t edge = 0; edge <= n; edge++)
        for (int shape = 0; shape < 4; shape++) {
            for (size_t i = 0; i < n; i++)
                window->is_on_medium[i] = shape == 0   ? i < edge
                                          : shape == 1 ? i >= edge
                                          : shape == 2 ? i == edge
                                                       : i != edge;
            window_try(window);
        }
    uint64_t random = 88172645463325252; /* xorshift64 */
    for (size_t trial = 0; trial < N_BY_CHANCE; trial++) {
        for (size_t i = 0; i < n; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            window->is_on_medium[i] = random >> 32 & 1;
        }
        window_try(window);
    }
}

/* The flush: all of it is on the medium. */
static void window_close(Window *window)
{
    window->before = malloc(window->n_changed * window->sector_bytes + 1);
    ck_assert_ptr_nonnull(window->before);
    for (size_t i = 0; i < window->n_changed; i++)
        memcpy(window->before + i * window->sector_bytes,
                window->state + window->lba[i] * window->sector_bytes, window->sector_bytes);
    if (window->n_changed <= ALL_SUBSETS_OF)
        try_all_subsets(window);
    else
        try_many_subsets(window);
    for (size_t i = 0; i < window->n_changed; i++)
        window_put(window, i, true);
    free(window->before);
    window->n_changed = 0;
}

size_t recorder_cut_power(const Recorder *recorder, RecorderCheck check, void *userdata)
{
    size_t n_bytes = recorder->device.n_sectors * recorder->device.sector_bytes;
    Window *window = calloc(1, sizeof(*window));
    ck_assert_ptr_nonnull(window);
    window->sector_bytes = recorder->device.sector_bytes;
    window->state = malloc(n_bytes);
    window->check = check;
    window->userdata = userdata;
    ck_assert_ptr_nonnull(window->state);
    memcpy(window->state, recorder->medium, n_bytes);

    for (size_t i = 0; i < recorder->n_steps; i++) {
        if (recorder->steps[i].is_flush)
            window_close(window);
        else
            window_add(window, &recorder->steps[i]);
    }
    window_close(window);
    size_t n_states = window->n_states;
    free(window->state);
    free(window);
    return n_states;
}
