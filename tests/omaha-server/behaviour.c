/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/omaha-server/behaviour.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd-io.h"

#define FILE_MAX_BYTES (64 * 1024)

static const char *const omaha_fault_names[] = {
        [OMAHA_FAULT_NONE] = "",
        [OMAHA_FAULT_NO_UPDATE] = "no-update",
        [OMAHA_FAULT_RATE_LIMIT] = "rate-limit",
        [OMAHA_FAULT_NO_MANIFEST] = "no-manifest",
        [OMAHA_FAULT_HTTP_404] = "http-404",
        [OMAHA_FAULT_HTTP_500] = "http-500",
        [OMAHA_FAULT_HTTP_503] = "http-503",
        [OMAHA_FAULT_STALL] = "stall",
        [OMAHA_FAULT_EMPTY] = "empty",
        [OMAHA_FAULT_GARBAGE_XML] = "garbage-xml",
        [OMAHA_FAULT_TRUNCATED_XML] = "truncated-xml",
        [OMAHA_FAULT_ENTITY_BOMB] = "entity-bomb",
        [OMAHA_FAULT_HUGE_XML] = "huge-xml",
        [OMAHA_FAULT_REDIRECT_LOOP] = "redirect-loop",
        [OMAHA_FAULT_REDIRECT_FILE] = "redirect-file",
};

static const char *const payload_fault_names[] = {
        [PAYLOAD_FAULT_NONE] = "",
        [PAYLOAD_FAULT_HTTP_404] = "http-404",
        [PAYLOAD_FAULT_HTTP_500] = "http-500",
        [PAYLOAD_FAULT_STALL] = "stall",
        [PAYLOAD_FAULT_CUT] = "cut",
        [PAYLOAD_FAULT_NO_RANGES] = "no-ranges",
        [PAYLOAD_FAULT_REDIRECT] = "redirect",
        [PAYLOAD_FAULT_REDIRECT_LOOP] = "redirect-loop",
        [PAYLOAD_FAULT_REDIRECT_FILE] = "redirect-file",
        [PAYLOAD_FAULT_WRONG_LENGTH] = "wrong-length",
        [PAYLOAD_FAULT_CORRUPT] = "corrupt",
};

const char *behaviour_omaha_fault_name(OmahaFault fault)
{
    return omaha_fault_names[fault];
}

/* A file's content and when it was another. */
typedef struct {
    ino_t inode;
    off_t size_bytes;
    struct timespec modified;
} FileIdentity;

struct BehaviourSource {
    pthread_mutex_t lock;
    json_t *base;
    char *path;
    FileIdentity identity;  /* under lock, like what follows */
    uint64_t n_omaha_taken; /* misbehaviours since the file changed */
    uint64_t n_payload_taken;
};

/* What the JSON says, before "times" is applied. */
typedef struct {
    Behaviour behaviour;
    bool has_times;
    uint64_t times;
} Rules;

static int read_fault(const json_t *value, const char *const *names, size_t n_names, int *ret_fault)
{
    for (size_t i = 0; json_is_string(value) && i < n_names; i++)
        if (strcmp(json_string_value(value), names[i]) == 0) {
            *ret_fault = (int)i;
            return 0;
        }
    return -EINVAL;
}

static int read_number(const json_t *value, uint64_t *ret_number)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -EINVAL;
    *ret_number = (uint64_t)json_integer_value(value);
    return 0;
}

static int read_flag(const json_t *value, bool *ret_flag)
{
    if (!json_is_boolean(value))
        return -EINVAL;
    *ret_flag = json_is_true(value);
    return 0;
}

static int read_key(const char *key, const json_t *value, Rules *rules)
{
    Behaviour *behaviour = &rules->behaviour;
    int fault, r;
    if (strcmp(key, "omaha") == 0) {
        r = read_fault(value, omaha_fault_names, ELEMENTS(omaha_fault_names), &fault);
        if (r >= 0)
            behaviour->omaha = (OmahaFault)fault;
        return r;
    }
    if (strcmp(key, "payload") == 0) {
        r = read_fault(value, payload_fault_names, ELEMENTS(payload_fault_names), &fault);
        if (r >= 0)
            behaviour->payload = (PayloadFault)fault;
        return r;
    }
    if (strcmp(key, "app-status") == 0) {
        if (!json_is_string(value) || json_string_length(value) >= sizeof(behaviour->app_status))
            return -EINVAL;
        strcpy(behaviour->app_status, json_string_value(value));
        return 0;
    }
    if (strcmp(key, "times") == 0) {
        rules->has_times = true;
        return read_number(value, &rules->times);
    }
    if (strcmp(key, "after") == 0)
        return read_number(value, &behaviour->after_bytes);
    if (strcmp(key, "offset") == 0)
        return read_number(value, &behaviour->offset_bytes);
    if (strcmp(key, "rate") == 0)
        return read_number(value, &behaviour->bytes_per_second);
    if (strcmp(key, "poll-interval") == 0)
        return read_number(value, &behaviour->poll_interval_sec);
    if (strcmp(key, "wrong-size") == 0)
        return read_flag(value, &behaviour->lies_about_size);
    if (strcmp(key, "wrong-hash") == 0)
        return read_flag(value, &behaviour->lies_about_hash);
    return -EINVAL;
}

