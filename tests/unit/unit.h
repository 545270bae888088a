/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What every unit test shares: TAP to meson, a check for descriptors left open, a folder of its
 * own. A test file defines unit_suite(). */

#include <check.h>
#include <stddef.h>
#include <stdint.h>

/* Defined by the test: its whole suite. */
Suite *unit_suite(void);

/* Adds a case with a checked fixture that fails a test which leaves descriptors open. */
TCase *unit_case(Suite *suite, const char *name);

/* Counts the running test as skipped, with the reason, and leaves it. For what this machine does
 * not let a test do; a tool that is missing is a failure instead. */
#define unit_skip(reason)                 \
    do {                                  \
        unit_note_skip(__func__, reason); \
        return;                           \
    } while (0)

/* For unit_skip() alone. */
void unit_note_skip(const char *function, const char *reason);

/* A new empty folder; it and what is in it is removed when the program ends. The text is static
 * until the next call. */
const char *unit_temp_dir(void);

/* The path of a file beside the test's source, static until the next call. */
const char *unit_data_path(const char *name);
