/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which addresses we talk to: http:// and https:// with a host, parsed by libcurl, so that what is
 * checked is what is used. Pure functions. */

#include <stdbool.h>

#define HTTP_URL_MAX_CHARS 8191

typedef struct {
    bool is_https;
    bool has_credentials; /* user or password in the URL itself */
    char *host;           /* lower case for names; [] around IPv6; inside */
    unsigned port;        /* the scheme's where the URL names none */
} HttpUrl;

/* *ret_url is to be released with http_url_done. Errors: -EINVAL when it is anything else (another
 * scheme, no host, white space or control characters, longer than HTTP_URL_MAX_CHARS), -ENOMEM. */
int http_url_parse(const char *text, HttpUrl *ret_url);
void http_url_done(HttpUrl *url);

/* Whether both lead to the same server: scheme, host and port (RFC 6454 section 4). */
bool http_url_is_same_origin(const HttpUrl *a, const HttpUrl *b);

/* Has room for all but the longest addresses. */
typedef struct {
    char text[1024];
} HttpUrlShown;

/* An address as anybody may see it, in messages, logs and on D-Bus: what stands for user and
 * password is left out, also where text is no address at all, and so is the query, which may hold a
 * token; cut at the end of the buffer. */
HttpUrlShown http_url_show(const char *text);

/* Whether text begins with one of the two schemes, as a person's word for "an address, not a file";
 * the rest is not looked at. */
bool http_url_is_meant(const char *text);
