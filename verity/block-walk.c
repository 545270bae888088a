/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/block-walk.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "common/fd-io.h"
#include "common/processors.h"

/* The data is cut into chunks of 1 MiB. Each worker takes the next chunk that nobody has, reads and
 * hashes it, waits until all chunks before have been delivered, and delivers its own. So memory is
 * one chunk a worker, delivery is in order without a queue, and a failure is reported exactly where
 * a single thread would have met it. A chunk that was taken is always carried to its turn, and the
 * lowest one waits for nobody: the workers cannot wait for one another in a circle. */

#define CHUNK_BYTES ((size_t)BLOCK_WALK_CHUNK_BLOCKS * VERITY_BLOCK_BYTES)
#define THREADS_MAX 8
#define PAGE_BYTES 4096

typedef struct {
    const BlockWalk *walk;
    ErrorText *error;
    uint64_t n_chunks;
    pthread_mutex_t lock;
    pthread_cond_t turn_passed;
    uint64_t next_to_take;    /* under lock */
    uint64_t next_to_deliver; /* under lock */
    int result;               /* under lock; negative ends everybody */
} WalkState;

typedef struct {
    WalkState *state;
    pthread_t thread;
    Sha256Stream *stream;
    uint8_t *data; /* CHUNK_BYTES, page-aligned */
    Sha256 digests[BLOCK_WALK_CHUNK_BLOCKS];
} WalkWorker;

static int worker_init(WalkWorker *worker, WalkState *state)
{
    worker->state = state;
    if (posix_memalign((void **)&worker->data, PAGE_BYTES, CHUNK_BYTES) != 0) {
        worker->data = NULL;
        return -ENOMEM;
    }
    return sha256_stream_new(&worker->stream);
}

static void worker_done(WalkWorker *worker)
{
    sha256_stream_free(worker->stream);
    free(worker->data);
}

void block_walk_hash(Sha256Stream *stream, const VerityParameters *parameters, const void *data,
        size_t n_blocks, Sha256 *ret_digests)
{
    const uint8_t *block = data;
    for (size_t i = 0; i < n_blocks; i++, block += VERITY_BLOCK_BYTES) {
        sha256_stream_reset(stream);
        if (parameters->n_salt_bytes > 0)
            sha256_stream_add(stream, parameters->salt, parameters->n_salt_bytes);
        sha256_stream_add(stream, block, VERITY_BLOCK_BYTES);
        sha256_stream_finish(stream, &ret_digests[i]);
    }
}

static size_t chunk_n_blocks(const WalkState *state, uint64_t chunk)
{
    uint64_t first = chunk * BLOCK_WALK_CHUNK_BLOCKS;
    return (size_t)MIN(state->walk->n_blocks - first, (uint64_t)BLOCK_WALK_CHUNK_BLOCKS);
}

static int read_and_hash(WalkWorker *worker, uint64_t chunk)
{
    const BlockWalk *walk = worker->state->walk;
    const VerityRun *run = walk->run;
    if (run->is_cancelled && atomic_load_explicit(run->is_cancelled, memory_order_relaxed))
        return -ECANCELED;

    size_t n_blocks = chunk_n_blocks(worker->state, chunk);
    size_t n_bytes = n_blocks * VERITY_BLOCK_BYTES;
    int r = fd_pread_full(walk->region.fd, worker->data, n_bytes,
            walk->region.offset_bytes + chunk * CHUNK_BYTES);
    if (r < 0)
        return r;
    if (run->n_bytes_done)
        atomic_fetch_add_explicit(run->n_bytes_done, n_bytes, memory_order_relaxed);
    block_walk_hash(worker->stream, walk->parameters, worker->data, n_blocks, worker->digests);
    return 0;
}

/* The worker's turn: nobody else delivers meanwhile. r is what reading the chunk came to. */
static int deliver(WalkWorker *worker, uint64_t chunk, int r)
{
    const BlockWalk *walk = worker->state->walk;
    ErrorText *error = worker->state->error;
    uint64_t first_block = chunk * BLOCK_WALK_CHUNK_BLOCKS;
    size_t n_blocks = chunk_n_blocks(worker->state, chunk);

    if (r == -ECANCELED)
        return error_say(error, r, "cancelled");
    if (r < 0)
        return error_say(error, r, "cannot read %s, blocks %llu to %llu: %s", walk->what,
                (unsigned long long)first_block, (unsigned long long)(first_block + n_blocks - 1),
                strerror(-r));
    if (walk->run->on_data)
        walk->run->on_data(worker->data, n_blocks * VERITY_BLOCK_BYTES, walk->run->userdata);
    return walk->take(first_block, worker->digests, n_blocks, walk->userdata, error);
}

