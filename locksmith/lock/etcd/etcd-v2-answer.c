/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/etcd/etcd-v2-answer.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "common/json-bound.h"

/* errors */

#define HINT_LOGIN                                                                                \
    "it wants a user and a password that may use the key: check etcd's user and password in our " \
    "configuration"

/* etcd's errorCode, and what it means: an outcome, or a verdict that ends the request. */
static const struct {
    json_int_t code;
    EtcdVerdict verdict;
    EtcdV2Outcome outcome;
    const char *hint;
} known_errors[] = {
        {100, ETCD_DONE, ETCD_V2_MISSING, NULL},
        {101, ETCD_DONE, ETCD_V2_CONFLICT, NULL},
        {105, ETCD_DONE, ETCD_V2_CONFLICT, NULL},
        {401, ETCD_DONE, ETCD_V2_OUTDATED, NULL},
        {102, ETCD_REFUSED, 0, "the semaphore's key is a folder there: remove it"},
        {104, ETCD_REFUSED, 0, "the semaphore's folder is a plain key there: remove it"},
        {110, ETCD_REFUSED, 0, HINT_LOGIN},
        {300, ETCD_UNCLEAR, 0, "its cluster did not agree in time: are enough members up?"},
        {301, ETCD_UNCLEAR, 0, "its cluster is choosing a leader: are enough members up?"},
};

static EtcdVerdict judge_error(unsigned status, json_int_t code, const json_t *root,
        EtcdV2Answer *answer, ErrorText *error)
{
    const char *message = json_string_value(json_object_get(root, "message"));
    const char *cause = json_string_value(json_object_get(root, "cause"));
    json_int_t index = json_integer_value(json_object_get(root, "index"));
    size_t i = 0;
    while (i < ELEMENTS(known_errors) && known_errors[i].code != code)
        i++;
    if (i < ELEMENTS(known_errors) && known_errors[i].verdict == ETCD_DONE) {
        answer->outcome = known_errors[i].outcome;
        answer->index = index > 0 ? (uint64_t)index : 0;
        return ETCD_DONE;
    }
    if (i < ELEMENTS(known_errors))
        error_say(error, 0, "%s (%.100s: %.100s)", known_errors[i].hint, message ? message : "",
                cause ? cause : "");
    else
        error_say(error, 0, "etcd says: %.100s: %.200s (errorCode %" JSON_INTEGER_FORMAT ")",
                message ? message : "", cause ? cause : "", code);
    if (i < ELEMENTS(known_errors))
        return known_errors[i].verdict;
    return status >= 400 && status < 500 ? ETCD_REFUSED : ETCD_UNCLEAR;
}

/* What comes in place of JSON. */
static EtcdVerdict judge_plain(unsigned status, ErrorText *error)
{
    if (status == 404) {
        error_say(error, 0,
                "its v2 keys are switched off: start etcd with --enable-v2=true (3.6 has none any "
                "more), or let all hosts use the v3 store");
        return ETCD_OFF;
    }
    if (status >= 300 && status < 500) {
        error_say(error, 0,
                "that is no etcd, or something stands between: it answers with HTTP status %u",
                status);
        return ETCD_OFF;
    }
    error_say(error, 0, "its answer (HTTP status %u) is no JSON of etcd", status);
    return ETCD_UNCLEAR;
}

/* nodes */

static bool add_node(const json_t *node, EtcdV2Answer *answer)
{
    const char *key = json_string_value(json_object_get(node, "key"));
    const json_t *value = json_object_get(node, "value");
    json_int_t index = json_integer_value(json_object_get(node, "modifiedIndex"));
    if (!key || key[0] != '/' || (value && !json_is_string(value)) || index <= 0 ||
            answer->n_nodes >= ETCD_V2_MAX_NODES)
        return false;
    EtcdV2Node *nodes = realloc(answer->nodes, (answer->n_nodes + 1) * sizeof(*nodes));
    if (!nodes)
        return false;
    answer->nodes = nodes;
    EtcdV2Node *added = &nodes[answer->n_nodes++];
    *added = (EtcdV2Node){
            .key = strdup(key),
            .value = strdup(value ? json_string_value(value) : ""),
            .modified_index = (uint64_t)index,
    };
    return added->key && added->value;
}

