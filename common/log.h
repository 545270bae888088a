/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One line per event, for a person: on stderr, or in the journal with its fields when stderr is
 * the journal's stream. Programs and the objects that decide log; parsers and libraries that
 * return an error do not. Does not block beyond a write to stderr or the journal's socket. */

#include "common/cleanup.h"

typedef enum {
    LOG_LEVEL_ERROR = 3, /* syslog(3)'s numbers */
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7,
} LogLevel;

/* A further journal field: NAME in upper case and its value. */
typedef struct {
    const char *name;
    const char *value;
} LogField;

/* The lowest urgency that is still written; LOG_LEVEL_INFO unless told. For mains only, before
 * threads start. */
void log_set_max_level(LogLevel level);

/* Writes one line, cut at 2047 bytes, through printable_clean(): it may quote hostile input. format
 * needs no newline. Keeps errno. Safe from any thread. */
void log_line(LogLevel level, const char *format, ...) _printf_(2, 3);

/* The same with fields (borrowed; the array ends with a NULL name; 13 at most are kept). On stderr
 * only the line. */
void log_fields(LogLevel level, const LogField *fields, const char *format, ...) _printf_(3, 4);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
