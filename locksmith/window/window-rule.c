/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/window/window-rule.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "locksmith/window/duration.h"

#define MIN_PER_DAY (24 * 60)
#define WEEK_USEC (7 * USEC_PER_DAY)
#define MAX_WORD_CHARS 64

/* One rule being read. */
typedef struct {
    const char *at;
    const char *end;
    ErrorText *error;
} Reader;

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(Reader *reader)
{
    while (reader->at < reader->end && is_blank(*reader->at))
        reader->at++;
}

static bool is_next(const Reader *reader, bool (*is_kind)(char c))
{
    return reader->at < reader->end && is_kind(*reader->at);
}

/* Whether the next character, behind blanks, is c: then it is taken. */
static bool take(Reader *reader, char c)
{
    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

/* What comes next for a message: up to a blank. */
static int n_next_chars(const Reader *reader)
{
    int n = 0;
    while (n < MAX_WORD_CHARS && reader->at + n < reader->end && !is_blank(reader->at[n]))
        n++;
    return n;
}

static int complain(const Reader *reader, const char *what)
{
    if (reader->at == reader->end)
        return error_say(reader->error, -EINVAL, "it ends where there should be %s", what);
    return error_say(
            reader->error, -EINVAL, "\"%.*s\" is not %s", n_next_chars(reader), reader->at, what);
}

/* Sunday is 0. */
static int read_day(Reader *reader, unsigned *ret_day)
{
    static const char *const days[] = {
            "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};
    size_t n_chars = 0;
    while (reader->at + n_chars < reader->end && is_letter(reader->at[n_chars]))
        n_chars++;
    const char *next = reader->at + n_chars;
    bool is_whole = next == reader->end || is_blank(*next) || *next == ',' || *next == '-';
    for (unsigned i = 0; is_whole && i < ELEMENTS(days); i++) {
        if (n_chars >= 3 && n_chars <= strlen(days[i]) &&
                strncasecmp(reader->at, days[i], n_chars) == 0) {
            reader->at += n_chars;
            *ret_day = i;
            return 0;
        }
    }
    return complain(reader, "a day such as Mon or Monday");
}

/* The list of days; every day where there is none. */
static int read_days(Reader *reader, uint8_t *ret_days)
{
    skip_blanks(reader);
    if (is_next(reader, is_digit)) {
        *ret_days = WINDOW_EVERY_DAY;
        return 0;
    }
    uint8_t days = 0;
    do {
        unsigned first = 0;
        skip_blanks(reader);
        int r = read_day(reader, &first);
        unsigned last = first;
        if (r >= 0 && take(reader, '-')) {
            skip_blanks(reader);
            r = read_day(reader, &last);
        }
        if (r < 0)
            return r;
        for (unsigned day = first;; day = (day + 1) % 7) {
            days |= (uint8_t)(1 << day);
            if (day == last)
                break;
        }
    } while (take(reader, ','));
    *ret_days = days;
    return 0;
}

/* One or two digits; SIZE_MAX when there are none or more. */
static size_t read_number(Reader *reader, size_t *ret_n_digits)
{
    size_t number = 0;
    size_t n = 0;
    for (; is_next(reader, is_digit) && n < 3; n++)
        number = 10 * number + (size_t)(*reader->at++ - '0');
    *ret_n_digits = n;
    return n == 1 || n == 2 ? number : SIZE_MAX;
}

/* min_minute_digits: Go takes 9:5 as 9:05, in ours it would rather be a slip. */
static int read_time(Reader *reader, size_t min_minute_digits, bool is_end, uint16_t *ret_min)
{
    const char *what = is_end ? "a time of day such as 4:00 (up to 24:00)"
                              : "a time of day such as 22:30 (0:00 to 23:59)";
    skip_blanks(reader);
    Reader begin = *reader;
    size_t n_digits;
    size_t hour = read_number(reader, &n_digits);
    if (hour == SIZE_MAX || reader->at == reader->end || *reader->at != ':')
        return complain(&begin, what);
    reader->at++;
    size_t minute = read_number(reader, &n_digits);
    if (minute > 59 || n_digits < min_minute_digits || is_next(reader, is_letter))
        return complain(&begin, what);
    size_t sum = hour * 60 + minute;
    if (sum > MIN_PER_DAY || (sum == MIN_PER_DAY && !is_end))
        return complain(&begin, what);
    *ret_min = (uint16_t)sum;
    return 0;
}

static int parse_length(const char *text, uint64_t *ret_usec, ErrorText *error)
{
    uint64_t usec;
    int r = duration_parse(text, &usec);
    if (r == -EINVAL)
        return error_say(error, r, "\"%.64s\" is not a duration such as 90m, 6h or 1h30m", text);
    if (r == -ERANGE || usec > WEEK_USEC)
        return error_say(error, -EINVAL, "\"%.64s\" is longer than a week", text);
    *ret_usec = MAX(usec, WINDOW_MIN_USEC);
    return 0;
}

/* The next word, up to a blank, as a string of its own. */
static int take_word(Reader *reader, char ret_word[static MAX_WORD_CHARS + 1], const char *what)
{
    skip_blanks(reader);
    int n_chars = n_next_chars(reader);
    if (n_chars == 0 || (reader->at + n_chars < reader->end && !is_blank(reader->at[n_chars])))
        return complain(reader, what);
    memcpy(ret_word, reader->at, (size_t)n_chars);
    ret_word[n_chars] = '\0';
    reader->at += n_chars;
    return 0;
}

static int read_length(Reader *reader, uint64_t *ret_usec)
{
    char word[MAX_WORD_CHARS + 1];
    int r = take_word(reader, word, "a duration such as 90m, 6h or 1h30m");
    return r < 0 ? r : parse_length(word, ret_usec, reader->error);
}

static int read_end(Reader *reader, WindowRule *rule)
{
    if (take(reader, '+'))
        return read_length(reader, &rule->length_usec);
    if (!take(reader, '-'))
        return complain(reader, "-H:MM, the window's end, or +LENGTH");
    uint16_t end_min = 0;
    int r = read_time(reader, 2, true, &end_min);
    if (r < 0)
        return r;
    if (end_min == rule->start_min)
        return error_say(reader->error, -EINVAL,
                "it ends when it begins; for a whole day write 0:00-24:00, or H:MM +24h");
    rule->wall_min =
            (uint16_t)(end_min > rule->start_min ? end_min - rule->start_min
                                                 : end_min + MIN_PER_DAY - rule->start_min);
    return 0;
}

static int read_rule(Reader *reader, WindowRule *ret_rule)
{
    WindowRule rule = {.days = 0};
    int r = read_days(reader, &rule.days);
    if (r >= 0)
        r = read_time(reader, 2, false, &rule.start_min);
    if (r >= 0)
        r = read_end(reader, &rule);
    if (r < 0)
        return r;
    if (reader->at < reader->end && !is_blank(*reader->at))
        return complain(reader, "separated from the time by a blank");
    skip_blanks(reader);
    if (reader->at < reader->end)
        r = take_word(reader, rule.zone, "a time zone");
    skip_blanks(reader);
    if (r >= 0 && reader->at < reader->end)
        return complain(
                reader, "anything that may follow the time zone; put ; between two windows");
    if (r >= 0)
        *ret_rule = rule;
    return r;
}

int window_rules_parse(
        const char *text, WindowRule **ret_rules, size_t *ret_n_rules, ErrorText *error)
{
    _cleanup_free_ WindowRule *rules = calloc(WINDOW_MAX_RULES, sizeof(*rules));
    if (!rules)
        return -ENOMEM;
    size_t n_rules = 0;
    for (const char *at = text; *at;) {
        size_t n_chars = strcspn(at, ";");
        ErrorText why = {""};
        Reader reader = {.at = at, .end = at + n_chars, .error = &why};
        skip_blanks(&reader);
        const char *begin = reader.at;
        bool is_empty = reader.at == reader.end;
        if (!is_empty && n_rules == WINDOW_MAX_RULES)
            return error_say(error, -EINVAL, "there are more than %d windows", WINDOW_MAX_RULES);
        if (!is_empty && read_rule(&reader, &rules[n_rules++]) < 0)
            return error_say(error, -EINVAL, "in \"%.*s\" %s", (int)MIN(reader.end - begin, 64),
                    begin, why.line);
        at += n_chars;
        at += *at == ';';
    }
    if (n_rules == 0)
        return error_say(error, -EINVAL, "there is no window in it");
    *ret_rules = TAKE_PTR(rules);
    *ret_n_rules = n_rules;
    return 0;
}

int window_start_parse(const char *text, WindowRule *ret_rule, ErrorText *error)
{
    Reader reader = {.at = text, .end = text + strlen(text), .error = error};
    WindowRule rule = {.days = WINDOW_EVERY_DAY};
    skip_blanks(&reader);
    int r = 0;
    if (is_next(&reader, is_letter)) {
        unsigned day = 0;
        r = read_day(&reader, &day);
        rule.days = (uint8_t)(1 << day);
    }
    if (r >= 0)
        r = read_time(&reader, 1, false, &rule.start_min);
    if (r < 0)
        return r;
    skip_blanks(&reader);
    if (reader.at < reader.end)
        return error_say(error, -EINVAL, "nothing may follow the time of day, not \"%.*s\"",
                n_next_chars(&reader), reader.at);
    *ret_rule = rule;
    return 0;
}

int window_length_parse(const char *text, uint64_t *ret_usec, ErrorText *error)
{
    uint64_t usec;
    int r = parse_length(text + (text[0] == '+'), &usec, error);
    if (r < 0)
        return r;
    if (usec >= WEEK_USEC)
        return error_say(error, -EINVAL, "it must be less than a week");
    *ret_usec = usec;
    return 0;
}
