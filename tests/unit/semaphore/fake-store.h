/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A store in memory that plays a script: the n-th read or swap meets the n-th step. */

#include <systemd/sd-event.h>

#include "locksmith/lock/lock-store.h"

typedef enum {
    FAKE_OK, /* also past the script's end */
    FAKE_UNREACHABLE,
    FAKE_REFUSED,
    FAKE_LOST_REQUEST, /* unknown, and not done */
    FAKE_LOST_REPLY,   /* unknown, and done */
    FAKE_LATE,         /* unknown; done after the next read, if its revision is still right */
    FAKE_RIVAL,        /* somebody writes `rival` (NULL: the same) just before */
    FAKE_RIVAL_HIDDEN, /* the same; a swap that loses is not told what lies there now */
    FAKE_HANG,         /* no answer */
    FAKE_LOST_HANG,    /* done, and no answer */
    FAKE_NO_MEMORY,    /* the call itself fails */
} FakeStep;

#define FAKE_MAX_STEPS 128

typedef struct {
    LockStore base; /* first */
    sd_event *event;
    FakeStep steps[FAKE_MAX_STEPS];
    const char *rival;
    bool has_endless_rivals; /* each swap meets FAKE_RIVAL */

    char *document; /* NULL: none */
    uint64_t revision;
    char *facts_id; /* the facts of one holder, or NULL */
    char *facts_text;

    unsigned n_reads, n_swaps, n_lists, n_watches;
    unsigned n_calls; /* that live */
    char *late;       /* a document under way */
    uint64_t late_revision;
    uint64_t watched_revision;
    void (*on_change)(void *userdata);
    void *watch_userdata;
} FakeStore;

/* Freed through the store's own free. */
FakeStore *fake_store_new(sd_event *event);
void fake_store_put(FakeStore *store, const char *document); /* copied; NULL: deletes it */
