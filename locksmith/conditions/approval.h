/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A person's word, kept in small files, so that it is there without the daemon and after its
 * restart: the approval of a reboot, and a pause. KEY=value lines (common/env-file.h), that other
 * tools may write as well:
 *
 *   UNTIL=2026-11-23T10:00:00Z   counts before that time (also +01:00 and the like instead of Z,
 *                                fractions of a second, or @SECONDS since 1970)
 *   VERSION=4230.2.1             approval alone: of this version only
 *   WHY=disk is being replaced   pause alone
 *
 * An empty file approves whatever comes, until the next boot. The calls block as long as reading or
 * writing a small file does. */

#include <stdbool.h>
#include <stdint.h>

#include "common/error-text.h"

#define APPROVAL_FILE "run/locksmith/approved" /* gone with the boot that it approved */
#define PAUSE_FILE "var/lib/locksmith/paused"  /* stays, also over a boot */

typedef enum { WORD_MISSING, WORD_GIVEN, WORD_EXPIRED } WordState;

typedef struct {
    WordState state;
    uint64_t until_usec; /* CLOCK_REALTIME; 0: without an end (approval alone) */
    char version[128];   /* approval: of this version alone; "": of any */
    char why[256];       /* pause: "" or the person's reason */
} PersonsWord;

/* root_fd: the folder that stands for "/"; writing makes the folders that are missing. A file that
 * cannot be understood is an error and counts as: not approved; paused. Writing without an end (0)
 * is an error for a pause; why is cleaned and cut. Errors: -EINVAL with `error`, errno with
 * `error`. */
int approval_read(int root_fd, uint64_t now_usec, PersonsWord *ret_word, ErrorText *error);
int approval_write(int root_fd, uint64_t until_usec, const char *version, ErrorText *error);
int approval_remove(int root_fd, ErrorText *error);
int pause_read(int root_fd, uint64_t now_usec, PersonsWord *ret_word, ErrorText *error);
int pause_write(int root_fd, uint64_t until_usec, const char *why, ErrorText *error);
int pause_remove(int root_fd, ErrorText *error);
