/* SPDX-License-Identifier: Apache-2.0 */

/* The backend and the HTTP client below it are made when they are needed first: a host that never
 * asks for the lock need not carry libcurl. */

#include "locksmith/lock/reboot-lock.h"

#include <string.h>

#include "common/http-client.h"
#include "common/random.h"
#include "locksmith/lock/etcd/etcd-store.h"
#include "locksmith/lock/fleet-lock/fleet-lock.h"
#include "locksmith/lock/lock-backend.h"
#include "locksmith/lock/lock-name.h"
#include "locksmith/lock/semaphore/semaphore-lock.h"
#include "locksmith/lock/tls-files.h"

#define USER_AGENT "locksmith/" FLIPSIDE_VERSION

struct RebootLock {
    sd_event *event;
    LockOptions options; /* its strings are ours */
    HttpClient *client;
    LockBackend *backend; /* or NULL */
    bool is_document_expected;
};

/* options */

static int copy_text(const char *text, const char **ret_copy)
{
    *ret_copy = text ? strdup(text) : NULL;
    return text && !*ret_copy ? -ENOMEM : 0;
}

static int copy_options(const LockOptions *options, LockOptions *ret_copy)
{
    const char **endpoints = calloc(options->n_endpoints, sizeof(*endpoints));
    if (!endpoints)
        return -ENOMEM;
    ret_copy->store = options->store;
    ret_copy->endpoints = endpoints;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < options->n_endpoints; i++) {
        r = copy_text(options->endpoints[i], endpoints + i);
        ret_copy->n_endpoints++;
    }
    r = r < 0 ? r : copy_text(options->group, &ret_copy->group);
    r = r < 0 ? r : copy_text(options->ca_file, &ret_copy->ca_file);
    r = r < 0 ? r : copy_text(options->cert_file, &ret_copy->cert_file);
    r = r < 0 ? r : copy_text(options->key_file, &ret_copy->key_file);
    r = r < 0 ? r : copy_text(options->user, &ret_copy->user);
    return r < 0 ? r : copy_text(options->password, &ret_copy->password);
}

static void free_options(LockOptions *options)
{
    for (size_t i = 0; i < options->n_endpoints; i++)
        free((char *)options->endpoints[i]);
    free((char **)options->endpoints);
    free((char *)options->group);
    free((char *)options->ca_file);
    free((char *)options->cert_file);
    free((char *)options->key_file);
    free((char *)options->user);
    if (options->password)
        explicit_bzero((char *)options->password, strlen(options->password));
    free((char *)options->password);
}

/* backend */

static int make_semaphore_lock(RebootLock *lock, const LockWorld *world, LockBackend **ret_backend)
{
    LockStore *store;
    bool is_v2 = lock->options.store == LOCK_STORE_ETCD_V2;
    int r = is_v2 ? etcd_v2_store_new(lock->event, lock->client, &lock->options, &store, NULL)
                  : etcd_v3_store_new(lock->event, lock->client, &lock->options, &store, NULL);
    return r < 0 ? r : semaphore_lock_new(world, store, ret_backend);
}

static int need_backend(RebootLock *lock)
{
    LockWorld world = {
            .event = lock->event,
            .random_number = random_uint64,
            .deadline_usec = LOCK_DEADLINE_USEC,
            .is_document_expected = lock->is_document_expected,
    };
    if (lock->backend)
        return 0;
    int r = lock->client ? 0 : http_client_new(lock->event, USER_AGENT, &lock->client);
    if (r < 0)
        return r;
    if (lock->options.store == LOCK_STORE_FLEET_LOCK)
        return fleet_lock_new(&world, lock->client, &lock->options, &lock->backend);
    return make_semaphore_lock(lock, &world, &lock->backend);
}

/* calls */

static bool is_acceptable(const RebootLock *lock, const LockRequest *request)
{
    switch (request->kind) {
    case LOCK_REQUEST_ACQUIRE:
        return lock_name_is_id(request->id);
    case LOCK_REQUEST_RELEASE:
        return lock->options.store == LOCK_STORE_FLEET_LOCK ? lock_name_is_id(request->id)
                                                            : request->id[0] != '\0';
    case LOCK_REQUEST_SET_MAX:
        return request->max >= 0;
    case LOCK_REQUEST_STATUS:
    case LOCK_REQUEST_GROUPS:
        break;
    }
    return true;
}

int lock_call_new(RebootLock *lock, const LockRequest *request, LockDone on_done, void *userdata,
        LockCall **ret_call)
{
    int r = is_acceptable(lock, request) ? need_backend(lock) : -EINVAL;
    return r < 0 ? r
                 : lock->backend->ops->call(lock->backend, request, on_done, userdata, ret_call);
}

int lock_watch_new(
        RebootLock *lock, void (*on_change)(void *userdata), void *userdata, LockWatch **ret_watch)
{
    int r = need_backend(lock);
    return r < 0 ? r : lock->backend->ops->watch(lock->backend, on_change, userdata, ret_watch);
}

/* making and freeing */

int reboot_lock_new(
        sd_event *event, const LockOptions *options, RebootLock **ret_lock, ErrorText *error)
{
    int r = lock_options_check(options, error);
    if (r >= 0)
        r = tls_files_check(options, error);
    if (r < 0)
        return r;
    _cleanup_(reboot_lock_freep) RebootLock *lock = calloc(1, sizeof(*lock));
    if (!lock)
        return -ENOMEM;
    lock->event = sd_event_ref(event);
    r = copy_options(options, &lock->options);
    if (r < 0)
        return r;
    *ret_lock = TAKE_PTR(lock);
    return 0;
}

void reboot_lock_expect_document(RebootLock *lock)
{
    lock->is_document_expected = true;
}

void reboot_lock_free(RebootLock *lock)
{
    if (!lock)
        return;
    lock_backend_free(lock->backend);
    http_client_free(lock->client);
    free_options(&lock->options);
    sd_event_unref(lock->event);
    free(lock);
}
