/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the verbs of update-payload share. Each verb is in the file of its name, takes argv[0] as
 * its name and its own options behind it, and returns the exit code: 0 done, 1 failed or not
 * verified, EXIT_USAGE for a wrong command line. What it prints about failures goes to stderr. */

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/error-text.h"
#include "updater/payload/key-ring.h"
#include "updater/payload/payload-file.h"

#define UPDATE_PAYLOAD "update-payload"

int update_payload_create(int argc, char **argv, void *context);
int update_payload_sign(int argc, char **argv, void *context);
int update_payload_show(int argc, char **argv, void *context);
int update_payload_verify(int argc, char **argv, void *context);
int update_payload_extract(int argc, char **argv, void *context);

/* Print the line that a failure left and return EXIT_FAILURE. r is used where nothing was said. */
int payload_tool_fail(int r, const ErrorText *error);
int payload_tool_fail_update(UpdateError failure, const ErrorText *error);

/* Says what is wrong with the command line and returns EXIT_USAGE. */
int payload_tool_usage_error(const char *format, ...) _printf_(1, 2);

/* Lets getopt_long() begin anew with a verb's options, and name the program in what it says. */
void payload_tool_start_options(char **argv);

/* The public keys that --key-dir and --public-key name. Starts empty ({0}). */
typedef struct {
    KeyRing *ring; /* NULL: no option was given */
} PayloadToolKeys;

/* Adds a folder's keys, or a file's. Errors: as key_ring_load() and key_ring_add_file(). */
int payload_tool_add_key_dir(PayloadToolKeys *keys, const char *path, ErrorText *error);
int payload_tool_add_public_key(PayloadToolKeys *keys, const char *path, ErrorText *error);
void payload_tool_keys_done(PayloadToolKeys *keys);

/* Opens a payload and holds both signatures against the keys. Returns UPDATE_OK with the file. */
UpdateError payload_tool_open_verified(
        const char *path, const PayloadToolKeys *keys, PayloadFile **ret_file, ErrorText *error);

/* A number of a command line; bounds included. */
bool payload_tool_parse_number(const char *text, long min, long max, long *ret_number);
