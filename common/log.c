/* SPDX-License-Identifier: Apache-2.0 */

/* A service's stderr is usually the journal's stream: systemd names its device and inode in
 * JOURNAL_STREAM (systemd.exec(5)). Then lines go to the journal's own socket with their fields,
 * else to stderr with a single write, so that threads do not mix their lines. */

#include "common/log.h"

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>

#include "common/fd-io.h"
#include "common/printable.h"

#define MAX_LINE_CHARS 2047
#define MAX_FIELDS 16

/* The one piece of state that is shared by all: set by main before threads start. */
static LogLevel max_level = LOG_LEVEL_INFO;

void log_set_max_level(LogLevel level)
{
    max_level = level;
}

static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    if (!stream)
        return false;
    struct stat st;
    unsigned long long device;
    unsigned long long inode;
    return sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

/* One journal entry: each field is "NAME=value" in memory of its own. */
typedef struct {
    struct iovec fields[MAX_FIELDS];
    int n_fields;
} Entry;

static void entry_done(Entry *entry)
{
    while (entry->n_fields > 0)
        free(entry->fields[--entry->n_fields].iov_base);
}

/* Fields that find no room or memory are left out: better a line with fewer fields than none. */
static void entry_add(Entry *entry, const char *name, const char *value)
{
    if (entry->n_fields == MAX_FIELDS)
        return;
    char *text;
    int n_chars = asprintf(&text, "%s=%s", name, value);
    if (n_chars < 0)
        return;
    entry->fields[entry->n_fields++] = (struct iovec){.iov_base = text, .iov_len = (size_t)n_chars};
}

static int send_to_journal(LogLevel level, const LogField *fields, const char *line)
{
    _cleanup_(entry_done) Entry entry = {.n_fields = 0};
    const char priority[] = {(char)('0' + level), '\0'};
    entry_add(&entry, "MESSAGE", line);
    entry_add(&entry, "PRIORITY", priority);
    entry_add(&entry, "SYSLOG_IDENTIFIER", program_invocation_short_name);
    for (; fields && fields->name; fields++)
        entry_add(&entry, fields->name, fields->value);
    return sd_journal_sendv(entry.fields, entry.n_fields);
}

static void write_line(LogLevel level, const LogField *fields, const char *format,
        va_list arguments) _printf_(3, 0);

static void write_line(
        LogLevel level, const LogField *fields, const char *format, va_list arguments)
{
    if (level > max_level)
        return;
    int saved_errno = errno;

    char line[MAX_LINE_CHARS + 2];
    vsnprintf(line, MAX_LINE_CHARS + 1, format, arguments);
    for (char *c = strchr(line, '\t'); c; c = strchr(c, '\t'))
        *c = ' ';
    printable_clean(line);

    if (!stderr_is_journal() || send_to_journal(level, fields, line) < 0) {
        size_t n_chars = strlen(line);
        line[n_chars++] = '\n';
        (void)fd_write_full(STDERR_FILENO, line, n_chars); /* there is nobody left to tell */
    }
    errno = saved_errno;
}

void log_line(LogLevel level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(level, NULL, format, arguments);
    va_end(arguments);
}

void log_fields(LogLevel level, const LogField *fields, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(level, fields, format, arguments);
    va_end(arguments);
}
