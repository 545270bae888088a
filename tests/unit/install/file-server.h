/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A web server with one file, in the test's own loop, that can be told to misbehave. Fields may be
 * changed between requests. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct FileServerLoop FileServerLoop;

typedef struct {
    const uint8_t *data; /* the file */
    size_t n_bytes;
    const char *etag;       /* with its quotes; NULL: none */
    bool has_no_ranges;     /* answers 200 to everything */
    bool has_no_length;     /* the end of the connection is the end of the file */
    bool ignores_if_range;  /* answers 206 whatever the ETag */
    unsigned status;        /* instead of an answer; 0: none */
    size_t n_cut_bytes;     /* the connection ends after so much of a body; 0: never */
    unsigned n_cuts;        /* so many answers are cut; further ones are whole */
    uint64_t n_extra_bytes; /* that Content-Length and Content-Range add to the file's size */
    uint64_t drip_usec;     /* a body's bytes go one by one, so far apart; 0: all at once */
    uint64_t range_shift;   /* Content-Range says a first byte that is so much too large */

    /* What was seen. */
    unsigned n_requests;
    uint64_t n_sent_bytes; /* of bodies */
    uint64_t first_byte;   /* asked for last */
    char if_range[64];     /* sent last */
    FileServerLoop *loop;
} FileServer;

/* Listens on a free port of 127.0.0.1. */
void file_server_start(FileServer *server, sd_event *event);
void file_server_stop(FileServer *server);

/* "http://127.0.0.1:PORT/payload"; inside, until file_server_stop(). */
const char *file_server_url(const FileServer *server);
