/* SPDX-License-Identifier: Apache-2.0 */

/* Writes the part of update.conf(5) that lists locksmith's keys, for updater/config/config-manual.
 * Runs while building. */

#include <stdio.h>
#include <stdlib.h>

#include "common/roff.h"
#include "locksmith/config/locksmith-keys.h"

int main(void)
{
    for (const LocksmithKey *key = locksmith_keys(); key->name; key++) {
        roff_print_key(key->name, key->help, key->read ? key->wants : NULL, key->default_value);
        if (!key->older_name)
            continue;
        fputs(".br\nWhere it is not set, ", stdout);
        roff_print(key->older_name);
        fputs(" counts.\n", stdout);
    }
    return fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
