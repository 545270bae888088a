/* SPDX-License-Identifier: Apache-2.0 */

/* The semaphore and the facts of holders in etcd v3. A read is one transaction, so that both are of
 * the same revision, and linearizable; a swap is one, too. */

#include <string.h>

#include "locksmith/lock/etcd/etcd-content.h"
#include "locksmith/lock/etcd/etcd-store-private.h"
#include "locksmith/lock/etcd/etcd-v3-answer.h"
#include "locksmith/lock/etcd/etcd-v3-request.h"
#include "locksmith/lock/etcd/etcd-watch.h"
#include "locksmith/lock/lock-key.h"

typedef struct V3Call V3Call;
struct V3Call {
    StoreCall call; /* first */
    EtcdStore *store;
    EtcdCall *ask;
    size_t n_ranges; /* that the answer must have, at least */
    EtcdV3Answer answer;
    StoreDone on_done;
    StoreListed on_listed;
    void *userdata;
};

/* calls in general */

static void v3_call_free(StoreCall *store_call)
{
    V3Call *call = (V3Call *)store_call;
    etcd_call_free(call->ask);
    etcd_v3_answer_done(&call->answer);
    free(call);
}

static EtcdVerdict judge(
        unsigned status, const char *body, size_t n_bytes, void *userdata, ErrorText *error)
{
    V3Call *call = userdata;
    etcd_v3_answer_done(&call->answer);
    EtcdVerdict verdict = etcd_v3_read_answer(status, body, n_bytes, &call->answer, error);
    if (verdict != ETCD_DONE || call->answer.n_ranges >= call->n_ranges || call->answer.is_swapped)
        return verdict;
    error_say(error, 0, "its answer lacks what was asked for");
    return ETCD_UNCLEAR;
}

/* Starts it; request->body is not kept. */
static int v3_call_start(EtcdStore *store, const V3Call *values, const EtcdRequest *request,
        const EtcdHandlers *handlers, StoreCall **ret_call)
{
    V3Call *call = malloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    *call = *values;
    call->call.free = v3_call_free;
    call->store = store;
    _cleanup_(store_call_freep) StoreCall *guard = &call->call;
    int r = etcd_call_new(store->session, request, handlers, call, &call->ask);
    if (r < 0)
        return r;
    *ret_call = TAKE_PTR(guard);
    return 0;
}

static void give(V3Call *call, StoreResult result, const StoreContent *content, const char *error)
{
    call->on_done(&call->call, &(StoreAnswer){.result = result, .content = content, .error = error},
            call->userdata);
}

/* Reads what the answer's pairs are. */
static int read_content(const V3Call *call, EtcdContent *kept, StoreContent *content)
{
    const EtcdStore *store = call->store;
    *content = (StoreContent){.document = ""};
    for (size_t i = 0; i < call->answer.n_pairs; i++) {
        const EtcdV3Pair *pair = &call->answer.pairs[i];
        if (pair->n_key_bytes == strlen(store->key) && strcmp(pair->key, store->key) == 0) {
            content->exists = true;
            content->document = pair->value;
            content->n_bytes = pair->n_value_bytes;
            content->revision = pair->mod_revision;
            continue;
        }
        int r = etcd_content_add_facts(
                kept, store->group, pair->key, pair->n_key_bytes, pair->value, pair->n_value_bytes);
        if (r < 0)
            return r;
    }
    content->facts = kept->facts;
    content->n_facts = kept->n_facts;
    return 0;
}

/* read and swap */

static void on_read(
        EtcdCall *ask, StoreResult result, unsigned n_sends, const char *error, void *userdata)
{
    (void)ask;
    (void)n_sends;
    V3Call *call = userdata;
    _cleanup_(etcd_content_done) EtcdContent kept = {.facts = NULL};
    StoreContent content;
    if (result == STORE_DONE && read_content(call, &kept, &content) < 0) {
        result = STORE_UNREACHABLE;
        error = "out of memory";
    }
    give(call, result, result == STORE_DONE ? &content : NULL, error);
}

static int v3_read(LockStore *lock_store, StoreDone on_done, void *userdata, StoreCall **ret_call)
{
    static const EtcdHandlers handlers = {.judge = judge, .on_done = on_read};
    EtcdStore *store = (EtcdStore *)lock_store;
    _cleanup_free_ char *body = NULL;
    int r = etcd_v3_format_read(store->key, store->facts_folder, &body);
    if (r < 0)
        return r;
    return v3_call_start(store, &(V3Call){.n_ranges = 2, .on_done = on_done, .userdata = userdata},
            &(EtcdRequest){.path = ETCD_V3_TXN, .body = body}, &handlers, ret_call);
}

