/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the image and the administrator say, in three layers below a root folder; per key the first
 * file that assigns it counts (update_engine 0.4, reference section 2.1):
 *
 *     /etc/OS/update.conf        the machine's
 *     /usr/share/OS/update.conf  the image's
 *     /usr/share/OS/release      version, board, application id, product
 *
 * Read again for every check. Checked as a whole (promise 14): what assigns one of our keys a value
 * that will not do is an error that names file, line and what would do. What is none of ours - an
 * unknown key, a line that is no assignment - is left out with a warning that names them too:
 * update_engine never looked at it, and a machine that comes from there must go on updating. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error-text.h"

#define CONFIG_MACHINE_FOLDER "etc/" FLIPSIDE_OS
#define CONFIG_MACHINE_FILE CONFIG_MACHINE_FOLDER "/update.conf"
#define CONFIG_IMAGE_FILE "usr/share/" FLIPSIDE_OS "/update.conf"
#define CONFIG_RELEASE_FILE "usr/share/" FLIPSIDE_OS "/release"
#define CONFIG_RELEASE_PREFIX FLIPSIDE_OS_UPPER "_RELEASE_"

#define CONFIG_WARNINGS_MAX 8

typedef struct Config {
    /* update_engine's keys */
    char *group;             /* GROUP, "stable" */
    char *server;            /* SERVER, an http(s) URL; NULL when "disabled", empty or not set: then
                              * server_file tells which */
    char *machine_alias;     /* MACHINE_ALIAS, "" */
    char *download_user;     /* DOWNLOAD_USER, NULL */
    char *download_password; /* DOWNLOAD_PASSWORD, NULL */
    char *version;           /* <OS>_RELEASE_VERSION, "0.0.0" */
    char *board;             /* <OS>_RELEASE_BOARD, "" */
    char *app_id;            /* <OS>_RELEASE_APPID, update_engine's default with braces */
    char *policy_server;     /* PCR_POLICY_SERVER, an http(s) URL; NULL */
    /* ours */
    char *product;                  /* <OS>_RELEASE_PRODUCT, FLIPSIDE_OS: payloads must be for it */
    bool allow_downgrade;           /* ALLOW_DOWNGRADE=yes|no */
    unsigned boot_tries;            /* BOOT_TRIES=1..15, 3 */
    uint64_t download_budget_bytes; /* DOWNLOAD_BUDGET=BYTES[K|M|G]; 0: none */
    uint64_t download_rate_bytes;   /* DOWNLOAD_RATE=BYTES[K|M|G] per second; 0: no limit */
    uint64_t poll_interval_usec;    /* POLL_INTERVAL=SECONDS, 45 min; 60 s to 24 h */
    uint64_t first_check_usec;      /* FIRST_CHECK=SECONDS after start, 7 min; 0 to 24 h */
    unsigned poll_jitter_percent;   /* POLL_JITTER=PERCENT of the wait, both ways, 0..50, 11 */
    const char *server_file;        /* which file said SERVER, for messages; static; NULL: none */
    const char *group_file;         /* the same of GROUP */
    const char *password_file;      /* the same of DOWNLOAD_PASSWORD */

    ErrorText warnings[CONFIG_WARNINGS_MAX]; /* what was left out, with file and line */
    size_t n_warnings;                       /* may be more than are kept */
} Config;

typedef enum { CONFIG_MACHINE, CONFIG_IMAGE, CONFIG_RELEASE, CONFIG_N_LAYERS } ConfigLayer;

typedef struct {
    const char *text; /* NULL when empty */
    size_t n_bytes;
} ConfigText;

/* The configuration that the three files' texts (borrowed) make. Every line is checked, also those
 * that another file overrides. Keys of locksmith (REBOOT_STRATEGY, REBOOT_WINDOW_*, LOCKSMITHD_*)
 * are known and left alone; the release file may hold any key. A text with a
 * NUL is none: it is an error as a whole. Pure. Errors: -EINVAL with `error`, -ENOMEM. */
int config_parse(
        const ConfigText texts[static CONFIG_N_LAYERS], Config **ret_config, ErrorText *error);

/* The same from the files. root_fd: the folder that stands for "/". Files that do not exist are
 * skipped. Blocks.
 * Errors: -EINVAL with `error`, -ENOMEM, errno of open and read with `error`. */
int config_load(int root_fd, Config **ret_config, ErrorText *error);
void config_free(Config *config);
DEFINE_CLEANUP(Config *, config_free);

/* The first of the warnings, and how many more there are; "" for none. */
ErrorText config_warning(const Config *config);

/* Sets one key of the machine's file atomically and keeps every other line, mode and owner; makes
 * the file (and its folder) when there is none. The result is checked as config_load would before
 * it is written; nothing is written when any of the files would not load.
 * Blocks. Errors: -EINVAL with `error`, -ENOMEM, -EROFS and other errno with `error`. */
int config_set(int root_fd, const char *key, const char *value, ErrorText *error);
