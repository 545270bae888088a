/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How many processors this process may run on, which a service's affinity may limit; at least 1. */
unsigned processors_usable(void);
