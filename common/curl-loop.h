/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* libcurl's multi handle driven by sd-event: who waits for which socket and until when. Knows
 * nothing of HTTP; http-client.c is its only user. Nothing here blocks. */

#include <curl/curl.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef struct CurlLoop CurlLoop;

/* One easy handle in the loop, inside its owner's object. */
typedef struct CurlTransfer CurlTransfer;
struct CurlTransfer {
    CURL *easy;
    /* The transfer ended and has been taken out of the loop; adding it again here is allowed,
     * freeing it is not. Never called from inside _add or _remove. */
    void (*on_finished)(CurlTransfer *transfer, CURLcode code);
};

/* event is referenced. Errors: -ENOMEM, errno of sd-event. */
int curl_loop_new(sd_event *event, CurlLoop **ret_loop);

/* Every transfer must have been taken out before. */
void curl_loop_free(CurlLoop *loop);
DEFINE_CLEANUP(CurlLoop *, curl_loop_free);

/* Whether one of libcurl's callbacks of this loop is running: then none of the three below may be
 * called. */
bool curl_loop_is_inside(const CurlLoop *loop);

/* Starts the transfer (borrowed until it finished or was taken out). Errors: -ENOMEM. */
int curl_loop_add(CurlLoop *loop, CurlTransfer *transfer);

/* Takes a transfer out; on_finished is not called. Harmless when it is not in the loop. */
void curl_loop_remove(CurlLoop *loop, CurlTransfer *transfer);

/* Lets a transfer go on whose write function returned CURL_WRITEFUNC_PAUSE. Calls that function,
 * and on_finished when it ends the transfer. */
void curl_loop_unpause(CurlLoop *loop, CurlTransfer *transfer);
