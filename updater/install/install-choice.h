/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which bytes of a payload are fetched: all, or those that this machine lacks (slot-seed.h). A step
 * of the install, between those of install-work.h: blocks; worker threads only. */

#include "updater/install/install-work.h"

/* After install_work_check(), and before install_work_prepare(): nothing but the state folder is
 * written. Sets work->plan, and work->seed where it pays.
 *
 * Whatever cannot be found out here is fetched. Returns UPDATE_OK; UPDATE_ERROR_BUDGET when the
 * cheapest way costs more than options->budget_bytes (the metadata is then kept, so that the next
 * try need not fetch it again); UPDATE_ERROR_CANCELLED. */
UpdateError install_choice_make(InstallWork *work, ErrorText *error);

/* What is still to be fetched, of the operations that are not done: sets work->plan's count. */
void install_choice_count(InstallWork *work);
