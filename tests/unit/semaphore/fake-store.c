/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/semaphore/fake-store.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    StoreCall base; /* first */
    FakeStore *store;
    sd_event_source *defer;
    StoreResult result;
    bool has_content;
    bool is_late_due;
    StoreContent content;
    StoreFacts facts;
    char *document; /* content's own: it is gone with the call */
    StoreDone on_done;
    StoreListed on_listed;
    void *userdata;
} FakeCall;

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

void fake_store_put(FakeStore *store, const char *document)
{
    char *old = store->document;
    store->document = copy(document);
    store->revision++;
    free(old);
}

static void call_free(StoreCall *base)
{
    FakeCall *call = (FakeCall *)base;
    call->store->n_calls--;
    sd_event_source_disable_unref(call->defer);
    free(call->document);
    free(call);
}

static void look(FakeCall *call, bool with_facts)
{
    FakeStore *store = call->store;
    call->has_content = true;
    call->document = copy(store->document);
    call->content = (StoreContent){
            .exists = call->document != NULL,
            .document = call->document,
            .n_bytes = call->document ? strlen(call->document) : 0,
            .revision = call->document ? store->revision : 0,
    };
    if (with_facts && store->facts_id) {
        call->facts = (StoreFacts){.id = store->facts_id,
                .text = store->facts_text,
                .n_bytes = strlen(store->facts_text)};
        call->content.facts = &call->facts;
        call->content.n_facts = 1;
    }
}

static const char *error_of(StoreResult result)
{
    switch (result) {
    case STORE_DONE:
        return "";
    case STORE_CONFLICT:
        return "conflict";
    case STORE_UNKNOWN:
        return "the answer was lost";
    case STORE_UNREACHABLE:
        return "nobody is there";
    case STORE_REFUSED:
        return "not allowed";
    }
    return NULL;
}

static int on_defer(sd_event_source *source, void *userdata)
{
    (void)source;
    FakeCall *call = userdata;
    FakeStore *store = call->store;
    static const char *const names[] = {"", "a/b"};
    StoreAnswer answer = {.result = call->result,
            .content = call->has_content ? &call->content : NULL,
            .error = error_of(call->result)};
    if (call->is_late_due && store->late) {
        if (store->late_revision == store->revision)
            fake_store_put(store, store->late);
        free(store->late);
        store->late = NULL;
    }
    if (call->on_listed)
        call->on_listed(&call->base, &answer, names, 2, call->userdata);
    else
        call->on_done(&call->base, &answer, call->userdata);
    return 0;
}

static FakeCall *make_call(FakeStore *store, StoreResult result, void *userdata)
{
    FakeCall *call = calloc(1, sizeof(*call));
    call->base.free = call_free;
    call->store = store;
    call->result = result;
    call->userdata = userdata;
    store->n_calls++;
    ck_assert_int_ge(sd_event_add_defer(store->event, &call->defer, on_defer, call), 0);
    return call;
}

static FakeStep next_step(FakeStore *store)
{
    unsigned n = store->n_reads + store->n_swaps;
    FakeStep step = n < FAKE_MAX_STEPS ? store->steps[n] : FAKE_OK;
    if (step == FAKE_RIVAL || step == FAKE_RIVAL_HIDDEN) {
        char *document = copy(store->rival ? store->rival : store->document);
        fake_store_put(store, document);
        free(document);
    }
    return step;
}

static int fake_read(LockStore *base, StoreDone on_done, void *userdata, StoreCall **ret_call)
{
    FakeStore *store = (FakeStore *)base;
    FakeStep step = next_step(store);
    store->n_reads++;
    if (step == FAKE_NO_MEMORY)
        return -ENOMEM;
    StoreResult result = step == FAKE_REFUSED       ? STORE_REFUSED
                         : step == FAKE_UNREACHABLE ? STORE_UNREACHABLE
                                                    : STORE_DONE;
    FakeCall *call = make_call(store, result, userdata);
    call->on_done = on_done;
    if (result == STORE_DONE)
        look(call, true);
    call->is_late_due = true;
    if (step == FAKE_HANG)
        sd_event_source_set_enabled(call->defer, SD_EVENT_OFF);
    *ret_call = &call->base;
    return 0;
}