/* A conflict is only sure when the swap was sent once: see etcd-session.h. */
static void on_swapped(
        EtcdCall *ask, StoreResult result, unsigned n_sends, const char *error, void *userdata)
{
    (void)ask;
    V3Call *call = userdata;
    _cleanup_(etcd_content_done) EtcdContent kept = {.facts = NULL};
    StoreContent content;
    if (result != STORE_DONE || call->answer.is_swapped)
        give(call, result, NULL, error);
    else if (n_sends > 1)
        give(call, STORE_UNKNOWN, NULL, "the connection broke, and the second try found a change");
    else if (read_content(call, &kept, &content) < 0)
        give(call, STORE_CONFLICT, NULL, "somebody else was faster");
    else
        give(call, STORE_CONFLICT, &content, "somebody else was faster");
}

static int v3_swap(LockStore *lock_store, const StoreSwap *swap, StoreDone on_done, void *userdata,
        StoreCall **ret_call)
{
    static const EtcdHandlers handlers = {.judge = judge, .on_done = on_swapped};
    EtcdStore *store = (EtcdStore *)lock_store;
    _cleanup_free_ char *put_key = NULL;
    _cleanup_free_ char *drop_key = NULL;
    _cleanup_free_ char *body = NULL;
    /* etcd takes no key twice in one transaction. */
    int r = etcd_store_facts_keys(store, swap, &put_key, &drop_key);
    if (r >= 0)
        r = etcd_v3_format_swap(store->key, swap, put_key, drop_key, &body);
    if (r < 0)
        return r;
    return v3_call_start(store, &(V3Call){.n_ranges = 1, .on_done = on_done, .userdata = userdata},
            &(EtcdRequest){.path = ETCD_V3_TXN, .body = body, .is_write = true}, &handlers,
            ret_call);
}

/* list */

static void on_list(
        EtcdCall *ask, StoreResult result, unsigned n_sends, const char *error, void *userdata)
{
    (void)ask;
    (void)n_sends;
    V3Call *call = userdata;
    _cleanup_(etcd_content_done) EtcdContent kept = {.facts = NULL};
    for (size_t i = 0; result == STORE_DONE && i < call->answer.n_pairs; i++)
        if (etcd_content_add_name(
                    &kept, call->answer.pairs[i].key, call->answer.pairs[i].n_key_bytes) < 0) {
            result = STORE_UNREACHABLE;
            error = "out of memory";
        }
    call->on_listed(&call->call, &(StoreAnswer){.result = result, .error = error},
            (const char *const *)kept.names, result == STORE_DONE ? kept.n_names : 0,
            call->userdata);
}

static int v3_list(LockStore *lock_store, StoreListed on_done, void *userdata, StoreCall **ret_call)
{
    static const EtcdHandlers handlers = {.judge = judge, .on_done = on_list};
    _cleanup_free_ char *body = NULL;
    int r = etcd_v3_format_list(LOCK_KEY_ROOT, LOCK_KEY_ROOT_END, &body);
    if (r < 0)
        return r;
    return v3_call_start((EtcdStore *)lock_store,
            &(V3Call){.n_ranges = 1, .on_listed = on_done, .userdata = userdata},
            &(EtcdRequest){.path = ETCD_V3_RANGE, .body = body}, &handlers, ret_call);
}

/* watch */

static int make_look(const char *key, char **ret_path, char **ret_body)
{
    char *path = strdup(ETCD_V3_RANGE);
    int r = path ? etcd_v3_format_look(key, ret_body) : -ENOMEM;
    *ret_path = path;
    return r;
}

static EtcdVerdict read_look(unsigned status, const char *body, size_t n_bytes,
        uint64_t *ret_revision, uint64_t *ret_next, ErrorText *error)
{
    _cleanup_(etcd_v3_answer_done) EtcdV3Answer answer = {0};
    EtcdVerdict verdict = etcd_v3_read_answer(status, body, n_bytes, &answer, error);
    if (verdict != ETCD_DONE)
        return verdict;
    *ret_revision = answer.n_pairs > 0 ? answer.pairs[0].mod_revision : 0;
    *ret_next = answer.revision + 1;
    return ETCD_DONE;
}

static int make_wait(const char *key, uint64_t next, char **ret_path, char **ret_body)
{
    char *path = strdup(ETCD_V3_WATCH);
    int r = path ? etcd_v3_format_watch(key, next, ret_body) : -ENOMEM;
    *ret_path = path;
    return r;
}

static int v3_watch(LockStore *lock_store, uint64_t revision, void (*on_change)(void *userdata),
        void *userdata, StoreWatch **ret_watch)
{
    static const EtcdWatchOps ops = {
            .make_look = make_look,
            .read_look = read_look,
            .make_wait = make_wait,
            .read_news = etcd_v3_read_news,
    };
    EtcdStore *store = (EtcdStore *)lock_store;
    return etcd_watch_new(
            store->session, &ops, store->key, revision, on_change, userdata, ret_watch);
}

/* making */

int etcd_v3_store_new(sd_event *event, HttpClient *client, const LockOptions *options,
        LockStore **ret_store, ErrorText *error)
{
    static const LockStoreOps ops = {
            .read = v3_read,
            .swap = v3_swap,
            .list = v3_list,
            .watch = v3_watch,
            .free = etcd_store_free,
    };
    return etcd_store_new(event, client, options, LOCK_STORE_ETCD_V3, &ops, ret_store, error);
}
