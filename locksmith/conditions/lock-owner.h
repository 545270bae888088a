/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who holds a flock, by /proc/locks (proc_locks(5)). */

#include <stdbool.h>

/* Whether the flock of fd's file is held by a process that root owns, as far as /proc tells: true
 * also when /proc/locks does not list it. A process that has ended and left the lock to others
 * counts as nobody's. Reads /proc; does not block. */
bool lock_owner_is_root(int fd);
