/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a request costs on the way to a server, in bytes that could be skipped instead. No I/O. */

#include <stdint.h>

#define LINK_METER_GAP_MIN_BYTES (4 << 10)
#define LINK_METER_GAP_MAX_BYTES (64 << 10) /* bytes cost more than time */
#define LINK_METER_WINDOW_BYTES (128 << 10) /* of one answer, to tell a rate by */

/* Zeros: nothing is known yet. */
typedef struct {
    uint64_t latency_usec; /* from a request to its answer's first byte; 0: not known */
    uint64_t bytes_per_sec;
} LinkMeter;

/* An answer began so long after its request. */
void link_meter_add_latency(LinkMeter *meter, uint64_t latency_usec);

/* One answer brought so many bytes, at least LINK_METER_WINDOW_BYTES, without a pause. */
void link_meter_add_bytes(LinkMeter *meter, uint64_t n_bytes, uint64_t taken_usec);

/* A gap up to which it is cheaper to fetch what lies between two ranges than to ask twice, where
 * n_parallel (at least 1) requests share the latency. Within the two bounds above. */
uint64_t link_meter_gap_bytes(const LinkMeter *meter, unsigned n_parallel);
