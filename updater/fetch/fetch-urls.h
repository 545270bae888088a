/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The URLs of a fetch: whose turn it is, what failed, and what requests each of them understands.
 * No I/O. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "updater/fetch/fetch-verdict.h"

#define FETCH_LANES_MAX 4 /* requests that run at once */

/* What is asked for at once; a URL that does not understand one gets the next. */
typedef enum {
    FETCH_FORM_SEVERAL, /* many ranges in a request, answered in parts */
    FETCH_FORM_SINGLE,  /* one range in a request, over gaps that cost less than another one */
    FETCH_FORM_STREAM,  /* one request for all that is left */
} FetchForm;

typedef struct {
    unsigned n_failures; /* in a row */
    FetchForm form;
    bool has_ranges;  /* it has answered with one */
    unsigned n_lanes; /* that it bears */
    unsigned n_good;  /* requests since n_lanes changed */
} FetchUrl;

typedef struct {
    FetchUrl *urls;
    size_t n_urls;
    size_t current;
    unsigned max_failures;
} FetchUrls;

typedef enum { FETCH_SAME_URL, FETCH_OTHER_URL, FETCH_NO_URL } FetchNext;

/* Errors: -ENOMEM. */
int fetch_urls_init(FetchUrls *urls, size_t n_urls, size_t first_url, unsigned max_failures);
void fetch_urls_done(FetchUrls *urls);

FetchUrl *fetch_urls_current(const FetchUrls *urls);

/* A request of the current URL failed by TRY_AGAIN or URL_FAULT. has_progress: the failures before
 * are not in a row with this one. The current URL changes with OTHER_URL. */
FetchNext fetch_urls_fail(FetchUrls *urls, FetchFault fault, bool has_progress);

/* A request of the URL went well: with time it bears more at once. */
void fetch_url_add_good(FetchUrl *url);

/* A request failed while n_running others ran: that many may be all that the URL bears. */
void fetch_url_bears(FetchUrl *url, unsigned n_running);
