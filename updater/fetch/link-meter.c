/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/link-meter.h"

#include "common/cleanup.h"
#include "common/clock.h"

#define LATENCY_MAX_USEC (2 * USEC_PER_SEC)
#define RATE_MAX_BYTES_PER_SEC (UINT64_C(4) << 30)
#define GAP_UNKNOWN_BYTES (16 << 10)

/* The lowest counts, and is forgotten slowly: others have waited for a connection or a turn. */
void link_meter_add_latency(LinkMeter *meter, uint64_t latency_usec)
{
    uint64_t usec = MIN(MAX(latency_usec, UINT64_C(1)), LATENCY_MAX_USEC);
    if (meter->latency_usec == 0 || usec < meter->latency_usec)
        meter->latency_usec = usec;
    else
        meter->latency_usec += (usec - meter->latency_usec) / 16;
}

/* The highest counts: others have shared the link. */
void link_meter_add_bytes(LinkMeter *meter, uint64_t n_bytes, uint64_t taken_usec)
{
    uint64_t n = MIN(n_bytes, UINT64_MAX / USEC_PER_SEC);
    uint64_t rate = MIN(n * USEC_PER_SEC / MAX(taken_usec, UINT64_C(1)), RATE_MAX_BYTES_PER_SEC);
    if (rate > meter->bytes_per_sec)
        meter->bytes_per_sec = rate;
    else
        meter->bytes_per_sec -= (meter->bytes_per_sec - rate) / 16;
}

uint64_t link_meter_gap_bytes(const LinkMeter *meter, unsigned n_parallel)
{
    if (meter->latency_usec == 0 || meter->bytes_per_sec == 0)
        return GAP_UNKNOWN_BYTES;
    uint64_t n_bytes = meter->latency_usec * meter->bytes_per_sec / USEC_PER_SEC / n_parallel;
    return MIN(
            MAX(n_bytes, (uint64_t)LINK_METER_GAP_MIN_BYTES), (uint64_t)LINK_METER_GAP_MAX_BYTES);
}
