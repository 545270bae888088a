/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a folder holds, for a person or as JSON. */

#include <stdbool.h>
#include <stdio.h>

#include "common/error-text.h"

/* Writes the channels with their versions and the releases with their sizes to out (borrowed).
 * Blocks. Errors: -ENOMEM, errno; with error. */
int release_list_print(int folder_fd, bool is_json, FILE *out, ErrorText *error);
