/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which addresses we talk to: http:// and https:// with a host, parsed by libcurl, so that what is
 * checked is what is used. Pure functions. */

#include <stdbool.h>

#include "common/cleanup.h"

#define HTTP_URL_MAX_CHARS 8191

typedef struct {
    bool is_https;
    bool has_credentials; /* user or password in the URL itself */
    char *host;           /* lower case for names; [] around IPv6; inside */
} HttpUrl;

/* *ret_url is to be released with http_url_done. Errors: -EINVAL when it is anything else (another
 * scheme, no host, white space or control characters, longer than HTTP_URL_MAX_CHARS), -ENOMEM. */
int http_url_parse(const char *text, HttpUrl *ret_url);
void http_url_done(HttpUrl *url);
