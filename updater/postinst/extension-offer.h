/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Extensions that lie on this machine (flatcar-azure.gz, oem-azure.gz), for a new image's postinst.
 * That looks for them in the Omaha answer which offered the update, as packages beside the payload
 * (flatcar-postinst, ue-rs' download_sysext), and fetches and verifies them itself. So an answer is
 * made that names them, with an address of this machine where they are served while this object
 * lives: what flatcar-update -E does with a server of its own. */

#include "common/cleanup.h"
#include "common/error-text.h"

typedef struct ExtensionOffer ExtensionOffer;

/* All is borrowed for the call. */
typedef struct {
    const char *paths;  /* full ones, with newlines between */
    const char *folder; /* update_engine's prefs, made where it is missing */
    const char *app_id; /* of this system's kind, with its braces */
    const char *version;
} Extensions;

/* Serves the files, and writes the answer to full-response in the folder. It is not older than
 * previous-version there, which is made where it is missing: by that postinst tells that the answer
 * is of this update. Blocks while it reads the files.
 * Errors: of file_share_new(), errno of the folder, with error. */
int extension_offer_new(const Extensions *extensions, ExtensionOffer **ret_offer, ErrorText *error);

/* Ends it; the answer, which leads nowhere now, is removed. */
void extension_offer_free(ExtensionOffer *offer);
DEFINE_CLEANUP(ExtensionOffer *, extension_offer_free);
