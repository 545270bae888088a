/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Certificate files are looked at when a store is made, so that what is wrong with them is named
 * at the start and not when a reboot is due. They are read again for every connection: replaced
 * files need no restart. */

#include "common/error-text.h"
#include "locksmith/lock/lock-options.h"

/* Whether ca_file holds certificates, and cert_file one that belongs to the key in key_file, which
 * must need no password. Reads the files. Errors: -EINVAL with `error`, -errno with `error` for a
 * file that cannot be opened, -ENOMEM. */
int tls_files_check(const LockOptions *options, ErrorText *error);