/* Folders themselves are left out. */
static bool add_nodes(const json_t *node, unsigned depth, EtcdV2Answer *answer)
{
    if (!json_is_object(node) || depth > ETCD_V2_MAX_DEPTH)
        return false;
    if (!json_is_true(json_object_get(node, "dir")))
        return add_node(node, answer);
    const json_t *below = json_object_get(node, "nodes");
    if (below && !json_is_array(below))
        return false;
    for (size_t i = 0; i < json_array_size(below); i++)
        if (!add_nodes(json_array_get(below, i), depth + 1, answer))
            return false;
    return true;
}

static json_t *load(const char *text, size_t n_bytes)
{
    return json_bound_holds(text, n_bytes, ETCD_MAX_JSON_MARKS) ? json_loadb(text, n_bytes, 0, NULL)
                                                                : NULL;
}

EtcdVerdict etcd_v2_read_answer(unsigned status, const char *body, size_t n_bytes,
        EtcdV2Answer *ret_answer, ErrorText *error)
{
    _cleanup_(json_decrefp) json_t *root = load(body, n_bytes);
    const json_t *code = json_object_get(root, "errorCode");
    if (!json_is_object(root))
        return judge_plain(status, error);
    _cleanup_(etcd_v2_answer_done) EtcdV2Answer answer = {.outcome = ETCD_V2_FOUND};
    if (json_is_integer(code)) {
        EtcdVerdict verdict = judge_error(status, json_integer_value(code), root, &answer, error);
        if (verdict == ETCD_DONE)
            *ret_answer = answer;
        return verdict;
    }
    if ((status != 200 && status != 201) || !add_nodes(json_object_get(root, "node"), 0, &answer)) {
        error_say(error, 0, "its answer (HTTP status %u) is none that etcd v2 gives", status);
        return ETCD_UNCLEAR;
    }
    *ret_answer = answer;
    answer = (EtcdV2Answer){.nodes = NULL};
    return ETCD_DONE;
}

void etcd_v2_answer_done(EtcdV2Answer *answer)
{
    for (size_t i = 0; i < answer->n_nodes; i++) {
        free(answer->nodes[i].key);
        free(answer->nodes[i].value);
    }
    free(answer->nodes);
    *answer = (EtcdV2Answer){.nodes = NULL};
}

/* A delete and an expiry come as a node without a value. */
EtcdNews etcd_v2_read_news(
        const char *line, size_t n_bytes, uint64_t *ret_revision, ErrorText *error)
{
    _cleanup_(etcd_v2_answer_done) EtcdV2Answer answer = {.nodes = NULL};
    _cleanup_(json_decrefp) json_t *root = load(line, n_bytes);
    const char *action = json_string_value(json_object_get(root, "action"));
    if (etcd_v2_read_answer(200, line, n_bytes, &answer, error) != ETCD_DONE)
        return ETCD_NEWS_ENDED;
    if (answer.outcome == ETCD_V2_OUTDATED) {
        error_say(error, 0, "etcd ended the watch: what it was to begin with is forgotten");
        *ret_revision = answer.index;
        return ETCD_NEWS_OUTDATED;
    }
    if (answer.outcome != ETCD_V2_FOUND) {
        error_say(error, 0, "etcd ended the watch");
        return ETCD_NEWS_ENDED;
    }
    bool is_gone = !action || strcmp(action, "delete") == 0 || strcmp(action, "expire") == 0 ||
                   strcmp(action, "compareAndDelete") == 0;
    *ret_revision = is_gone || answer.n_nodes == 0 ? 0 : answer.nodes[0].modified_index;
    return ETCD_NEWS_CHANGED;
}