static void write_facts(FakeStore *store, const StoreSwap *swap)
{
    ck_assert(!swap->put_facts_of || !swap->drop_facts_of);
    if (!swap->put_facts_of && !swap->drop_facts_of)
        return;
    free(store->facts_id);
    free(store->facts_text);
    store->facts_id = copy(swap->put_facts_of);
    store->facts_text = copy(swap->facts);
}

static StoreResult do_swap(FakeStore *store, FakeStep step, const StoreSwap *swap)
{
    uint64_t revision = store->document ? store->revision : 0;
    if (step == FAKE_UNREACHABLE)
        return STORE_UNREACHABLE;
    if (step == FAKE_REFUSED)
        return STORE_REFUSED;
    if (step == FAKE_LOST_REQUEST || step == FAKE_HANG)
        return STORE_UNKNOWN;
    if (step == FAKE_LATE) {
        store->late = strndup(swap->document, swap->n_bytes);
        store->late_revision = store->revision;
        return STORE_UNKNOWN;
    }
    if (revision != swap->revision)
        return STORE_CONFLICT;
    fake_store_put(store, swap->document);
    write_facts(store, swap);
    return step == FAKE_LOST_REPLY ? STORE_UNKNOWN : STORE_DONE;
}

static int fake_swap(LockStore *base, const StoreSwap *swap, StoreDone on_done, void *userdata,
        StoreCall **ret_call)
{
    FakeStore *store = (FakeStore *)base;
    FakeStep step = next_step(store);
    if (store->has_endless_rivals)
        fake_store_put(store, store->document);
    store->n_swaps++;
    ck_assert_uint_eq(strlen(swap->document), swap->n_bytes);
    if (step == FAKE_NO_MEMORY)
        return -ENOMEM;
    FakeCall *call = make_call(store, do_swap(store, step, swap), userdata);
    call->on_done = on_done;
    if (call->result == STORE_CONFLICT && step != FAKE_RIVAL_HIDDEN)
        look(call, false);
    if (step == FAKE_HANG || step == FAKE_LOST_HANG)
        sd_event_source_set_enabled(call->defer, SD_EVENT_OFF);
    *ret_call = &call->base;
    return 0;
}

static int fake_list(LockStore *base, StoreListed on_done, void *userdata, StoreCall **ret_call)
{
    FakeStore *store = (FakeStore *)base;
    FakeStep step = next_step(store);
    store->n_lists++;
    StoreResult result = step == FAKE_REFUSED       ? STORE_REFUSED
                         : step == FAKE_UNREACHABLE ? STORE_UNREACHABLE
                                                    : STORE_DONE;
    FakeCall *call = make_call(store, result, userdata);
    call->on_listed = on_done;
    *ret_call = &call->base;
    return 0;
}

typedef struct {
    StoreWatch base; /* first */
    FakeStore *store;
} FakeWatch;

static void fake_watch_free(StoreWatch *base)
{
    FakeWatch *watch = (FakeWatch *)base;
    watch->store->n_watches--;
    free(watch);
}

static int fake_watch(LockStore *base, uint64_t revision, void (*on_change)(void *userdata),
        void *userdata, StoreWatch **ret_watch)
{
    FakeStore *store = (FakeStore *)base;
    FakeWatch *watch = calloc(1, sizeof(*watch));
    watch->base.free = fake_watch_free;
    watch->store = store;
    store->n_watches++;
    store->watched_revision = revision;
    store->on_change = on_change;
    store->watch_userdata = userdata;
    *ret_watch = &watch->base;
    return 0;
}

static void fake_free(LockStore *base)
{
    FakeStore *store = (FakeStore *)base;
    ck_assert_uint_eq(store->n_calls, 0);
    ck_assert_uint_eq(store->n_watches, 0);
    sd_event_unref(store->event);
    free(store->document);
    free(store->facts_id);
    free(store->facts_text);
    free(store->late);
    free(store);
}

FakeStore *fake_store_new(sd_event *event)
{
    static const LockStoreOps ops = {.read = fake_read,
            .swap = fake_swap,
            .list = fake_list,
            .watch = fake_watch,
            .free = fake_free};
    FakeStore *store = calloc(1, sizeof(*store));
    store->base.ops = &ops;
    store->event = sd_event_ref(event);
    store->revision = 10;
    return store;
}
