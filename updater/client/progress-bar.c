/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/client/progress-bar.h"

#include <stdio.h>
#include <string.h>

#include "common/byte-count.h"
#include "common/cleanup.h"
#include "common/clock.h"

#define SAMPLE_INTERVAL_USEC (USEC_PER_SEC / 2)
#define BAR_COLUMNS_MIN 12
#define BAR_COLUMNS_MAX 40

void progress_rate_add(
        ProgressRate *rate, uint64_t n_bytes, uint64_t n_bytes_total, uint64_t now_usec)
{
    unsigned n = rate->n_samples;
    if (n > 0 && (rate->n_bytes_total != n_bytes_total || n_bytes < rate->samples[n - 1].n_bytes))
        n = 0;
    rate->n_bytes_total = n_bytes_total;
    rate->n_samples = n;
    if (n > 0 && now_usec < rate->samples[n - 1].time_usec + SAMPLE_INTERVAL_USEC)
        return;
    if (n == ELEMENTS(rate->samples)) {
        memmove(&rate->samples[0], &rate->samples[1], (n - 1) * sizeof(rate->samples[0]));
        n--;
    }
    rate->samples[n].time_usec = now_usec;
    rate->samples[n].n_bytes = n_bytes;
    rate->n_samples = n + 1;
}

uint64_t progress_rate_bytes_per_second(const ProgressRate *rate)
{
    if (rate->n_samples < 2)
        return 0;
    unsigned last = rate->n_samples - 1;
    uint64_t bytes = rate->samples[last].n_bytes - rate->samples[0].n_bytes;
    uint64_t usec = rate->samples[last].time_usec - rate->samples[0].time_usec;
    return (uint64_t)((double)bytes * (double)USEC_PER_SEC / (double)usec);
}

static void render_time_left(const ProgressView *view, char *text, size_t n_text)
{
    uint64_t left = view->n_bytes_total - view->n_bytes_done;
    uint64_t sec = left / view->bytes_per_second + (left % view->bytes_per_second != 0);
    unsigned minutes = (unsigned)MIN(sec / 60, (uint64_t)5999);
    if (minutes >= 60)
        snprintf(text, n_text, "  %u:%02u h left", minutes / 60, minutes % 60);
    else
        snprintf(text, n_text, "  %u:%02u left", minutes, (unsigned)(sec % 60));
}

/* The parts right of the bar, from left to right; "" where nothing is known. */
enum { PART_PERCENT, PART_BYTES, PART_RATE, PART_LEFT, N_PARTS };
#define PART_CHARS 48

static void render_parts(const ProgressView *view, char parts[N_PARTS][PART_CHARS])
{
    ByteCountText done = byte_count_text(view->n_bytes_done);
    memset(parts, 0, N_PARTS * PART_CHARS);
    if (view->n_bytes_total > 0) {
        unsigned percent =
                (unsigned)((double)view->n_bytes_done * 100 / (double)view->n_bytes_total);
        snprintf(parts[PART_PERCENT], PART_CHARS, "  %3u %%", percent);
        snprintf(parts[PART_BYTES], PART_CHARS, "  %s of %s", done.text,
                byte_count_text(view->n_bytes_total).text);
    } else if (view->n_bytes_done > 0) {
        snprintf(parts[PART_BYTES], PART_CHARS, "  %s", done.text);
    }
    if (view->bytes_per_second == 0)
        return;
    snprintf(parts[PART_RATE], PART_CHARS, "  %s/s", byte_count_text(view->bytes_per_second).text);
    if (view->n_bytes_total > 0)
        render_time_left(view, parts[PART_LEFT], PART_CHARS);
}

/* How many columns text takes: continuation bytes of UTF-8 take none. */
static size_t columns_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void append(char *text, size_t n_text, const char *more)
{
    size_t n = strlen(text);
    if (n + strlen(more) < n_text)
        strcpy(text + n, more);
}

static void append_bar(char *text, size_t n_text, const ProgressView *view, size_t n_columns)
{
    char bar[BAR_COLUMNS_MAX + 4];
    size_t n_inner = n_columns - 3; /* a blank and two brackets */
    size_t n_filled =
            (size_t)((double)view->n_bytes_done / (double)view->n_bytes_total * (double)n_inner);
    n_filled = MIN(n_filled, n_inner);
    memcpy(bar, " [", 2);
    memset(bar + 2, ' ', n_inner);
    memset(bar + 2, '=', n_filled);
    if (n_filled > 0 && n_filled < n_inner)
        bar[2 + n_filled - 1] = '>';
    strcpy(bar + 2 + n_inner, "]");
    append(text, n_text, bar);
}

void progress_bar_render(const ProgressView *given, size_t n_columns, char *ret_text, size_t n_text)
{
    ProgressView view = *given;
    if (view.n_bytes_total > 0)
        view.n_bytes_done = MIN(view.n_bytes_done, view.n_bytes_total);
    char parts[N_PARTS][PART_CHARS];
    render_parts(&view, parts);
    snprintf(ret_text, n_text, "%s%s%s", view.phase, view.version[0] ? " " : "", view.version);
    size_t used = columns_of(ret_text);
    if (used > n_columns) {
        ret_text[0] = '\0';
        return;
    }
    size_t n_fitting = 0;
    while (n_fitting < N_PARTS && used + strlen(parts[n_fitting]) <= n_columns)
        used += strlen(parts[n_fitting++]);
    size_t n_bar = MIN(n_columns - used, (size_t)BAR_COLUMNS_MAX);
    if (view.has_bar && view.n_bytes_total > 0 && n_bar >= BAR_COLUMNS_MIN)
        append_bar(ret_text, n_text, &view, n_bar);
    for (size_t i = 0; i < n_fitting; i++)
        append(ret_text, n_text, parts[i]);
}
