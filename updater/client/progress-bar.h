/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How far an install is, as one line of text, and how fast it goes. Pure: the clock and the
 * terminal's width are the caller's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes per second over the last seconds. All zero: nothing seen yet. A phase that begins anew
 * (another total, or fewer bytes than before) begins the measurement anew, so what an earlier run
 * had done already does not count as fast. */
typedef struct {
    struct {
        uint64_t time_usec;
        uint64_t n_bytes;
    } samples[16];
    unsigned n_samples;
    uint64_t n_bytes_total;
} ProgressRate;

/* Adds what is known at now_usec (CLOCK_MONOTONIC), at most twice a second. */
void progress_rate_add(
        ProgressRate *rate, uint64_t n_bytes, uint64_t n_bytes_total, uint64_t now_usec);

/* 0 while it cannot be told. */
uint64_t progress_rate_bytes_per_second(const ProgressRate *rate);

typedef struct {
    const char *phase;   /* "downloading" */
    const char *version; /* "" while not known */
    uint64_t n_bytes_done;
    uint64_t n_bytes_total;    /* 0 while not known */
    uint64_t bytes_per_second; /* 0 while not known */
    bool has_bar;
} ProgressView;

/* Writes a line of at most n_columns characters, ASCII but for version, and a NUL to ret_text,
 * which has n_text bytes:
 *
 *     downloading 2.0 [=======>       ]  43 %  120 of 280 MB  35.0 MB/s  0:05 left
 *
 * What does not fit is left out: first the bar, then what is rightmost. */
void progress_bar_render(const ProgressView *view, size_t n_columns, char *ret_text, size_t n_text);
