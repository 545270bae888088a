/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http-head.h"

#include <string.h>
#include <strings.h>

#include "common/cleanup.h"

/* The first such header of the last answer, or NULL. */
static const char *find_header(CURL *easy, const char *name)
{
    struct curl_header *header;
    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    return header->value;
}

static unsigned status_of(CURL *easy)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status > 0 && status < 1000 ? (unsigned)status : 0;
}

static void copy_field(CURL *easy, const char *name, char ret_text[HTTP_HEAD_MAX_FIELD_CHARS + 1])
{
    ret_text[0] = '\0';
    const char *value = find_header(easy, name);
    if (!value || strlen(value) > HTTP_HEAD_MAX_FIELD_CHARS)
        return;
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return;
    strcpy(ret_text, value);
}

/* Reads digits at *text and moves it behind them. */
static bool read_number(const char **text, uint64_t *ret_number)
{
    const char *c = *text;
    uint64_t number = 0;
    if (*c < '0' || *c > '9')
        return false;
    for (; *c >= '0' && *c <= '9'; c++)
        if (__builtin_mul_overflow(number, 10, &number) ||
                __builtin_add_overflow(number, (uint64_t)(*c - '0'), &number))
            return false;
    *text = c;
    *ret_number = number;
    return true;
}

bool http_head_parse_range(const char *value, HttpHead *head)
{
    static const char unit[] = "bytes ";
    uint64_t first;
    uint64_t last;
    uint64_t total = 0;
    if (strncasecmp(value, unit, sizeof(unit) - 1) != 0)
        return false;
    value += sizeof(unit) - 1;
    if (!read_number(&value, &first) || *value++ != '-' || !read_number(&value, &last) ||
            *value++ != '/')
        return false;
    if (strcmp(value, "*") != 0 && (!read_number(&value, &total) || *value || last >= total))
        return false;
    if (first > last)
        return false;
    head->range_first = first;
    head->range_last = last;
    head->range_total = total;
    return true;
}

void http_head_read(CURL *easy, HttpHead *ret_head)
{
    *ret_head = (HttpHead){.status = status_of(easy)};
    curl_off_t n = -1;
    if (curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &n) == CURLE_OK && n >= 0) {
        ret_head->has_length = true;
        ret_head->length_bytes = (uint64_t)n;
    }
    n = 0;
    if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &n) == CURLE_OK && n > 0)
        ret_head->retry_after_sec = MIN((uint64_t)n, HTTP_HEAD_MAX_RETRY_AFTER_SEC);
    const char *range = ret_head->status == 206 ? find_header(easy, "Content-Range") : NULL;
    ret_head->has_range = range && http_head_parse_range(range, ret_head);
    copy_field(easy, "ETag", ret_head->etag);
    copy_field(easy, "Content-Type", ret_head->content_type);
}

bool http_head_is_redirect(CURL *easy)
{
    unsigned status = status_of(easy);
    return (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
           find_header(easy, "Location");
}
