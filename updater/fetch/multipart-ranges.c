/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/multipart-ranges.h"

#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/http-head.h"

enum {
    STATE_PREAMBLE,
    STATE_DELIMITER, /* right behind a part's body */
    STATE_DELIMITER_REST,
    STATE_HEADER,
    STATE_BODY,
    STATE_END,
    STATE_BAD,
};

/* --- the boundary ------------------------------------------------------------------------ */

static const char *skip_blanks(const char *c)
{
    return c + strspn(c, " \t");
}

/* bchars of RFC 2046 section 5.1.1. */
static bool is_boundary_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("'()+_,-./:=? ", c));
}

/* A token or quoted string at *text (RFC 9110 section 5.6); moves *text behind it. A value that
 * does not fit is cut: no boundary is as long. */
static bool read_value(const char **text, char *ret_value, size_t n_room)
{
    const char *c = *text;
    bool is_quoted = *c == '"';
    size_t n = 0;
    c += is_quoted;
    for (; *c && *c != '"' && (is_quoted || !strchr("; \t,", *c)); c++) {
        if (is_quoted && *c == '\\' && *++c == '\0')
            return false;
        if (n < n_room - 1)
            ret_value[n++] = *c;
    }
    ret_value[n] = '\0';
    if (is_quoted && *c++ != '"')
        return false;
    *text = c;
    return true;
}

/* Finds the parameter in "; name=value; ..."; false: there is none, or not once. */
static bool read_parameter(const char *c, const char *name, char *ret_value, size_t n_room)
{
    char other[MULTIPART_BOUNDARY_CHARS + 2];
    bool is_found = false;
    for (c = skip_blanks(c); *c == ';'; c = skip_blanks(c)) {
        c = skip_blanks(c + 1);
        size_t n_name = strcspn(c, "=; \t");
        bool is_it = n_name == strlen(name) && strncasecmp(c, name, n_name) == 0;
        c += n_name;
        if (*c != '=')
            continue;
        c++;
        if ((is_it && is_found) ||
                !read_value(&c, is_it ? ret_value : other, is_it ? n_room : sizeof(other)))
            return false;
        is_found = is_found || is_it;
    }
    return is_found && *c == '\0';
}

int multipart_ranges_init(MultipartRanges *multipart, const char *content_type)
{
    static const char type[] = "multipart/byteranges";
    char boundary[MULTIPART_BOUNDARY_CHARS + 2];
    content_type = skip_blanks(content_type);
    if (strncasecmp(content_type, type, sizeof(type) - 1) != 0 ||
            !read_parameter(
                    content_type + sizeof(type) - 1, "boundary", boundary, sizeof(boundary)))
        return -EINVAL;
    size_t n = strlen(boundary);
    if (n == 0 || n > MULTIPART_BOUNDARY_CHARS || boundary[n - 1] == ' ')
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if (!is_boundary_char(boundary[i]))
            return -EINVAL;
    *multipart = (MultipartRanges){.state = STATE_PREAMBLE};
    multipart->n_delimiter_bytes = (size_t)snprintf(
            multipart->delimiter, sizeof(multipart->delimiter), "\r\n--%s", boundary);
    multipart->n_matched_bytes = 2; /* the first one needs no line before it */
    return 0;
}

/* --- the framing, byte by byte ----------------------------------------------------------- */

static MultipartEvent fail(MultipartRanges *multipart, const char *error)
{
    multipart->state = STATE_BAD;
    multipart->error = error;
    return MULTIPART_BAD;
}

static void enter(MultipartRanges *multipart, int state)
{
    multipart->state = state;
    multipart->n_matched_bytes = 0;
    multipart->n_framing_bytes = 0;
    multipart->n_line_bytes = 0;
}

static bool matches(MultipartRanges *multipart, char c)
{
    if (c != multipart->delimiter[multipart->n_matched_bytes])
        return false;
    multipart->n_matched_bytes++;
    return true;
}

static bool is_matched(const MultipartRanges *multipart)
{
    return multipart->n_matched_bytes == multipart->n_delimiter_bytes;
}

static MultipartEvent step_preamble(MultipartRanges *multipart, char c)
{
    if (++multipart->n_framing_bytes > MULTIPART_HEADER_BYTES)
        return fail(multipart, "its boundary does not come");
    /* CR begins the delimiter and is nowhere else in it, so a mismatch leaves at most itself. */
    if (!matches(multipart, c))
        multipart->n_matched_bytes = c == '\r';
    if (is_matched(multipart))
        enter(multipart, STATE_DELIMITER_REST);
    return MULTIPART_MORE;
}

static MultipartEvent step_delimiter(MultipartRanges *multipart, char c)
{
    if (!matches(multipart, c))
        return fail(multipart, "its boundary does not follow where a part's range ends");
    if (is_matched(multipart))
        enter(multipart, STATE_DELIMITER_REST);
    return MULTIPART_MORE;
}

