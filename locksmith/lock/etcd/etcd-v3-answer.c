/* SPDX-License-Identifier: Apache-2.0 */

/* What etcd v3 answers. Errors are told apart by their gRPC code and not by the HTTP status, which
 * differs between releases; a few have the code of others and are known by their text, which etcd
 * keeps the same from 3.4 to 3.6. */

#include "locksmith/lock/etcd/etcd-v3-answer.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "common/base64.h"
#include "common/json-bound.h"
#include "locksmith/lock/etcd/etcd-v3-request.h"

/* values */

/* A 64-bit number that is not negative: text, a number, or nothing at all, which is 0. */
static bool read_number(const json_t *value, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *text = json_string_value(value);
    if (json_is_integer(value)) {
        if (json_integer_value(value) < 0)
            return false;
        number = (uint64_t)json_integer_value(value);
    } else if (text) {
        if (*text == '\0')
            return false;
        for (; *text != '\0'; text++)
            if (*text < '0' || *text > '9' || __builtin_mul_overflow(number, 10, &number) ||
                    __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
                return false;
        if (number > INT64_MAX)
            return false;
    } else if (value) {
        return false;
    }
    *ret_number = number;
    return true;
}

/* Base64 or nothing at all, which is "". *ret_data is new and NUL-terminated. */
static bool read_bytes(const json_t *value, char **ret_data, size_t *ret_n_bytes)
{
    const char *text = value ? json_string_value(value) : "";
    size_t n_chars = text ? strlen(text) : 0;
    if (!text || n_chars % 4 != 0)
        return false;
    size_t n_bytes = n_chars / 4 * 3;
    for (size_t i = 0; i < 2 && n_chars > 0; i++)
        n_bytes -= text[n_chars - 1 - i] == '=';
    _cleanup_free_ char *data = malloc(n_bytes + 1);
    if (!data || base64_decode(text, (uint8_t *)data, n_bytes) < 0)
        return false;
    data[n_bytes] = '\0';
    *ret_data = TAKE_PTR(data);
    *ret_n_bytes = n_bytes;
    return true;
}

/* errors */

#define CODE_INVALID 3
#define CODE_NOT_FOUND 5
#define CODE_NOT_ALLOWED 7
#define CODE_EXHAUSTED 8
#define CODE_PRECONDITION 9
#define CODE_OUT_OF_RANGE 11
#define CODE_UNIMPLEMENTED 12
#define CODE_UNAVAILABLE 14
#define CODE_UNKNOWN_TOKEN 16

#define NO_USERS "etcdserver: authentication is not enabled"
#define GATEWAY_OFF                                                              \
    "it has no v3 JSON gateway there: is it etcd 3.4 or later, started without " \
    "--enable-grpc-gateway=false?"

/* The text (NULL: any) and code (0: any) by which an error is known, and what it means. */
static const struct {
    unsigned code;
    const char *text;
    EtcdVerdict verdict;
    const char *hint;
} known_errors[] = {
        {CODE_UNAVAILABLE, "etcdserver: no leader", ETCD_ELSEWHERE,
                "it sees no leader of its cluster: are enough members up?"},
        {CODE_UNKNOWN_TOKEN, NULL, ETCD_LOGIN, "it does not know our login any more"},
        {CODE_INVALID, "revision of auth store is old", ETCD_LOGIN,
                "its users changed since our login"},
        {CODE_INVALID, "user name is empty", ETCD_LOGIN, "it wants a user and a password"},
        {CODE_INVALID, "authentication failed", ETCD_REFUSED,
                "wrong user or password: check etcd's user and password in our configuration"},
        {CODE_NOT_ALLOWED, NULL, ETCD_REFUSED,
                "the user may not do this: grant it READWRITE on all keys below "
                "coreos.com/updateengine/rebootlock/"},
        {CODE_EXHAUSTED, "database space exceeded", ETCD_REFUSED,
                "its database is full: compact and defragment it, then etcdctl alarm disarm"},
        {CODE_EXHAUSTED, NULL, ETCD_ELSEWHERE, "it has too much to do"},
        {CODE_UNIMPLEMENTED, NULL, ETCD_OFF, GATEWAY_OFF},
        {CODE_NOT_FOUND, "Not Found", ETCD_OFF, GATEWAY_OFF},
        {CODE_NOT_FOUND, NULL, ETCD_REFUSED, NULL},
        {CODE_INVALID, NULL, ETCD_REFUSED, NULL},
        {CODE_PRECONDITION, NULL, ETCD_REFUSED, NULL},
        {CODE_OUT_OF_RANGE, NULL, ETCD_REFUSED, NULL},
        {0, NULL, ETCD_UNCLEAR, NULL},
};

static EtcdVerdict judge_error(uint64_t code, const char *text, ErrorText *error)
{
    size_t i = 0;
    while ((known_errors[i].code != 0 && known_errors[i].code != code) ||
            (known_errors[i].text && !strstr(text, known_errors[i].text)))
        i++;
    if (known_errors[i].hint)
        error_say(error, 0, "%s (%.200s)", known_errors[i].hint, text);
    else
        error_say(error, 0, "etcd says: %.300s (code %" PRIu64 ")", text, code);
    return known_errors[i].verdict;
}

/* 3.4 has "error" and "message" alike, 3.5 "message" alone; a stream of either wraps them. */
static bool read_error(const json_t *root, uint64_t *ret_code, const char **ret_text)
{
    const json_t *wrapped = json_object_get(root, "error");
    const json_t *from = json_is_object(wrapped) ? wrapped : root;
    const json_t *code = json_object_get(from, "code");
    const char *text = json_string_value(json_object_get(from, "message"));
    if (!text)
        text = json_string_value(json_object_get(from, "error"));
    if (!code)
        code = json_object_get(from, "grpc_code");
    if (!text || !code || !read_number(code, ret_code))
        return false;
    *ret_text = text;
    return true;
}

/* What comes in place of JSON: from the gateway's mux, from no etcd at all, or from etcd's check of
 * client certificates. */
static EtcdVerdict judge_plain(unsigned status, const char *body, size_t n_bytes, ErrorText *error)
{
    if (memmem(body, n_bytes, "CommonName of client", strlen("CommonName of client"))) {
        error_say(error, 0,
                "with users switched on etcd's gateway takes no client certificate that has a "
                "CommonName: issue one without (subject O=nodes, say) and set user and password");
        return ETCD_OFF;
    }
    if (status == 404 || status == 405) {
        error_say(error, 0, GATEWAY_OFF " (HTTP status %u)", status);
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

/* answers */

static json_t *load(const char *text, size_t n_bytes)
{
    return json_bound_holds(text, n_bytes, ETCD_MAX_JSON_MARKS) ? json_loadb(text, n_bytes, 0, NULL)
                                                                : NULL;
}

static bool read_pair(const json_t *kv, EtcdV3Pair *pair)
{
    return read_bytes(json_object_get(kv, "key"), &pair->key, &pair->n_key_bytes) &&
           pair->n_key_bytes > 0 &&
           read_bytes(json_object_get(kv, "value"), &pair->value, &pair->n_value_bytes) &&
           read_number(json_object_get(kv, "mod_revision"), &pair->mod_revision) &&
           pair->mod_revision > 0;
}

static bool read_range(const json_t *range, EtcdV3Answer *answer)
{
    const json_t *kvs = json_object_get(range, "kvs");
    size_t n = json_array_size(kvs);
    if (!json_is_object(range) || (kvs && !json_is_array(kvs)))
        return false;
    answer->n_ranges++;
    if (n == 0)
        return true;
    if (n > ETCD_V3_MAX_PAIRS - answer->n_pairs)
        return false;
    EtcdV3Pair *pairs = realloc(answer->pairs, (answer->n_pairs + n) * sizeof(*pairs));
    if (!pairs)
        return false;
    answer->pairs = pairs;
    for (size_t i = 0; i < n; i++) {
        EtcdV3Pair *pair = &answer->pairs[answer->n_pairs++];
        *pair = (EtcdV3Pair){.key = NULL};
        if (!read_pair(json_array_get(kvs, i), pair))
            return false;
    }
    return true;
}

static bool read_responses(const json_t *responses, EtcdV3Answer *answer)
{
    if (!json_is_array(responses))
        return false;
    for (size_t i = 0; i < json_array_size(responses); i++) {
        const json_t *range = json_object_get(json_array_get(responses, i), "response_range");
        if (range && !read_range(range, answer))
            return false;
    }
    return true;
}

static bool read_token(const json_t *token, EtcdV3Answer *answer)
{
    const char *text = json_string_value(token);
    if (!text || text[0] == '\0' || strlen(text) > ETCD_V3_MAX_TOKEN_CHARS)
        return false;
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            return false;
    answer->token = strdup(text);
    return answer->token != NULL;
}

static bool read_good(const json_t *root, EtcdV3Answer *answer)
{
    const json_t *header = json_object_get(root, "header");
    const json_t *succeeded = json_object_get(root, "succeeded");
    const json_t *responses = json_object_get(root, "responses");
    const json_t *token = json_object_get(root, "token");
    if (!json_is_object(header) || (succeeded && !json_is_boolean(succeeded)))
        return false;
    answer->is_swapped = json_is_true(succeeded);
    if (!read_number(json_object_get(header, "revision"), &answer->revision))
        return false;
    if (responses)
        return read_responses(responses, answer);
    return token ? read_token(token, answer) : read_range(root, answer);
}

EtcdVerdict etcd_v3_read_answer(unsigned status, const char *body, size_t n_bytes,
        EtcdV3Answer *ret_answer, ErrorText *error)
{
    uint64_t code;
    const char *text;
    _cleanup_(json_decrefp) json_t *root = load(body, n_bytes);
    if (!json_is_object(root))
        return judge_plain(status, body, n_bytes, error);
    if (read_error(root, &code, &text))
        return judge_error(code, text, error);
    _cleanup_(etcd_v3_answer_done) EtcdV3Answer answer = {0};
    if (status != 200 || !read_good(root, &answer)) {
        error_say(error, 0, "its answer (HTTP status %u) is none that etcd v3 gives", status);
        return ETCD_UNCLEAR;
    }
    *ret_answer = answer;
    answer = (EtcdV3Answer){0};
    return ETCD_DONE;
}

EtcdVerdict etcd_v3_read_login(unsigned status, const char *body, size_t n_bytes,
        EtcdV3Answer *ret_answer, ErrorText *error)
{
    _cleanup_(etcd_v3_answer_done) EtcdV3Answer answer = {0};
    EtcdVerdict verdict = etcd_v3_read_answer(status, body, n_bytes, &answer, error);
    bool needs_none = verdict == ETCD_REFUSED && memmem(body, n_bytes, NO_USERS, strlen(NO_USERS));
    if (needs_none && error)
        *error = (ErrorText){0};
    if (verdict == ETCD_DONE && !answer.token) {
        error_say(error, 0, "its answer to our login is none that etcd v3 gives");
        return ETCD_UNCLEAR;
    }
    if (verdict != ETCD_DONE && !needs_none)
        return verdict;
    *ret_answer = answer;
    answer = (EtcdV3Answer){0};
    return ETCD_DONE;
}

void etcd_v3_answer_done(EtcdV3Answer *answer)
{
    for (size_t i = 0; i < answer->n_pairs; i++) {
        free(answer->pairs[i].key);
        free(answer->pairs[i].value);
    }
    free(answer->pairs);
    free(answer->token);
    *answer = (EtcdV3Answer){0};
}

/* watches */

/* The last event counts: it is how things are now. */
static EtcdNews read_events(const json_t *events, uint64_t *ret_revision)
{
    size_t n = json_array_size(events);
    if (n == 0)
        return ETCD_NEWS_NONE;
    const json_t *event = json_array_get(events, n - 1);
    const char *type = json_string_value(json_object_get(event, "type"));
    uint64_t revision = 0;
    read_number(json_object_get(json_object_get(event, "kv"), "mod_revision"), &revision);
    *ret_revision = type && strcmp(type, "DELETE") == 0 ? 0 : revision;
    return ETCD_NEWS_CHANGED;
}

EtcdNews etcd_v3_read_news(
        const char *line, size_t n_bytes, uint64_t *ret_revision, ErrorText *error)
{
    uint64_t number;
    const char *text;
    _cleanup_(json_decrefp) json_t *root = load(line, n_bytes);
    const json_t *result = json_object_get(root, "result");
    if (json_is_object(result)) {
        const json_t *compacted = json_object_get(result, "compact_revision");
        const char *reason = json_string_value(json_object_get(result, "cancel_reason"));
        if (!json_is_true(json_object_get(result, "canceled")))
            return read_events(json_object_get(result, "events"), ret_revision);
        if (compacted && read_number(compacted, &number) && number > 0) {
            error_say(error, 0, "etcd ended the watch: what it was to begin with is compacted");
            *ret_revision = number;
            return ETCD_NEWS_OUTDATED;
        }
        error_say(error, 0, "etcd ended the watch: %.200s", reason ? reason : "no reason given");
    } else if (json_is_object(root) && read_error(root, &number, &text)) {
        judge_error(number, text, error);
    } else {
        error_say(error, 0, "what etcd sends to the watch is no JSON of it");
    }
    return ETCD_NEWS_ENDED;
}
