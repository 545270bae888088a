/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/client/follow.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "common/clock.h"
#include "updater/client/client.h"
#include "updater/client/progress-bar.h"
#include "updater/engine/bus-names.h"

#define POLL_TERMINAL_USEC (USEC_PER_SEC / 5)
#define POLL_LINES_USEC USEC_PER_SEC
#define RETURN_WAIT_USEC (2 * USEC_PER_MINUTE) /* for an engine that is gone */
#define IDLE_WAIT_USEC (30 * USEC_PER_SEC)     /* for an engine that does nothing to go on */

typedef struct {
    EngineProxy *proxy;
    const char *what;
    bool is_json;
    bool is_terminal;
    bool has_bar;       /* the terminal's last line is a bar */
    bool was_gone;      /* the engine has been away meanwhile */
    uint64_t gone_usec; /* CLOCK_MONOTONIC, since when; 0: it is there */
    uint64_t idle_usec; /* since when it does nothing; 0: it does something */
    ProgressRate rate;
    char said_fetch[512];
    char said_phase[32];
    unsigned said_tenth;
} Follower;

static void clear_bar(Follower *follower)
{
    if (follower->has_bar)
        printf("\r\x1b[K");
    follower->has_bar = false;
}

static void say(Follower *follower, const char *line)
{
    clear_bar(follower);
    if (!follower->is_json)
        printf("%s\n", line);
    fflush(stdout);
}

static size_t terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

static void draw_bar(Follower *follower, const ProgressView *view)
{
    char line[512];
    progress_bar_render(view, terminal_columns() - 1, line, sizeof(line));
    printf("\r%s\x1b[K", line);
    fflush(stdout);
    follower->has_bar = true;
}

static void print_line(const ProgressView *view)
{
    char line[512];
    progress_bar_render(view, sizeof(line) - 1, line, sizeof(line));
    printf("%s\n", line);
    fflush(stdout);
}

static void print_json(const EngineView *view)
{
    json_t *line = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:I, s:I, s:I}", "phase",
            view->phase, "version", view->new_version, "bytes_done", (json_int_t)view->n_bytes_done,
            "bytes_total", (json_int_t)view->n_bytes_total, "bytes_fetched",
            (json_int_t)view->n_bytes_fetched, "fetch_way", view->fetch_way, "fetch_text",
            view->fetch_text, "bytes_to_fetch", (json_int_t)view->n_bytes_to_fetch, "bytes_whole",
            (json_int_t)view->n_bytes_whole, "requests", (json_int_t)view->n_requests);
    if (line)
        json_dumpf(line, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(line);
    fflush(stdout);
}

static void show(Follower *follower, const EngineView *view)
{
    progress_rate_add(&follower->rate, view->n_bytes_done, view->n_bytes_total,
            clock_now_usec(CLOCK_MONOTONIC));
    ProgressView progress = {
            .phase = view->phase,
            /* While the server is asked, that is what waits from before. */
            .version = strcmp(view->phase, "checking") == 0 ? "" : view->new_version,
            .n_bytes_done = view->n_bytes_done,
            .n_bytes_total = view->n_bytes_total,
            .bytes_per_second = progress_rate_bytes_per_second(&follower->rate),
            .has_bar = follower->is_terminal,
    };
    if (follower->is_terminal && !follower->is_json) {
        draw_bar(follower, &progress);
        return;
    }
    unsigned tenth =
            view->n_bytes_total == 0
                    ? 0
                    : (unsigned)((double)view->n_bytes_done * 10 / (double)view->n_bytes_total);
    if (strcmp(follower->said_phase, view->phase) == 0 && tenth == follower->said_tenth)
        return;
    snprintf(follower->said_phase, sizeof(follower->said_phase), "%s", view->phase);
    follower->said_tenth = tenth;
    if (follower->is_json)
        print_json(view);
    else
        print_line(&progress);
}

/* How the payload comes, before how far it is. What it came to is said by the engine's end. */
static void show_fetch(Follower *follower, const EngineView *view)
{
    if (strcmp(view->phase, "downloading") != 0 || !view->fetch_text[0] ||
            strcmp(view->fetch_text, follower->said_fetch) == 0)
        return;
    snprintf(follower->said_fetch, sizeof(follower->said_fetch), "%s", view->fetch_text);
    say(follower, view->fetch_text);
}

