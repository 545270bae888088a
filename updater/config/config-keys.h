/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one list of configuration keys: what each is called, what it may be, where it goes, and what
 * the manual says of it. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "updater/config/config.h"

typedef struct ConfigKey ConfigKey;
struct ConfigKey {
    const char *name;          /* a '*' at its end stands for any rest */
    const char *default_value; /* NULL: not set, or not ours */
    const char *wants;         /* what would do, to follow "write " or "it is " */
    const char *help;          /* for the manual: plain sentences */
    bool is_secret;            /* not to be shown */
    bool is_label;             /* only for people: a value that will not do is left out */
    /* Reads value into field. Errors: -EINVAL when it will not do, -ENOMEM. NULL: known, but
     * somebody else's; any value goes. */
    int (*read)(const ConfigKey *key, const char *value, void *field);
    size_t offset;        /* of the field in Config */
    size_t origin_offset; /* of the field that is told which file assigned it; 0: none */
    uint64_t min;         /* of numbers, */
    uint64_t max;
    uint64_t unit; /* and what one of the file's units is in the field's */
};

/* All keys; the array ends with a NULL name. */
const ConfigKey *config_keys(void);

/* NULL when there is no such key. */
const ConfigKey *config_key_find(const char *name);

/* Reads value into the key's field of config; place ("file:line: " or "") begins the message.
 * Errors: -EINVAL with `error`, -ENOMEM. */
int config_key_read(const ConfigKey *key, const char *value, const char *place, Config *config,
        ErrorText *error);

/* Says that there is no such key, and which there are. Returns -EINVAL. */
int config_key_say_unknown(const char *name, const char *place, ErrorText *error);