static int read_rules(json_t *object, Rules *rules, ErrorText *error)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return error_say(error, -EINVAL, "behaviour: not a JSON object");
    json_object_foreach (object, key, value)
        if (read_key(key, value, rules) < 0)
            return error_say(
                    error, -EINVAL, "behaviour: no such key, or not a value for it: %.40s", key);
    return 0;
}

int behaviour_add_switch(json_t *object, const char *text, ErrorText *error)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return error_say(error, -EINVAL, "--misbehave wants KEY=VALUE, not '%.60s'", text);
    _cleanup_free_ char *key = strndup(text, (size_t)(equals - text));
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
    if (!value)
        value = json_string(equals + 1);
    if (!key || !value || json_object_set_new(object, key, value) < 0)
        return error_say(error, -ENOMEM, "out of memory, or not UTF-8: '%.60s'", text);
    return 0;
}

int behaviour_source_new(
        json_t *base, const char *path, BehaviourSource **ret_source, ErrorText *error)
{
    _cleanup_(behaviour_source_freep) BehaviourSource *source = calloc(1, sizeof(*source));
    if (!source) {
        json_decref(base);
        return error_say(error, -ENOMEM, "out of memory");
    }
    pthread_mutex_init(&source->lock, NULL);
    source->base = base ? base : json_object();
    source->path = path ? strdup(path) : NULL;
    if (!source->base || (path && !source->path))
        return error_say(error, -ENOMEM, "out of memory");
    Rules rules = {};
    int r = read_rules(source->base, &rules, error);
    if (r < 0)
        return r;
    *ret_source = TAKE_PTR(source);
    return 0;
}

void behaviour_source_free(BehaviourSource *source)
{
    if (!source)
        return;
    json_decref(source->base);
    free(source->path);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

/* Overlays the file's keys and starts counting anew when it is not the file of last time. */
static int read_file_rules(BehaviourSource *source, Rules *rules, ErrorText *error)
{
    struct stat st;
    _cleanup_free_ char *text = NULL;
    size_t n_bytes = 0;
    FileIdentity identity = {};
    if (stat(source->path, &st) >= 0)
        identity = (FileIdentity){st.st_ino, st.st_size, st.st_mtim};
    if (identity.inode != source->identity.inode ||
            identity.size_bytes != source->identity.size_bytes ||
            identity.modified.tv_sec != source->identity.modified.tv_sec ||
            identity.modified.tv_nsec != source->identity.modified.tv_nsec) {
        source->identity = identity;
        source->n_omaha_taken = source->n_payload_taken = 0;
    }
    int r = fd_read_file(AT_FDCWD, source->path, FILE_MAX_BYTES, &text, &n_bytes);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return error_say(error, r, "behaviour: cannot read %s: %s", source->path, strerror(-r));

    json_error_t where;
    json_t *object = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!object)
        return error_say(
                error, -EINVAL, "behaviour: %s, line %d: %s", source->path, where.line, where.text);
    r = read_rules(object, rules, error);
    json_decref(object);
    return r;
}

/* Whether a request of this kind is concerned by what the rules have against its kind. */
static bool is_concerned(const Behaviour *behaviour, BehaviourFor kind)
{
    if (kind == BEHAVIOUR_FOR_PAYLOAD)
        return behaviour->payload != PAYLOAD_FAULT_NONE;
    bool is_check = kind == BEHAVIOUR_FOR_CHECK;
    if (is_check &&
            (behaviour->app_status[0] || behaviour->lies_about_size || behaviour->lies_about_hash))
        return true;
    return behaviour->omaha > OMAHA_FAULT_NO_MANIFEST ||
           (is_check && behaviour->omaha != OMAHA_FAULT_NONE);
}

static void behave(Behaviour *behaviour)
{
    *behaviour = (Behaviour){
            .bytes_per_second = behaviour->bytes_per_second,
            .poll_interval_sec = behaviour->poll_interval_sec,
    };
}

int behaviour_source_next(
        BehaviourSource *source, BehaviourFor kind, Behaviour *ret_behaviour, ErrorText *error)
{
    Rules rules = {};
    pthread_mutex_lock(&source->lock);
    int r = read_rules(source->base, &rules, error);
    if (r >= 0 && source->path)
        r = read_file_rules(source, &rules, error);
    if (r >= 0) {
        uint64_t *n_taken =
                kind == BEHAVIOUR_FOR_PAYLOAD ? &source->n_payload_taken : &source->n_omaha_taken;
        if (!is_concerned(&rules.behaviour, kind) || (rules.has_times && *n_taken >= rules.times))
            behave(&rules.behaviour);
        else
            (*n_taken)++;
    }
    pthread_mutex_unlock(&source->lock);
    if (r < 0)
        return r;
    *ret_behaviour = rules.behaviour;
    return 0;
}
