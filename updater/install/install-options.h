/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A copy of the options of an install that lives as long as the install. */

#include "common/cleanup.h"
#include "updater/install/install.h"

/* Copies options with all strings; the defaults are filled in. Errors: -ENOMEM. */
int install_options_copy(const InstallOptions *options, InstallOptions **ret_copy);
void install_options_free(InstallOptions *copy);
DEFINE_CLEANUP(InstallOptions *, install_options_free);
