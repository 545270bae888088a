/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the verbs of update-payload share. Each verb is in the file of its name, takes argv[0] as
 * its name and its own options behind it, and returns the exit code: 0 done, 1 failed or not
 * verified, EXIT_USAGE for a wrong command line. What it prints about failures goes to stderr. */

#include <getopt.h>
#include <stdbool.h>

#include "common/error-text.h"
#include "common/verbs.h"
#include "updater/payload/key-ring.h"
#include "updater/payload/payload-file.h"
#include "verity/hash-tree.h"

#define UPDATE_PAYLOAD "update-payload"

int update_payload_create(int argc, char **argv, void *context);
int update_payload_image(int argc, char **argv, void *context);
int update_payload_sign(int argc, char **argv, void *context);
int update_payload_show(int argc, char **argv, void *context);
int update_payload_estimate(int argc, char **argv, void *context);
int update_payload_verify(int argc, char **argv, void *context);
int update_payload_extract(int argc, char **argv, void *context);

/* Print the line that a failure left and return EXIT_FAILURE. r is used where nothing was said. */
int payload_tool_fail(int r, const ErrorText *error);
int payload_tool_fail_update(UpdateError failure, const ErrorText *error);

/* Says what is wrong with the command line and returns EXIT_USAGE. */
#define payload_tool_usage_error(...) verbs_usage_error(UPDATE_PAYLOAD, __VA_ARGS__)

/* Reads a verb's options with getopt_long(): take gets each, with its value in optarg, and returns
 * 0 or the exit code that ends it. Returns 0 with the first argument at optind, or that exit code.
 * options is take's first parameter. */
int payload_tool_take_options(int argc, char **argv, const char *letters,
        const struct option *table, int (*take)(void *options, int option), void *options);

/* The public keys that --key-dir and --public-key name. Starts empty ({0}). */
typedef struct {
    KeyRing *ring; /* NULL: no option was given */
} PayloadToolKeys;

/* For a verb's table, beyond the numbers of its own options: --public-key and --key-dir. */
enum { PAYLOAD_TOOL_PUBLIC_KEY = 512, PAYLOAD_TOOL_KEY_DIR, PAYLOAD_TOOL_FROM };

/* Adds the key or the folder of keys in optarg. Returns 0, or the exit code when that failed and
 * was said; EXIT_USAGE for any other option, about which getopt_long() has said why. */
int payload_tool_take_key(PayloadToolKeys *keys, int option);
void payload_tool_keys_done(PayloadToolKeys *keys);

/* The images that deltas begin with, as --from names them: OLD, or NAME=OLD. Starts empty ({0}). */
typedef struct {
    const char *arguments[MANIFEST_PARTITIONS_MAX]; /* borrowed */
    size_t n_arguments;
} PayloadToolSources;

/* Adds --from's value. Returns 0, or the exit code when there are too many and that was said. */
int payload_tool_take_source(PayloadToolSources *sources);

/* Sets the path of each partition, NULL where it has none. OLD alone will do where there is one
 * partition. Errors: -EINVAL when one belongs to none of the partitions. */
int payload_tool_assign_sources(const PayloadToolSources *sources, const char *const *names,
        size_t n_names, const char **ret_paths, ErrorText *error);

/* The same for the partitions of a payload. Errors: as above. */
int payload_tool_assign_payload_sources(const PayloadToolSources *sources, const Manifest *manifest,
        const char *ret_paths[MANIFEST_PARTITIONS_MAX], ErrorText *error);

/* Says which image is missing. Returns UPDATE_ERROR_SOURCE. */
UpdateError payload_tool_refuse_without_source(
        const Manifest *manifest, const PartitionUpdate *partition, ErrorText *error);

/* Opens a payload and holds both signatures against the keys. Returns UPDATE_OK with the file. */
UpdateError payload_tool_open_verified(
        const char *path, const PayloadToolKeys *keys, PayloadFile **ret_file, ErrorText *error);

/* For a verb that makes hash trees: --salt HEX and --no-salt. */
typedef struct {
    bool is_given;
    uint8_t bytes[VERITY_SALT_MAX_BYTES];
    size_t n_bytes;
} PayloadToolSalt;

/* Reads --salt's value. Returns 0, or the exit code when it will not do and that was said. */
int payload_tool_take_salt(const char *text, PayloadToolSalt *ret_salt);

/* A size of a command line: bytes, or with K, M, G or T for powers of 1024. Returns 0, or the exit
 * code when it is none and that was said of the option `name`. */
int payload_tool_take_size(const char *name, const char *text, uint64_t *ret_bytes);

/* A number of a command line; bounds included. */
bool payload_tool_parse_number(const char *text, long min, long max, long *ret_number);
