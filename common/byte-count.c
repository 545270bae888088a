/* SPDX-License-Identifier: Apache-2.0 */
#include "common/byte-count.h"

#include <stdio.h>

#include "common/cleanup.h"

ByteCountText byte_count_text(uint64_t n_bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)n_bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < ELEMENTS(units)) {
        value /= 1000;
        unit++;
    }
    ByteCountText count;
    snprintf(count.text, sizeof(count.text), "%.*f %s", unit > 0 && value < 99.95 ? 1 : 0, value,
            units[unit]);
    return count;
}
