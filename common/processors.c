/* SPDX-License-Identifier: Apache-2.0 */
#include "common/processors.h"

#include <sched.h>
#include <unistd.h>

#include "common/cleanup.h"

unsigned processors_usable(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (unsigned)MAX(CPU_COUNT(&set), 1);
    /* There are more than the set has room for. */
    return (unsigned)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
}
