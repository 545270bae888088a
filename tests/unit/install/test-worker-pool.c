/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/worker-pool.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

#include "tests/unit/unit.h"

typedef struct {
    WorkerJob job;
    pthread_t ran_in;
    bool signals_are_blocked;
    sem_t *waits_for; /* NULL: nothing */
    sem_t *begun;
    atomic_uint n_runs;
    unsigned n_done;
} TestJob;

static sd_event *event;

static void run_job(void *userdata)
{
    TestJob *job = userdata;
    job->ran_in = pthread_self();
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    job->signals_are_blocked = sigismember(&blocked, SIGTERM) == 1;
    if (job->begun)
        sem_post(job->begun);
    if (job->waits_for)
        sem_wait(job->waits_for);
    job->n_runs++;
}

static void on_job_done(void *userdata)
{
    TestJob *job = userdata;
    ck_assert(!job->job.is_busy);
    job->n_done++;
}

static void job_init(TestJob *job)
{
    *job = (TestJob){.job = {.run = run_job, .on_done = on_job_done, .userdata = job}};
}

static void setup(void)
{
    ck_assert_int_eq(sd_event_new(&event), 0);
}

static void teardown(void)
{
    sd_event_unref(event);
}

static void run_until(const unsigned *n, unsigned at_least)
{
    while (*n < at_least)
        ck_assert_int_gt(sd_event_run(event, 10 * 1000 * 1000), 0);
}

START_TEST(jobs_run_beside_the_loop)
{
    _cleanup_(worker_pool_freep) WorkerPool *pool = NULL;
    ck_assert_int_eq(worker_pool_new(event, 3, &pool), 0);
    TestJob jobs[50];
    for (size_t i = 0; i < ELEMENTS(jobs); i++) {
        job_init(&jobs[i]);
        worker_pool_submit(pool, &jobs[i].job);
        ck_assert(jobs[i].job.is_busy);
    }
    for (size_t i = 0; i < ELEMENTS(jobs); i++) {
        run_until(&jobs[i].n_done, 1);
        ck_assert_uint_eq(jobs[i].n_runs, 1);
        ck_assert(!pthread_equal(jobs[i].ran_in, pthread_self()));
        ck_assert(jobs[i].signals_are_blocked);
    }
}
END_TEST

typedef struct {
    TestJob job;
    WorkerPool *pool;
} Chain;

static void on_chain_done(void *userdata)
{
    Chain *chain = userdata;
    if (++chain->job.n_done < 20)
        worker_pool_submit(chain->pool, &chain->job.job);
}

START_TEST(a_done_job_may_be_submitted_again)
{
    _cleanup_(worker_pool_freep) WorkerPool *pool = NULL;
    ck_assert_int_eq(worker_pool_new(event, 0, &pool), 0); /* 0 makes one thread */
    Chain chain = {.pool = pool};
    job_init(&chain.job);
    chain.job.job.userdata = &chain;
    chain.job.job.on_done = on_chain_done;
    worker_pool_submit(pool, &chain.job.job);
    run_until(&chain.job.n_done, 20);
    ck_assert_uint_eq(chain.job.n_runs, 20);
}
END_TEST

static void *post_later(void *userdata)
{
    sem_post(userdata);
    return NULL;
}

START_TEST(the_end_waits_for_what_runs_only)
{
    sem_t begun, go_on;
    sem_init(&begun, 0, 0);
    sem_init(&go_on, 0, 0);
    WorkerPool *pool;
    ck_assert_int_eq(worker_pool_new(event, 1, &pool), 0);
    TestJob running, waiting;
    job_init(&running);
    job_init(&waiting);
    running.begun = &begun;
    running.waits_for = &go_on;
    worker_pool_submit(pool, &running.job);
    worker_pool_submit(pool, &waiting.job);
    sem_wait(&begun);
    pthread_t poster;
    ck_assert_int_eq(pthread_create(&poster, NULL, post_later, &go_on), 0);
    worker_pool_free(pool);
    pthread_join(poster, NULL);
    ck_assert_uint_eq(running.n_runs, 1);
    ck_assert_uint_eq(running.n_done, 0);
    ck_assert_uint_le(waiting.n_runs, 1);
    ck_assert_uint_eq(waiting.n_done, 0);
    sem_destroy(&begun);
    sem_destroy(&go_on);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("worker-pool");
    TCase *tcase = unit_case(suite, "worker-pool");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, jobs_run_beside_the_loop);
    tcase_add_test(tcase, a_done_job_may_be_submitted_again);
    tcase_add_test(tcase, the_end_waits_for_what_runs_only);
    return suite;
}
