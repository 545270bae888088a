/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/thread-job.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include "tests/unit/unit.h"

typedef struct {
    sd_event *event;
    pthread_t loop_thread;
    ThreadJob *job;
    bool frees_itself;
    unsigned n_done;
    int result;
    atomic_bool has_begun;
    atomic_bool has_ended;
} Fixture;

static int answer(const atomic_bool *is_cancelled, void *userdata)
{
    Fixture *fixture = userdata;
    ck_assert(!atomic_load(is_cancelled));
    ck_assert(!pthread_equal(pthread_self(), fixture->loop_thread));
    return -42;
}

static int work_until_cancelled(const atomic_bool *is_cancelled, void *userdata)
{
    Fixture *fixture = userdata;
    atomic_store(&fixture->has_begun, true);
    while (!atomic_load(is_cancelled))
        sched_yield();
    atomic_store(&fixture->has_ended, true);
    return 0;
}

static void on_done(ThreadJob *job, int result, void *userdata)
{
    Fixture *fixture = userdata;
    ck_assert_ptr_eq(job, fixture->job);
    ck_assert(pthread_equal(pthread_self(), fixture->loop_thread));
    fixture->n_done++;
    fixture->result = result;
    if (fixture->frees_itself)
        thread_job_free(TAKE_PTR(fixture->job));
    sd_event_exit(fixture->event, 0);
}

static void run_to_end(bool frees_itself)
{
    Fixture fixture = {.loop_thread = pthread_self(), .frees_itself = frees_itself};
    ck_assert_int_ge(sd_event_new(&fixture.event), 0);
    ck_assert_int_eq(thread_job_new(fixture.event, answer, on_done, &fixture, &fixture.job), 0);
    ck_assert_uint_eq(fixture.n_done, 0);
    ck_assert_int_eq(sd_event_loop(fixture.event), 0);
    ck_assert_uint_eq(fixture.n_done, 1);
    ck_assert_int_eq(fixture.result, -42);
    thread_job_free(fixture.job);
    sd_event_unref(fixture.event);
}

START_TEST(the_loop_hears_of_the_end_once)
{
    run_to_end(false);
}
END_TEST

START_TEST(the_job_may_be_freed_in_its_end)
{
    run_to_end(true);
}
END_TEST

START_TEST(freeing_cancels_and_waits)
{
    Fixture fixture = {.loop_thread = pthread_self()};
    ck_assert_int_ge(sd_event_new(&fixture.event), 0);
    ck_assert_int_eq(
            thread_job_new(fixture.event, work_until_cancelled, on_done, &fixture, &fixture.job),
            0);
    while (!atomic_load(&fixture.has_begun))
        sched_yield();
    thread_job_free(fixture.job);
    ck_assert(atomic_load(&fixture.has_ended));
    ck_assert_int_ge(sd_event_run(fixture.event, 0), 0);
    ck_assert_uint_eq(fixture.n_done, 0);
    sd_event_unref(fixture.event);
    thread_job_free(NULL);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("thread-job");
    TCase *tcase = unit_case(suite, "thread-job");
    tcase_add_test(tcase, the_loop_hears_of_the_end_once);
    tcase_add_test(tcase, the_job_may_be_freed_in_its_end);
    tcase_add_test(tcase, freeing_cancels_and_waits);
    return suite;
}