static bool is_resting(const EngineView *view)
{
    return strcmp(view->phase, "idle") == 0 || strcmp(view->phase, "need-reboot") == 0;
}

/* The end of a task whose Finished was lost with the engine that was to send it. Returns true when
 * there is nothing more to wait for. */
static bool guess_end(Follower *follower, const EngineView *view, EngineEnd *ret_end)
{
    uint64_t now = clock_now_usec(CLOCK_MONOTONIC);
    if (!is_resting(view)) {
        follower->idle_usec = 0;
        return false;
    }
    if (follower->idle_usec == 0)
        follower->idle_usec = now;
    bool is_done = follower->was_gone && strcmp(view->phase, "need-reboot") == 0;
    if (!is_done && now - follower->idle_usec < IDLE_WAIT_USEC)
        return false;
    EngineEnd end = {.code = is_done ? 0 : view->last_error_code};
    snprintf(end.what, sizeof(end.what), "%s", follower->what);
    snprintf(end.result, sizeof(end.result), "%s", is_done ? BUS_RESULT_DONE : BUS_RESULT_FAILED);
    if (is_done)
        snprintf(end.text, sizeof(end.text), "version %s is installed in %s; reboot to run it",
                view->new_version, view->target_slot);
    else
        snprintf(end.text, sizeof(end.text), "%s",
                view->last_error[0] ? view->last_error : "update-engine does not go on with it");
    *ret_end = end;
    return true;
}

/* The engine is not there: says so once, and false when it has been away for too long. */
static bool wait_for_return(Follower *follower)
{
    if (follower->gone_usec == 0) {
        say(follower, "update-engine is gone; waiting for it to come back");
        follower->gone_usec = clock_now_usec(CLOCK_MONOTONIC);
        follower->was_gone = true;
        follower->rate = (ProgressRate){};
    }
    return clock_now_usec(CLOCK_MONOTONIC) - follower->gone_usec < RETURN_WAIT_USEC;
}

/* One look at the engine. Returns 1 when the task has ended, 0 to go on, or -exit code. */
static int look(Follower *follower, EngineEnd *ret_end, ErrorText *error)
{
    EngineView view;
    int exit_code = engine_proxy_is_there(follower->proxy)
                            ? engine_proxy_view(follower->proxy, &view, error)
                            : CLIENT_NO_DAEMON;
    if (exit_code == CLIENT_NO_DAEMON) {
        if (wait_for_return(follower))
            return 0;
        error_say(error, 0, "update-engine is gone and did not come back within %u s",
                (unsigned)(RETURN_WAIT_USEC / USEC_PER_SEC));
        return -CLIENT_NO_DAEMON;
    }
    if (exit_code != CLIENT_DONE)
        return -exit_code;
    if (follower->gone_usec != 0)
        say(follower, "update-engine is back");
    follower->gone_usec = 0;
    if (!is_resting(&view)) {
        show_fetch(follower, &view);
        show(follower, &view);
    }
    return guess_end(follower, &view, ret_end);
}

int follow_task(
        EngineProxy *proxy, const char *what, bool is_json, EngineEnd *ret_end, ErrorText *error)
{
    Follower follower = {
            .proxy = proxy,
            .what = what,
            .is_json = is_json,
            .is_terminal = isatty(STDOUT_FILENO),
    };
    uint64_t wait = follower.is_terminal && !is_json ? POLL_TERMINAL_USEC : POLL_LINES_USEC;
    for (;;) {
        EngineEnd end;
        int r = engine_proxy_wait(proxy, wait, &end);
        if (r < 0) {
            clear_bar(&follower);
            error_say(error, r, "the bus is gone: %s", strerror(-r));
            return CLIENT_NO_DAEMON;
        }
        bool has_ended = r > 0 && strcmp(end.what, what) == 0;
        if (!has_ended) {
            r = look(&follower, &end, error);
            has_ended = r > 0;
        }
        if (has_ended || r < 0) {
            clear_bar(&follower);
            fflush(stdout);
        }
        if (has_ended) {
            *ret_end = end;
            return CLIENT_DONE;
        }
        if (r < 0)
            return -r;
    }
}