/* Collects a line; true when it is whole, without its CRLF, ended by NUL. */
static bool step_line(MultipartRanges *multipart, char c)
{
    size_t n = multipart->n_line_bytes;
    bool is_after_cr = n > 0 && multipart->line[n - 1] == '\r';
    if (++multipart->n_framing_bytes > MULTIPART_HEADER_BYTES || n == sizeof(multipart->line) - 1) {
        fail(multipart, "the header of a part is too long");
    } else if (c == '\0' || is_after_cr != (c == '\n')) {
        fail(multipart, "the header of a part has a stray CR, LF or NUL");
    } else if (is_after_cr) {
        multipart->line[n - 1] = '\0';
        multipart->n_line_bytes = 0;
        return true;
    } else {
        multipart->line[multipart->n_line_bytes++] = c;
    }
    return false;
}

/* Behind "--boundary": blanks and the line's end, or "--" and whatever (RFC 2046 section 5.1.1). */
static MultipartEvent step_delimiter_rest(MultipartRanges *multipart, char c)
{
    bool is_line = step_line(multipart, c);
    if (multipart->state == STATE_BAD)
        return MULTIPART_BAD;
    if (is_line) {
        if (*skip_blanks(multipart->line))
            return fail(multipart, "its boundary is another one");
        multipart->has_range = false;
        enter(multipart, STATE_HEADER);
    } else if (multipart->n_line_bytes == 2 && memcmp(multipart->line, "--", 2) == 0) {
        enter(multipart, STATE_END);
        return MULTIPART_END;
    }
    return MULTIPART_MORE;
}

static MultipartEvent end_header(MultipartRanges *multipart)
{
    if (!multipart->has_range)
        return fail(multipart, "a part does not say its range");
    multipart->n_left_bytes = multipart->range.end_bytes - multipart->range.first_bytes;
    enter(multipart, STATE_BODY);
    return MULTIPART_PART;
}

static MultipartEvent read_field(MultipartRanges *multipart)
{
    static const char name[] = "Content-Range";
    char *value = strchr(multipart->line, ':');
    if (!value || value == multipart->line)
        return fail(multipart, "the header of a part has a line without a name");
    *value++ = '\0';
    if (strcasecmp(multipart->line, name) != 0)
        return MULTIPART_MORE;
    value += strspn(value, " \t");
    size_t n = strlen(value);
    while (n > 0 && strchr(" \t", value[n - 1]))
        value[--n] = '\0';
    HttpHead head;
    if (multipart->has_range || !http_head_parse_range(value, &head) ||
            head.range_last == UINT64_MAX)
        return fail(multipart, "the range of a part makes no sense");
    multipart->has_range = true;
    multipart->range = (FetchRange){head.range_first, head.range_last + 1};
    multipart->total_bytes = head.range_total;
    return MULTIPART_MORE;
}

static MultipartEvent step_header(MultipartRanges *multipart, char c)
{
    bool is_line = step_line(multipart, c);
    if (multipart->state == STATE_BAD)
        return MULTIPART_BAD;
    if (!is_line)
        return MULTIPART_MORE;
    return multipart->line[0] == '\0' ? end_header(multipart) : read_field(multipart);
}

static MultipartEvent step(MultipartRanges *multipart, char c)
{
    switch (multipart->state) {
    case STATE_PREAMBLE:
        return step_preamble(multipart, c);
    case STATE_DELIMITER:
        return step_delimiter(multipart, c);
    case STATE_DELIMITER_REST:
        return step_delimiter_rest(multipart, c);
    case STATE_HEADER:
        return step_header(multipart, c);
    }
    return MULTIPART_BAD;
}

MultipartEvent multipart_ranges_next(
        MultipartRanges *multipart, const uint8_t *data, size_t n_bytes, size_t *ret_n_used)
{
    MultipartEvent event = MULTIPART_MORE;
    *ret_n_used = 0;
    while (event == MULTIPART_MORE) {
        if (multipart->state == STATE_BAD)
            return MULTIPART_BAD;
        if (multipart->state == STATE_END) {
            size_t n_room = SIZE_MAX - multipart->n_framing_bytes;
            multipart->n_framing_bytes += MIN(n_bytes - *ret_n_used, n_room);
            *ret_n_used = n_bytes;
            return MULTIPART_END;
        }
        if (*ret_n_used == n_bytes)
            return MULTIPART_MORE;
        if (multipart->state == STATE_BODY)
            return MULTIPART_BODY;
        event = step(multipart, (char)data[(*ret_n_used)++]);
    }
    return event;
}

FetchRange multipart_ranges_part(const MultipartRanges *multipart, uint64_t *ret_total_bytes)
{
    *ret_total_bytes = multipart->total_bytes;
    return multipart->range;
}

uint64_t multipart_ranges_n_left(const MultipartRanges *multipart)
{
    return multipart->n_left_bytes;
}

void multipart_ranges_take(MultipartRanges *multipart, uint64_t n_bytes)
{
    multipart->n_left_bytes -= MIN(n_bytes, multipart->n_left_bytes);
    if (multipart->state == STATE_BODY && multipart->n_left_bytes == 0)
        enter(multipart, STATE_DELIMITER);
}

bool multipart_ranges_has_excess(const MultipartRanges *multipart)
{
    return multipart->state == STATE_END && multipart->n_framing_bytes > MULTIPART_EPILOGUE_BYTES;
}

const char *multipart_ranges_error(const MultipartRanges *multipart)
{
    return multipart->error;
}
