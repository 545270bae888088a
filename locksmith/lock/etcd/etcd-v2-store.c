/* SPDX-License-Identifier: Apache-2.0 */

/* The semaphore in etcd's v2 keys, where Go locksmith's hosts find it: the same key, the same
 * document, the same requests. v2 has no transactions: the facts of holders are read and written
 * after the semaphore, each within a short time, and when that fails nobody misses them. */

#include <string.h>

#include "common/clock.h"
#include "locksmith/lock/etcd/etcd-content.h"
#include "locksmith/lock/etcd/etcd-store-private.h"
#include "locksmith/lock/etcd/etcd-v2-answer.h"
#include "locksmith/lock/etcd/etcd-v2-request.h"
#include "locksmith/lock/etcd/etcd-watch.h"
#include "locksmith/lock/lock-key.h"

#define FACTS_USEC (3 * USEC_PER_SEC)

typedef struct {
    StoreCall call; /* first */
    EtcdStore *store;
    EtcdCall *ask;
    EtcdV2Answer semaphore;
    EtcdV2Answer facts;
    EtcdV2Answer *judged; /* which of them the answer under way is */
    char *put_path;       /* what is left to do after a swap; NULL: nothing */
    char *put_body;
    char *drop_path;
    StoreDone on_done;
    StoreListed on_listed;
    void *userdata;
} V2Call;

/* calls in general */

static void v2_call_free(StoreCall *store_call)
{
    V2Call *call = (V2Call *)store_call;
    etcd_call_free(call->ask);
    etcd_v2_answer_done(&call->semaphore);
    etcd_v2_answer_done(&call->facts);
    free(call->put_path);
    free(call->put_body);
    free(call->drop_path);
    free(call);
}

static V2Call *v2_call_new(EtcdStore *store, void *userdata)
{
    V2Call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->call.free = v2_call_free;
    call->store = store;
    call->judged = &call->semaphore;
    call->userdata = userdata;
    return call;
}

static EtcdVerdict judge(
        unsigned status, const char *body, size_t n_bytes, void *userdata, ErrorText *error)
{
    V2Call *call = userdata;
    etcd_v2_answer_done(call->judged);
    EtcdVerdict verdict = etcd_v2_read_answer(status, body, n_bytes, call->judged, error);
    if (verdict != ETCD_DONE || call->judged->outcome != ETCD_V2_OUTDATED)
        return verdict;
    error_say(error, 0, "its answer is none to what was asked");
    return ETCD_UNCLEAR;
}

static int ask(V2Call *call, const EtcdRequest *request, const EtcdHandlers *handlers)
{
    etcd_call_free(TAKE_PTR(call->ask));
    return etcd_call_new(call->store->session, request, handlers, call, &call->ask);
}

static void give(V2Call *call, StoreResult result, const StoreContent *content, const char *error)
{
    call->on_done(&call->call, &(StoreAnswer){.result = result, .content = content, .error = error},
            call->userdata);
}

/* read */

/* Gives what there is of the semaphore and the facts. */
static void give_content(V2Call *call)
{
    _cleanup_(etcd_content_done) EtcdContent kept = {.facts = NULL};
    StoreContent content = {.document = ""};
    if (call->semaphore.outcome == ETCD_V2_FOUND && call->semaphore.n_nodes == 1) {
        const EtcdV2Node *node = &call->semaphore.nodes[0];
        content.exists = true;
        content.document = node->value;
        content.n_bytes = strlen(node->value);
        content.revision = node->modified_index;
    }
    int r = 0;
    for (size_t i = 0; r >= 0 && i < call->facts.n_nodes; i++) {
        const EtcdV2Node *node = &call->facts.nodes[i];
        r = etcd_content_add_facts(&kept, call->store->group, node->key, strlen(node->key),
                node->value, strlen(node->value));
    }
    content.facts = kept.facts;
    content.n_facts = r < 0 ? 0 : kept.n_facts;
    give(call, STORE_DONE, &content, "");
}

static void on_facts_read(
        EtcdCall *asked, StoreResult result, unsigned n_sends, const char *error, void *userdata)
{
    (void)asked;
    (void)result;
    (void)n_sends;
    (void)error;
    give_content(userdata);
}

