/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How a request's options become libcurl's: no decisions later than this, no I/O. */

#include <curl/curl.h>

#include "common/http-client.h"

/* The limits with defaults in place of zeros. */
HttpLimits http_limits_resolve(const HttpLimits *limits);

/* Sets all of easy but its URL, credentials and callbacks. *ret_headers is new, used by easy until
 * that is freed, and then to be released with curl_slist_free_all; NULL when there are none.
 * Errors: -EINVAL for a header with a control character, -ENOMEM. */
int http_options_apply(CURL *easy, const HttpRequestOptions *options, const char *user_agent,
        struct curl_slist **ret_headers);
