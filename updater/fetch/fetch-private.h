/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A fetch from within, for the files of fetch*.c alone: fetch.c has the object and its queue,
 * fetch-plan.c asks, fetch-answer.c takes what comes, fetch-failure.c judges what went wrong. */

#include "updater/fetch/fetch-request.h"
#include "updater/fetch/fetch-urls.h"
#include "updater/fetch/fetch.h"

#define FETCH_QUEUE_MAX 8 /* requests that run or wait for their turn */
#define FETCH_ETAG_BYTES 256

struct Fetch {
    sd_event *event;
    HttpClient *http;
    const FetchOptions *options;
    const FetchHandlers *handlers;
    void *userdata;
    uint64_t retry_delay_usec;
    uint64_t stall_timeout_usec;
    FetchUrls urls;
    LinkMeter meter;
    RateLimit rate;

    bool is_active;
    FetchRange one; /* what ranges are when it is only one */
    FetchRange *ranges;
    size_t n_ranges;
    size_t range;         /* the one under way; n_ranges: all delivered */
    uint64_t at_bytes;    /* the next byte to deliver */
    uint64_t asked_bytes; /* what lies before is delivered or asked for */
    uint64_t total_bytes; /* 0: not known */
    uint64_t n_bytes;
    uint64_t n_requests;
    uint64_t reached_bytes; /* the farthest that the ranges ever got ... */
    uint64_t n_fresh_bytes; /* ... and how far since the last failure */

    FetchRequest *queue[FETCH_QUEUE_MAX];
    size_t n_queued;
    sd_event_source *turn;  /* runs turn() */
    sd_event_source *timer; /* ends is_waiting */
    sd_event_source *stall_timer;
    sd_event_source *rate_timer; /* ends is_limited */
    uint64_t n_bytes_at_window;  /* n_bytes when it began */
    bool is_waiting;             /* after a failure */
    bool is_limited;             /* requests are paused by the rate */
    bool is_paused;              /* on_data took less than all */
    bool is_going_on;            /* the last request ended well, and none was begun since */
    char etag[FETCH_ETAG_BYTES]; /* of the file at the current URL; "": not known or weak */
    ErrorText error;
    ErrorText why_single;
};

const char *fetch_current_url(const Fetch *fetch);
bool fetch_is_delivered(const Fetch *fetch);

/* The end of the last range. */
uint64_t fetch_end_bytes(const Fetch *fetch);

/* Runs the queue from the loop. */
void fetch_schedule_turn(Fetch *fetch);

/* Asks the owner from where it wants the data again. */
void fetch_rewind(Fetch *fetch);

/* Cancels the queue's requests from that one on; what they were asked for can be asked again. */
void fetch_drop_from(Fetch *fetch, size_t first);

/* Ends; the fetch may be gone afterwards. */
void fetch_finish(Fetch *fetch, UpdateError code);

/* Whether another request should be added to the queue, which may be empty. */
bool fetch_wants_request(const Fetch *fetch);

/* Adds the next request. Errors: -ENOMEM, errno of sd-event. */
int fetch_add_request(Fetch *fetch);

/* Requests among the first n_first of the queue whose transfers have not ended. */
unsigned fetch_n_running(const Fetch *fetch, size_t n_first);

/* What requests tell their fetch. */
extern const FetchRequestHandlers fetch_request_handlers;

/* The request is to be over by that fault, of a transfer. */
void fetch_request_fail(FetchRequest *request, FetchFault fault);

/* Sets the fault that the end of the head's transfer means, where nothing was wrong before. */
void fetch_judge_end(Fetch *fetch, FetchRequest *request);

/* The head has a fault. Returns whether the fetch goes on; it may be gone otherwise. */
bool fetch_end_by_fault(Fetch *fetch);
