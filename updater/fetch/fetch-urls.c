/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/fetch-urls.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"

#define GOOD_UNTIL_WIDER 8

int fetch_urls_init(FetchUrls *urls, size_t n_urls, size_t first_url, unsigned max_failures)
{
    *urls = (FetchUrls){
            .n_urls = n_urls, .current = first_url % n_urls, .max_failures = max_failures};
    urls->urls = calloc(n_urls, sizeof(*urls->urls));
    if (!urls->urls)
        return -ENOMEM;
    for (size_t i = 0; i < n_urls; i++)
        urls->urls[i].n_lanes = FETCH_LANES_MAX;
    return 0;
}

void fetch_urls_done(FetchUrls *urls)
{
    free(urls->urls);
    urls->urls = NULL;
}

FetchUrl *fetch_urls_current(const FetchUrls *urls)
{
    return &urls->urls[urls->current];
}

FetchNext fetch_urls_fail(FetchUrls *urls, FetchFault fault, bool has_progress)
{
    FetchUrl *url = fetch_urls_current(urls);
    if (has_progress)
        url->n_failures = 0;
    url->n_failures = fault == FETCH_URL_FAULT ? urls->max_failures : url->n_failures + 1;
    if (url->n_failures < urls->max_failures)
        return FETCH_SAME_URL;
    for (size_t i = 1; i < urls->n_urls; i++) {
        size_t other = (urls->current + i) % urls->n_urls;
        if (urls->urls[other].n_failures < urls->max_failures) {
            urls->current = other;
            return FETCH_OTHER_URL;
        }
    }
    return FETCH_NO_URL;
}

void fetch_url_add_good(FetchUrl *url)
{
    if (++url->n_good < GOOD_UNTIL_WIDER || url->n_lanes == FETCH_LANES_MAX)
        return;
    url->n_lanes++;
    url->n_good = 0;
}

void fetch_url_bears(FetchUrl *url, unsigned n_running)
{
    url->n_lanes = MAX(MIN(n_running, url->n_lanes), 1u);
    url->n_good = 0;
}
