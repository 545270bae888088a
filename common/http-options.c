/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http-options.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"

#define BUFFER_BYTES (128L * 1024)
#define MAX_TIMEOUT_MSEC (7L * 24 * 60 * 60 * 1000)

HttpLimits http_limits_resolve(const HttpLimits *limits)
{
    HttpLimits resolved = *limits;
    if (resolved.connect_timeout_usec == 0)
        resolved.connect_timeout_usec = 30 * USEC_PER_SEC;
    if (resolved.stall_timeout_usec == 0)
        resolved.stall_timeout_usec = 60 * USEC_PER_SEC;
    if (resolved.stall_bytes_per_second == 0)
        resolved.stall_bytes_per_second = 10;
    if (resolved.max_redirects == 0)
        resolved.max_redirects = 10;
    return resolved;
}

/* libcurl takes 0 for "its own default", so nothing but 0 becomes 0. */
static long to_msec(uint64_t usec)
{
    uint64_t msec = usec / 1000 + (usec % 1000 != 0);
    return (long)MIN(msec, (uint64_t)MAX_TIMEOUT_MSEC);
}

static void slist_freep(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

static int add_header(struct curl_slist **list, const char *line)
{
    for (const char *c = line; *c; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
            return -EINVAL;
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        return -ENOMEM;
    *list = longer;
    return 0;
}

static int add_range(struct curl_slist **list, const HttpRequestOptions *options)
{
    char line[128];
    if (options->range_last == UINT64_MAX)
        snprintf(line, sizeof(line), "Range: bytes=%" PRIu64 "-", options->range_first);
    else
        snprintf(line, sizeof(line), "Range: bytes=%" PRIu64 "-%" PRIu64, options->range_first,
                options->range_last);
    int r = add_header(list, line);
    if (r < 0 || !options->if_range)
        return r;
    _cleanup_free_ char *condition = NULL;
    if (asprintf(&condition, "If-Range: %s", options->if_range) < 0) {
        condition = NULL;
        return -ENOMEM;
    }
    return add_header(list, condition);
}

/* The range is a header of ours: with CURLOPT_RANGE libcurl would judge the answer. */
static int make_headers(const HttpRequestOptions *options, struct curl_slist **ret_headers)
{
    _cleanup_(slist_freep) struct curl_slist *list = NULL;
    int r = 0;
    for (size_t i = 0; r >= 0 && options->headers && options->headers[i]; i++)
        r = add_header(&list, options->headers[i]);
    if (r >= 0 && options->has_range)
        r = add_range(&list, options);
    if (r >= 0 && options->post_body)
        r = add_header(&list, "Expect:"); /* do not wait for a 100 before a large body */
    if (r < 0)
        return r;
    *ret_headers = TAKE_PTR(list);
    return 0;
}

static int apply_limits(CURL *easy, const HttpLimits *limits)
{
    CURLcode code = CURLE_OK;
    code |= curl_easy_setopt(
            easy, CURLOPT_CONNECTTIMEOUT_MS, to_msec(limits->connect_timeout_usec));
    code |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, to_msec(limits->total_timeout_usec));
    code |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
    return code == CURLE_OK ? 0 : -ENOMEM;
}

/* What libcurl would read itself, and this host: a proxy elsewhere cannot reach it. */
static CURLcode apply_no_proxy(CURL *easy)
{
    static const char this_host[] = "localhost,127.0.0.0/8,::1";
    const char *others = getenv("no_proxy");
    if (!others)
        others = getenv("NO_PROXY");
    if (!others || others[0] == '\0')
        return curl_easy_setopt(easy, CURLOPT_NOPROXY, this_host);
    if (strcmp(others, "*") == 0)
        return CURLE_OK;
    char *both = NULL;
    if (asprintf(&both, "%s,%s", others, this_host) < 0)
        return CURLE_OUT_OF_MEMORY;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_NOPROXY, both);
    free(both);
    return code;
}

static int apply_transport(CURL *easy, const HttpRequestOptions *options)
{
    CURLcode code = CURLE_OK;
    code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    code |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    code |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    code |= curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)(CURLAUTH_BASIC | CURLAUTH_DIGEST));
    code |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    code |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* freeing must not wait for DNS */
    code |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    code |= apply_no_proxy(easy);
    if (options->ca_file) {
        code |= curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
        code |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    code |= curl_easy_setopt(easy, CURLOPT_SSLCERT, options->cert_file);
    code |= curl_easy_setopt(easy, CURLOPT_SSLKEY, options->key_file);
    return code == CURLE_OK ? 0 : -ENOMEM;
}

int http_options_apply(CURL *easy, const HttpRequestOptions *options, const char *user_agent,
        struct curl_slist **ret_headers)
{
    _cleanup_(slist_freep) struct curl_slist *headers = NULL;
    int r = make_headers(options, &headers);
    if (r >= 0)
        r = apply_limits(easy, &options->limits);
    if (r >= 0)
        r = apply_transport(easy, options);
    if (r < 0)
        return r;

    CURLcode code = CURLE_OK;
    code |= curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
    code |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    if (options->post_body) {
        code |= curl_easy_setopt(
                easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->n_post_body_bytes);
        code |= curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, options->post_body);
    }
    code |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, options->method);
    if (code != CURLE_OK)
        return -ENOMEM;
    *ret_headers = TAKE_PTR(headers);
    return 0;
}
