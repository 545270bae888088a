/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http-url.h"

#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"

static void curl_url_cleanupp(CURLU **url)
{
    curl_url_cleanup(*url);
}

static void curl_freep(char **text)
{
    curl_free(*text);
}

static bool has_part(CURLU *url, CURLUPart part)
{
    _cleanup_(curl_freep) char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK;
}

/* libcurl itself takes one slash or three as well, and then a path for a host. */
static bool has_known_scheme(const char *text, bool *ret_is_https)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < ELEMENTS(schemes); i++) {
        size_t n_chars = strlen(schemes[i]);
        if (strncasecmp(text, schemes[i], n_chars) == 0 && text[n_chars] != '/') {
            *ret_is_https = i == 1;
            return true;
        }
    }
    return false;
}

int http_url_parse(const char *text, HttpUrl *ret_url)
{
    bool is_https;
    size_t n_chars = strlen(text);
    if (n_chars > HTTP_URL_MAX_CHARS || !has_known_scheme(text, &is_https))
        return -EINVAL;
    for (size_t i = 0; i < n_chars; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
            return -EINVAL;

    _cleanup_(curl_url_cleanupp) CURLU *url = curl_url();
    if (!url)
        return -ENOMEM;
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);
    if (code != CURLUE_OK)
        return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
    _cleanup_(curl_freep) char *host = NULL;
    if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK || host[0] == '\0')
        return -EINVAL;

    _cleanup_(curl_freep) char *port = NULL;
    code = curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    char *copy = code == CURLUE_OK ? strdup(host) : NULL;
    if (!copy)
        return -ENOMEM;
    *ret_url = (HttpUrl){
            .is_https = is_https,
            .has_credentials = has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD),
            .host = copy,
            .port = (unsigned)strtoul(port, NULL, 10), /* checked by libcurl */
    };
    return 0;
}

void http_url_done(HttpUrl *url)
{
    free(url->host);
    url->host = NULL;
}

bool http_url_is_same_origin(const HttpUrl *a, const HttpUrl *b)
{
    return a->is_https == b->is_https && strcasecmp(a->host, b->host) == 0 && a->port == b->port;
}

/* Where in text the part begins that may be shown: behind the `@` that ends user and password, or
 * at host when there are none. What is no URL could have them anywhere before its last `@`. */
static const char *find_shown(const char *text, const char *host)
{
    HttpUrl url;
    size_t n_chars = strlen(host);
    if (http_url_parse(text, &url) == 0) {
        http_url_done(&url);
        n_chars = strcspn(host, "/?#");
    }
    const char *at = memrchr(host, '@', n_chars);
    return at ? at + 1 : host;
}

HttpUrlShown http_url_show(const char *text)
{
    static const char scheme[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.";
    const char *scheme_end = text + strspn(text, scheme);
    const char *host = strncmp(scheme_end, "://", 3) == 0 ? scheme_end + 3 : text;
    const char *rest = find_shown(text, host);
    size_t n_rest = MIN(strcspn(rest, "?"), (size_t)INT16_MAX);
    HttpUrlShown shown;
    snprintf(shown.text, sizeof(shown.text), "%.*s%s%.*s%s", (int)MIN(host - text, INT16_MAX), text,
            rest == host ? "" : "***@", (int)n_rest, rest, rest[n_rest] == '?' ? "?***" : "");
    return shown;
}

bool http_url_is_meant(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}