/* Returns false when there is nothing left to do. */
static bool take_chunk(WalkState *state, uint64_t *ret_chunk)
{
    pthread_mutex_lock(&state->lock);
    bool has_chunk = state->result >= 0 && state->next_to_take < state->n_chunks;
    if (has_chunk)
        *ret_chunk = state->next_to_take++;
    pthread_mutex_unlock(&state->lock);
    return has_chunk;
}

/* Returns false when an earlier chunk failed. */
static bool wait_for_turn(WalkState *state, uint64_t chunk)
{
    pthread_mutex_lock(&state->lock);
    while (state->result >= 0 && state->next_to_deliver != chunk)
        pthread_cond_wait(&state->turn_passed, &state->lock);
    bool goes_on = state->result >= 0;
    pthread_mutex_unlock(&state->lock);
    return goes_on;
}

static void pass_turn(WalkState *state, int r)
{
    pthread_mutex_lock(&state->lock);
    if (r < 0)
        state->result = r;
    state->next_to_deliver++;
    pthread_cond_broadcast(&state->turn_passed);
    pthread_mutex_unlock(&state->lock);
}

static void *worker_run(void *userdata)
{
    WalkWorker *worker = userdata;
    WalkState *state = worker->state;
    uint64_t chunk;
    while (take_chunk(state, &chunk)) {
        int r = read_and_hash(worker, chunk);
        if (!wait_for_turn(state, chunk))
            break;
        pass_turn(state, deliver(worker, chunk, r));
    }
    return NULL;
}

static unsigned choose_n_threads(const VerityRun *run, uint64_t n_chunks)
{
    unsigned n = MIN(run->n_threads, (unsigned)THREADS_MAX);
    if (n == 0)
        n = MIN(processors_usable(), (unsigned)THREADS_MAX);
    return (unsigned)MIN((uint64_t)n, n_chunks);
}

/* The calling thread is worker 0. A thread that cannot be made is done without. */
static void run_workers(WalkWorker *workers, unsigned n_workers)
{
    unsigned n_started = 1;
    while (n_started < n_workers &&
            pthread_create(&workers[n_started].thread, NULL, worker_run, &workers[n_started]) == 0)
        n_started++;
    worker_run(&workers[0]);
    for (unsigned i = 1; i < n_started; i++)
        pthread_join(workers[i].thread, NULL);
}

static bool region_fits(const BlockWalk *walk)
{
    uint64_t n_bytes, end;
    return u64_mul(walk->n_blocks, VERITY_BLOCK_BYTES, &n_bytes) &&
           u64_add(walk->region.offset_bytes, n_bytes, &end) && end <= INT64_MAX;
}

int block_walk(const BlockWalk *walk, ErrorText *error)
{
    if (!region_fits(walk) || walk->parameters->n_salt_bytes > VERITY_SALT_MAX_BYTES)
        return error_say(error, -EINVAL,
                "%s: more blocks than a file can have, or a salt over %d"
                " bytes",
                walk->what, VERITY_SALT_MAX_BYTES);

    WalkState state = {
            .walk = walk,
            .error = error,
            .n_chunks = u64_div_round_up(walk->n_blocks, BLOCK_WALK_CHUNK_BLOCKS),
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .turn_passed = PTHREAD_COND_INITIALIZER,
    };
    unsigned n_workers = choose_n_threads(walk->run, state.n_chunks);
    WalkWorker *workers = calloc(MAX(n_workers, 1U), sizeof(*workers));
    int r = workers ? 0 : -ENOMEM;
    for (unsigned i = 0; r >= 0 && i < n_workers; i++)
        r = worker_init(&workers[i], &state);
    if (r < 0)
        error_say(error, r, "out of memory");
    else if (n_workers > 0)
        run_workers(workers, n_workers);
    for (unsigned i = 0; workers && i < n_workers; i++)
        worker_done(&workers[i]);
    free(workers);
    pthread_cond_destroy(&state.turn_passed);
    pthread_mutex_destroy(&state.lock);
    return r < 0 ? r : state.result;
}
