/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whose fault a failed install is. No I/O. */

#include <stdbool.h>

#include "updater/update-error.h"

/* The copy that was fetched is wrong or did not come: another URL might do. */
bool install_fault_is_url(UpdateError code);

/* What lies in the slot, or was kept of the payload, may be what is wrong: the next install must
 * not build upon it. is_resumed: this one built upon an earlier one. */
bool install_fault_is_kept(UpdateError code, bool is_resumed);
