/* SPDX-License-Identifier: Apache-2.0 */

/* The first two bytes choose the HTTP status and how a watch's lines are cut. */

#include <stdlib.h>
#include <string.h>

#include "locksmith/lock/etcd/etcd-v3-answer.h"
#include "locksmith/lock/etcd/etcd-v3-request.h"
#include "locksmith/lock/etcd/line-splitter.h"
#include "tests/fuzz/fuzz.h"

#define MAX_LINE_BYTES 4096

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_answer(const EtcdV3Answer *answer)
{
    require(answer->revision <= INT64_MAX && answer->n_pairs <= ETCD_V3_MAX_PAIRS);
    require(answer->n_pairs == 0 || answer->n_ranges > 0);
    for (size_t i = 0; i < answer->n_pairs; i++) {
        const EtcdV3Pair *pair = &answer->pairs[i];
        require(pair->n_key_bytes > 0 && pair->key[pair->n_key_bytes] == '\0');
        require(pair->value[pair->n_value_bytes] == '\0');
        require(pair->mod_revision > 0 && pair->mod_revision <= INT64_MAX);
    }
    for (const char *c = answer->token ? answer->token : ""; *c != '\0'; c++)
        require(*c > ' ' && *c <= '~');
}

static bool on_line(const char *line, size_t n_bytes, void *userdata)
{
    (void)userdata;
    ErrorText error = {0};
    uint64_t revision = UINT64_MAX;
    require(n_bytes > 0 && n_bytes <= MAX_LINE_BYTES && !memchr(line, '\n', n_bytes));
    EtcdNews news = etcd_v3_read_news(line, n_bytes, &revision, &error);
    bool has_revision = news == ETCD_NEWS_CHANGED || news == ETCD_NEWS_OUTDATED;
    require(has_revision == (revision != UINT64_MAX));
    require((news == ETCD_NEWS_ENDED || news == ETCD_NEWS_OUTDATED) == (error.line[0] != '\0'));
    return news != ETCD_NEWS_ENDED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const unsigned statuses[] = {200, 400, 401, 403, 404, 412, 500, 503};
    if (n_bytes < 2)
        return 0;
    unsigned status = statuses[data[0] % 8];
    size_t n_piece = (size_t)(data[1] % 32) + 1;
    const char *text = (const char *)data + 2;
    n_bytes -= 2;

    _cleanup_(etcd_v3_answer_done) EtcdV3Answer answer = {0};
    ErrorText error = {0};
    EtcdVerdict verdict = etcd_v3_read_answer(status, text, n_bytes, &answer, &error);
    require((verdict == ETCD_DONE) == (error.line[0] == '\0'));
    require_answer(&answer);

    _cleanup_(etcd_v3_answer_done) EtcdV3Answer login = {0};
    error = (ErrorText){0};
    verdict = etcd_v3_read_login(status, text, n_bytes, &login, &error);
    require((verdict == ETCD_DONE) == (error.line[0] == '\0'));
    require_answer(&login);

    _cleanup_(line_splitter_done) LineSplitter lines = {.text = NULL};
    int r = 0;
    for (size_t i = 0; r == 0 && i < n_bytes; i += n_piece)
        r = line_splitter_add(
                &lines, text + i, MIN(n_piece, n_bytes - i), MAX_LINE_BYTES, on_line, NULL);
    if (r == 0)
        line_splitter_finish(&lines, on_line, NULL);
    return 0;
}
