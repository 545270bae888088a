/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/settling.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_BYTES 4096

typedef struct {
    Settling *settling;
    WorkerJob job;
    size_t operation;
    uint8_t *chunk; /* is read back into it */
    UpdateError code;
    ErrorText error;
} Settler;

struct Settling {
    WorkerPool *pool;
    const OperationPlace *place;
    size_t n_operations;
    void (*on_change)(void *userdata);
    void *userdata;
    Settler settlers[SETTLING_JOBS];
    size_t *operations; /* in the order in which they were applied; from the end on, those of an
                           earlier install */
    size_t n_applied, n_applied_taken;
    size_t n_resumed, n_resumed_taken;
    size_t n_settled;
    UpdateError code;
    ErrorText error;
};

/* In a worker thread. */
static void run_settler(void *userdata)
{
    Settler *settler = userdata;
    const OperationPlace *place = settler->settling->place;
    settler->code = operation_run_settle(place, &place->manifest->operations[settler->operation],
            settler->chunk, &settler->error);
}

static void on_settled(void *userdata)
{
    Settler *settler = userdata;
    Settling *settling = settler->settling;
    if (settler->code == UPDATE_OK) {
        settling->n_settled++;
    } else if (settling->code == UPDATE_OK) {
        settling->code = settler->code;
        settling->error = settler->error;
    }
    settling->on_change(settling->userdata);
}

static size_t n_waiting(const Settling *settling)
{
    return settling->n_applied - settling->n_applied_taken;
}

/* The next operation, if it is time. */
static bool take_operation(Settling *settling, bool is_idle, size_t *ret_operation)
{
    size_t n = n_waiting(settling);
    if (n > SETTLING_WAITING_MAX / 2 || (n > 0 && is_idle)) {
        *ret_operation = settling->operations[settling->n_applied_taken++];
        return true;
    }
    if (settling->n_resumed_taken == settling->n_resumed)
        return false;
    *ret_operation = settling->operations[settling->n_operations - ++settling->n_resumed_taken];
    return true;
}

void settling_pump(Settling *settling, bool is_idle)
{
    for (size_t i = 0; settling->code == UPDATE_OK && i < SETTLING_JOBS; i++) {
        Settler *settler = &settling->settlers[i];
        if (settler->job.is_busy)
            continue;
        if (!take_operation(settling, is_idle, &settler->operation))
            return;
        worker_pool_submit(settling->pool, &settler->job);
    }
}

void settling_add_resumed(Settling *settling, size_t operation)
{
    settling->operations[settling->n_operations - ++settling->n_resumed] = operation;
}

void settling_add(Settling *settling, size_t operation)
{
    settling->operations[settling->n_applied++] = operation;
}

bool settling_is_full(const Settling *settling)
{
    return n_waiting(settling) >= SETTLING_WAITING_MAX;
}

bool settling_is_complete(const Settling *settling)
{
    return settling->n_settled == settling->n_operations;
}

bool settling_is_busy(const Settling *settling)
{
    for (size_t i = 0; i < SETTLING_JOBS; i++)
        if (settling->settlers[i].job.is_busy)
            return true;
    return false;
}

UpdateError settling_failure(const Settling *settling, ErrorText *ret_error)
{
    *ret_error = settling->error;
    return settling->code;
}

int settling_new(WorkerPool *pool, const OperationPlace *place, size_t n_operations,
        void (*on_change)(void *userdata), void *userdata, Settling **ret_settling)
{
    _cleanup_(settling_freep) Settling *settling = calloc(1, sizeof(*settling));
    if (!settling)
        return -ENOMEM;
    *settling = (Settling){
            .pool = pool,
            .place = place,
            .n_operations = n_operations,
            .on_change = on_change,
            .userdata = userdata,
            .operations = calloc(n_operations + 1, sizeof(*settling->operations)),
            .code = UPDATE_OK,
    };
    if (!settling->operations)
        return -ENOMEM;
    for (size_t i = 0; i < SETTLING_JOBS; i++) {
        Settler *settler = &settling->settlers[i];
        settler->settling = settling;
        settler->job = (WorkerJob){.run = run_settler, .on_done = on_settled, .userdata = settler};
        settler->chunk = aligned_alloc(PAGE_BYTES, READ_BACK_CHUNK_BYTES);
        if (!settler->chunk)
            return -ENOMEM;
    }
    *ret_settling = TAKE_PTR(settling);
    return 0;
}

void settling_free(Settling *settling)
{
    if (!settling)
        return;
    for (size_t i = 0; i < SETTLING_JOBS; i++)
        free(settling->settlers[i].chunk);
    free(settling->operations);
    free(settling);
}
