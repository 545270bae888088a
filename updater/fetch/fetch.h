/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Byte ranges of one file that lies at several URLs, delivered in order and without gaps whatever
 * the servers and the network do: one range or thousands, by HTTP's range requests (RFC 9110
 * section 14). An operation on the loop; nothing here blocks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/http-client.h"
#include "updater/fetch/range-plan.h" /* FetchRange, FETCH_END_OF_FILE */
#include "updater/update-error.h"

typedef struct Fetch Fetch;

/* All pointers are borrowed for the fetch's life. */
typedef struct {
    const char *const *urls; /* tried in order from first_url on, in a circle */
    size_t n_urls;           /* at least 1 */
    size_t first_url;
    unsigned max_failures_per_url;  /* in a row, without progress; 0: 10 */
    uint64_t retry_delay_usec;      /* after a failure, doubled up to a minute; 0: 2 s */
    const char *user, *password;    /* may be NULL */
    uint64_t total_bytes;           /* of the file; 0: not known */
    uint64_t stall_timeout_usec;    /* for the rule below; 0: a minute */
    uint64_t rate_bytes_per_second; /* no more than that, all requests together; 0: no bound */
} FetchOptions;

/* A URL that brings less than this on average over stall_timeout_usec, pauses (also those that the
 * rate makes) not counted, has
 * failed: so a payload takes no longer than its size demands at this rate (four days for 300 MiB)
 * and the failures that are allowed, and a server that lets it drip cannot keep a machine from its
 * updates without anybody hearing of it. */
#define FETCH_MIN_BYTES_PER_SECOND 1024

typedef struct {
    /* The next bytes, at offset_bytes of the file. Returns how many were taken: fewer than n_bytes
     * pauses the fetch until fetch_resume(), and the rest comes again then. */
    size_t (*on_data)(Fetch *fetch, uint64_t offset_bytes, const uint8_t *data, size_t n_bytes,
            void *userdata);
    /* After an interruption it is not certain that the same bytes will go on at offset_bytes, the
     * next one that is wanted. Returns from where (at most offset_bytes) the data is wanted again,
     * so that nothing is put together out of two different files; what lies outside of the ranges
     * does not come all the same. */
    uint64_t (*on_rewind)(Fetch *fetch, uint64_t offset_bytes, void *userdata);
    /* The ranges have been delivered (UPDATE_OK), or no URL delivers it: UPDATE_ERROR_TRANSFER,
     * UPDATE_ERROR_PAYLOAD_SIZE (of another length than said), UPDATE_ERROR_GENERIC (memory).
     * Once for each start, never from inside fetch_start, and last; new ranges may be started
     * and the fetch may be freed inside. error is borrowed. */
    void (*on_done)(Fetch *fetch, UpdateError code, const char *error, void *userdata);
} FetchHandlers;

/* options and handlers are borrowed for the fetch's life. Errors: -ENOMEM, errno of sd-event. */
int fetch_new(sd_event *event, HttpClient *http, const FetchOptions *options,
        const FetchHandlers *handlers, void *userdata, Fetch **ret_fetch);

/* Cancels. Not from inside on_data and on_rewind. */
void fetch_free(Fetch *fetch);
DEFINE_CLEANUP(Fetch *, fetch_free);

/* Starts [first_bytes, end_bytes); end_bytes may be FETCH_END_OF_FILE. The fetch must be idle. */
void fetch_start(Fetch *fetch, uint64_t first_bytes, uint64_t end_bytes);

/* Starts the ranges: at least one, ascending, not overlapping, none empty, none with an open end
 * unless it is alone. They are copied. Each is delivered through on_data after the one before, and
 * on_done comes once, behind the last. The fetch must be idle. Errors: -EINVAL: these are no such
 * ranges, -ENOMEM. */
int fetch_start_ranges(Fetch *fetch, const FetchRange *ranges, size_t n_ranges);

/* Moves the end of the last range under way (beyond what was delivered), now that it is known. */
void fetch_set_end(Fetch *fetch, uint64_t end_bytes);

/* Goes on after on_data took less than all. Does nothing when not paused. Not from on_data. */
void fetch_resume(Fetch *fetch);

/* No range is under way. */
bool fetch_is_idle(const Fetch *fetch);

/* The file's size as the servers say; 0 while none has. */
uint64_t fetch_total_bytes(const Fetch *fetch);

/* Of bodies, over the network, in all: what was skipped or fetched twice counts, and what stands
 * between the parts of an answer. */
uint64_t fetch_n_bytes(const Fetch *fetch);

/* Requests in all, redirects not counted. */
uint64_t fetch_n_requests(const Fetch *fetch);

/* Whether the URL that was asked last has answered a request for a part of the file with a part. */
bool fetch_has_ranges(const Fetch *fetch);

/* Why the last URL that was not asked for several ranges at once, or not for one, any more did not
 * understand it, in one line; "": each one did. Inside. */
const char *fetch_why_single(const Fetch *fetch);
