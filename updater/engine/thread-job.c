/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/thread-job.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

/* The thread writes to an eventfd when it has ended; the loop then joins it, which is what makes
 * its writes visible here. */

struct ThreadJob {
    ThreadJobWork work;
    void (*on_done)(ThreadJob *job, int result, void *userdata);
    void *userdata;
    sd_event_source *source;
    int end_fd;
    bool has_thread;
    pthread_t thread;
    atomic_bool is_cancelled;
    int result;
};

static void *run(void *userdata)
{
    ThreadJob *job = userdata;
    job->result = job->work(&job->is_cancelled, job->userdata);
    uint64_t one = 1;
    /* An eventfd takes a first 1 without blocking or failing. */
    ssize_t _unused_ n = write(job->end_fd, &one, sizeof(one));
    return NULL;
}

static void join(ThreadJob *job)
{
    if (job->has_thread)
        pthread_join(job->thread, NULL);
    job->has_thread = false;
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    (void)source;
    (void)fd;
    (void)events;
    ThreadJob *job = userdata;
    join(job);
    job->source = sd_event_source_disable_unref(job->source);
    job->on_done(job, job->result, job->userdata);
    return 0;
}

int thread_job_new(sd_event *event, ThreadJobWork work,
        void (*on_done)(ThreadJob *job, int result, void *userdata), void *userdata,
        ThreadJob **ret_job)
{
    _cleanup_(thread_job_freep) ThreadJob *job = malloc(sizeof(*job));
    if (!job)
        return -ENOMEM;
    *job = (ThreadJob){.work = work, .on_done = on_done, .userdata = userdata, .end_fd = -1};
    job->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (job->end_fd < 0)
        return -errno;
    int r = sd_event_add_io(event, &job->source, job->end_fd, EPOLLIN, on_end, job);
    if (r < 0)
        return r;
    r = pthread_create(&job->thread, NULL, run, job);
    if (r != 0)
        return -r;
    job->has_thread = true;
    *ret_job = TAKE_PTR(job);
    return 0;
}

void thread_job_free(ThreadJob *job)
{
    if (!job)
        return;
    atomic_store(&job->is_cancelled, true);
    join(job);
    sd_event_source_disable_unref(job->source);
    safe_close(job->end_fd);
    free(job);
}
