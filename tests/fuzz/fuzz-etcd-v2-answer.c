/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte chooses the HTTP status. */

#include <stdbool.h>
#include <stdlib.h>

#include "locksmith/lock/etcd/etcd-v2-answer.h"
#include "tests/fuzz/fuzz.h"

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const unsigned statuses[] = {200, 201, 400, 401, 403, 404, 412, 500};
    if (n_bytes < 1)
        return 0;
    unsigned status = statuses[data[0] % 8];
    const char *text = (const char *)data + 1;

    _cleanup_(etcd_v2_answer_done) EtcdV2Answer answer = {.nodes = NULL};
    ErrorText error = {0};
    EtcdVerdict verdict = etcd_v2_read_answer(status, text, n_bytes - 1, &answer, &error);
    require((verdict == ETCD_DONE) == (error.line[0] == '\0'));
    require(answer.n_nodes <= ETCD_V2_MAX_NODES);
    for (size_t i = 0; i < answer.n_nodes; i++) {
        require(answer.outcome == ETCD_V2_FOUND && answer.nodes[i].key[0] == '/');
        require(answer.nodes[i].value && answer.nodes[i].modified_index > 0);
        require(answer.nodes[i].modified_index <= INT64_MAX);
    }

    uint64_t revision = UINT64_MAX;
    error = (ErrorText){0};
    EtcdNews news = etcd_v2_read_news(text, n_bytes - 1, &revision, &error);
    bool has_revision = news == ETCD_NEWS_CHANGED || news == ETCD_NEWS_OUTDATED;
    require(has_revision == (revision != UINT64_MAX));
    require(news != ETCD_NEWS_NONE);
    return 0;
}