static void on_semaphore_read(
        EtcdCall *asked, StoreResult result, unsigned n_sends, const char *error, void *userdata)
{
    (void)asked;
    (void)n_sends;
    static const EtcdHandlers handlers = {.judge = judge, .on_done = on_facts_read};
    V2Call *call = userdata;
    _cleanup_free_ char *path = NULL;
    if (result != STORE_DONE) {
        give(call, result, NULL, error);
        return;
    }
    if (call->semaphore.outcome == ETCD_V2_FOUND && call->semaphore.n_nodes != 1) {
        give(call, STORE_REFUSED, NULL,
                "the semaphore's key is a folder in etcd: remove it (etcdctl rm --recursive)");
        return;
    }
    call->judged = &call->facts;
    if (call->semaphore.outcome != ETCD_V2_FOUND ||
            etcd_v2_path_of_folder(call->store->facts_folder, &path) < 0 ||
            ask(call, &(EtcdRequest){.path = path, .limit_usec = FACTS_USEC}, &handlers) < 0)
        give_content(call);
}

static int v2_read(LockStore *lock_store, StoreDone on_done, void *userdata, StoreCall **ret_call)
{
    static const EtcdHandlers handlers = {.judge = judge, .on_done = on_semaphore_read};
    EtcdStore *store = (EtcdStore *)lock_store;
    V2Call *call = v2_call_new(store, userdata);
    if (!call)
        return -ENOMEM;
    _cleanup_(store_call_freep) StoreCall *guard = &call->call;
    _cleanup_free_ char *path = NULL;
    call->on_done = on_done;
    int r = etcd_v2_path_of_key(store->key, &path);
    if (r >= 0)
        r = ask(call, &(EtcdRequest){.path = path}, &handlers);
    if (r < 0)
        return r;
    *ret_call = TAKE_PTR(guard);
    return 0;
}

/* swap, and the facts after it */

static void go_on_after_swap(V2Call *call);

static void on_facts_written(
        EtcdCall *asked, StoreResult result, unsigned n_sends, const char *error, void *userdata)
{
    (void)asked;
    (void)result;
    (void)n_sends;
    (void)error;
    go_on_after_swap(userdata);
}

static void go_on_after_swap(V2Call *call)
{
    static const EtcdHandlers handlers = {.judge = judge, .on_done = on_facts_written};
    _cleanup_free_ char *put_path = TAKE_PTR(call->put_path);
    _cleanup_free_ char *drop_path = put_path ? NULL : TAKE_PTR(call->drop_path);
    EtcdRequest put = {
            .method = "PUT", .path = put_path, .body = call->put_body, .limit_usec = FACTS_USEC};
    EtcdRequest drop = {.method = "DELETE", .path = drop_path, .limit_usec = FACTS_USEC};
    call->judged = &call->facts;
    if ((put_path && ask(call, &put, &handlers) >= 0) ||
            (drop_path && ask(call, &drop, &handlers) >= 0))
        return;
    give(call, STORE_DONE, NULL, "");
}

static void on_swapped(
        EtcdCall *asked, StoreResult result, unsigned n_sends, const char *error, void *userdata)
{
    (void)asked;
    V2Call *call = userdata;
    static const StoreContent nothing = {.document = ""};
    bool is_missing = call->semaphore.outcome == ETCD_V2_MISSING;
    if (result != STORE_DONE)
        give(call, result, NULL, error);
    else if (call->semaphore.outcome == ETCD_V2_FOUND)
        go_on_after_swap(call);
    else if (n_sends > 1) /* a conflict is only sure when it was sent once: see etcd-session.h */
        give(call, STORE_UNKNOWN, NULL, "the connection broke, and the second try found a change");
    else
        give(call, STORE_CONFLICT, is_missing ? &nothing : NULL, "somebody else was faster");
}

static int prepare_facts(V2Call *call, const StoreSwap *swap)
{
    _cleanup_free_ char *put_key = NULL;
    _cleanup_free_ char *drop_key = NULL;
    int r = etcd_store_facts_keys(call->store, swap, &put_key, &drop_key);
    if (r >= 0 && put_key)
        r = etcd_v2_path_of_any(put_key, &call->put_path);
    if (r >= 0 && put_key)
        r = etcd_v2_form(swap->facts, &call->put_body);
    if (r >= 0 && drop_key)
        r = etcd_v2_path_of_any(drop_key, &call->drop_path);
    return r;
}

