/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of install-work.h share: install-work.c has the steps up to where the slot can be
 * written, install-work-end.c those from where all of it was. */

#include "updater/install/install-work.h"

/* Where the files beside the slot go, out of the options. */
InstallFilePlaces install_work_places(const InstallWork *work);

/* Returns code, with the local payload's name before the reason. */
UpdateError install_work_file_failure(
        const InstallWork *work, UpdateError code, const char *reason, ErrorText *error);
