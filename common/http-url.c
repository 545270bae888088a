/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http-url.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

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

    char *copy = strdup(host);
    if (!copy)
        return -ENOMEM;
    *ret_url = (HttpUrl){
            .is_https = is_https,
            .has_credentials = has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD),
            .host = copy,
    };
    return 0;
}

void http_url_done(HttpUrl *url)
{
    free(url->host);
    url->host = NULL;
}
