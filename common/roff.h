/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Manual pages that are made of tables while building, in roff (man(7)), on stdout. */

/* Plain text, escaped so that roff shows it as it is. */
void roff_print(const char *text);

/* A key of a configuration file as a paragraph of a list: its name, the sentences of help, and
 * "It is WANTS. Default: DEFAULT_VALUE.", each left out where it is NULL or empty. */
void roff_print_key(
        const char *name, const char *help, const char *wants, const char *default_value);
