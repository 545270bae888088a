/* SPDX-License-Identifier: Apache-2.0 */

/* Two lists under one mutex: what waits for a thread, and what waits for the loop. A thread that
 * has finished a job adds 1 to an eventfd, which the loop watches. A job's fields are handed over
 * with the mutex, so owners need no locks for what only their job touches. */

#include "updater/install/worker-pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>

#define THREADS_MAX 16

typedef struct {
    WorkerJob *first;
    WorkerJob **end;
} JobList;

struct WorkerPool {
    sd_event *event;
    sd_event_source *source;
    int event_fd;
    pthread_mutex_t mutex;
    pthread_cond_t work_or_end;
    JobList waiting;
    JobList finished;
    bool is_ending;
    pthread_t threads[THREADS_MAX];
    unsigned n_threads;
};

static void job_list_init(JobList *list)
{
    *list = (JobList){.first = NULL, .end = &list->first};
}

static void job_list_append(JobList *list, WorkerJob *job)
{
    job->next = NULL;
    *list->end = job;
    list->end = &job->next;
}

static WorkerJob *job_list_pop(JobList *list)
{
    WorkerJob *job = list->first;
    if (!job)
        return NULL;
    list->first = job->next;
    if (!list->first)
        list->end = &list->first;
    return job;
}

static void *run_jobs(void *userdata)
{
    WorkerPool *pool = userdata;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        if (pool->is_ending)
            break;
        WorkerJob *job = job_list_pop(&pool->waiting);
        if (!job) {
            pthread_cond_wait(&pool->work_or_end, &pool->mutex);
            continue;
        }
        pthread_mutex_unlock(&pool->mutex);
        job->run(job->userdata);
        pthread_mutex_lock(&pool->mutex);
        job_list_append(&pool->finished, job);
        /* Fails only when the counter is full, and then the loop is woken anyway. */
        (void)eventfd_write(pool->event_fd, 1);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* Takes what has finished until now: what finishes meanwhile waits for the loop's next round. */
static WorkerJob *take_finished(WorkerPool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    WorkerJob *first = pool->finished.first;
    job_list_init(&pool->finished);
    pthread_mutex_unlock(&pool->mutex);
    return first;
}

static int on_finished(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)revents;
    WorkerPool *pool = userdata;
    eventfd_t n;
    (void)eventfd_read(fd, &n);
    WorkerJob *next;
    for (WorkerJob *job = take_finished(pool); job; job = next) {
        next = job->next; /* on_done may submit the job again */
        job->is_busy = false;
        job->on_done(job->userdata);
    }
    return 0;
}

static int start_threads(WorkerPool *pool, unsigned n_threads)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    while (r == 0 && pool->n_threads < n_threads) {
        r = pthread_create(&pool->threads[pool->n_threads], NULL, run_jobs, pool);
        if (r == 0)
            pool->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

int worker_pool_new(sd_event *event, unsigned n_threads, WorkerPool **ret_pool)
{
    _cleanup_(worker_pool_freep) WorkerPool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    pool->event = sd_event_ref(event);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work_or_end, NULL);
    job_list_init(&pool->waiting);
    job_list_init(&pool->finished);
    pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->event_fd < 0)
        return -errno;
    int r = sd_event_add_io(event, &pool->source, pool->event_fd, EPOLLIN, on_finished, pool);
    if (r < 0)
        return r;
    r = start_threads(pool, MIN(MAX(n_threads, 1u), (unsigned)THREADS_MAX));
    if (r < 0)
        return r;
    *ret_pool = TAKE_PTR(pool);
    return 0;
}

void worker_pool_free(WorkerPool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->is_ending = true;
    pthread_cond_broadcast(&pool->work_or_end);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    sd_event_source_disable_unref(pool->source);
    safe_close(pool->event_fd);
    pthread_cond_destroy(&pool->work_or_end);
    pthread_mutex_destroy(&pool->mutex);
    sd_event_unref(pool->event);
    free(pool);
}

void worker_pool_submit(WorkerPool *pool, WorkerJob *job)
{
    job->is_busy = true;
    pthread_mutex_lock(&pool->mutex);
    job_list_append(&pool->waiting, job);
    pthread_cond_signal(&pool->work_or_end);
    pthread_mutex_unlock(&pool->mutex);
}