static int v2_swap(LockStore *lock_store, const StoreSwap *swap, StoreDone on_done, void *userdata,
        StoreCall **ret_call)
{
    static const EtcdHandlers handlers = {.judge = judge, .on_done = on_swapped};
    EtcdStore *store = (EtcdStore *)lock_store;
    V2Call *call = v2_call_new(store, userdata);
    if (!call)
        return -ENOMEM;
    _cleanup_(store_call_freep) StoreCall *guard = &call->call;
    _cleanup_free_ char *path = NULL;
    _cleanup_free_ char *body = NULL;
    call->on_done = on_done;
    int r = prepare_facts(call, swap);
    if (r >= 0)
        r = etcd_v2_path_of_swap(store->key, swap->revision, &path);
    if (r >= 0)
        r = etcd_v2_form(swap->document, &body);
    if (r >= 0)
        r = ask(call, &(EtcdRequest){.method = "PUT", .path = path, .body = body, .is_write = true},
                &handlers);
    if (r < 0)
        return r;
    *ret_call = TAKE_PTR(guard);
    return 0;
}

/* list */

static void on_list(
        EtcdCall *asked, StoreResult result, unsigned n_sends, const char *error, void *userdata)
{
    (void)asked;
    (void)n_sends;
    V2Call *call = userdata;
    _cleanup_(etcd_content_done) EtcdContent kept = {.facts = NULL};
    for (size_t i = 0; result == STORE_DONE && i < call->semaphore.n_nodes; i++) {
        const char *key = call->semaphore.nodes[i].key;
        if (etcd_content_add_name(&kept, key, strlen(key)) < 0) {
            result = STORE_UNREACHABLE;
            error = "out of memory";
        }
    }
    call->on_listed(&call->call, &(StoreAnswer){.result = result, .error = error},
            (const char *const *)kept.names, result == STORE_DONE ? kept.n_names : 0,
            call->userdata);
}

static int v2_list(LockStore *lock_store, StoreListed on_done, void *userdata, StoreCall **ret_call)
{
    static const EtcdHandlers handlers = {.judge = judge, .on_done = on_list};
    EtcdStore *store = (EtcdStore *)lock_store;
    V2Call *call = v2_call_new(store, userdata);
    if (!call)
        return -ENOMEM;
    _cleanup_(store_call_freep) StoreCall *guard = &call->call;
    _cleanup_free_ char *path = NULL;
    call->on_listed = on_done;
    int r = etcd_v2_path_of_folder(LOCK_KEY_ROOT, &path);
    if (r >= 0)
        r = ask(call, &(EtcdRequest){.path = path}, &handlers);
    if (r < 0)
        return r;
    *ret_call = TAKE_PTR(guard);
    return 0;
}

/* watch */

static int make_look(const char *key, char **ret_path, char **ret_body)
{
    *ret_body = NULL;
    return etcd_v2_path_of_key(key, ret_path);
}

static EtcdVerdict read_look(unsigned status, const char *body, size_t n_bytes,
        uint64_t *ret_revision, uint64_t *ret_next, ErrorText *error)
{
    _cleanup_(etcd_v2_answer_done) EtcdV2Answer answer = {.nodes = NULL};
    EtcdVerdict verdict = etcd_v2_read_answer(status, body, n_bytes, &answer, error);
    if (verdict != ETCD_DONE)
        return verdict;
    bool is_there = answer.outcome == ETCD_V2_FOUND && answer.n_nodes > 0;
    *ret_revision = is_there ? answer.nodes[0].modified_index : 0;
    *ret_next = (is_there ? answer.nodes[0].modified_index : answer.index) + 1;
    return ETCD_DONE;
}

static int make_wait(const char *key, uint64_t next, char **ret_path, char **ret_body)
{
    *ret_body = NULL;
    return etcd_v2_path_of_wait(key, next, ret_path);
}

static int v2_watch(LockStore *lock_store, uint64_t revision, void (*on_change)(void *userdata),
        void *userdata, StoreWatch **ret_watch)
{
    static const EtcdWatchOps ops = {
            .make_look = make_look,
            .read_look = read_look,
            .make_wait = make_wait,
            .read_news = etcd_v2_read_news,
    };
    EtcdStore *store = (EtcdStore *)lock_store;
    return etcd_watch_new(
            store->session, &ops, store->key, revision, on_change, userdata, ret_watch);
}

/* making */

int etcd_v2_store_new(sd_event *event, HttpClient *client, const LockOptions *options,
        LockStore **ret_store, ErrorText *error)
{
    static const LockStoreOps ops = {
            .read = v2_read,
            .swap = v2_swap,
            .list = v2_list,
            .watch = v2_watch,
            .free = etcd_store_free,
    };
    return etcd_store_new(event, client, options, LOCK_STORE_ETCD_V2, &ops, ret_store, error);
}
