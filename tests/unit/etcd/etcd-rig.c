/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/etcd/etcd-rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define LONGEST_USEC (20 * USEC_PER_SEC)
#define MAX_ANSWERS 64

const ScriptReply RIG_NOBODY[] = {{NULL}};

void etcd_rig_init(
        EtcdRig *rig, const ScriptReply *first, const ScriptReply *second, const ScriptReply *third)
{
    const ScriptReply *scripts[] = {first, second, third};
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    *rig = (EtcdRig){.options = {.endpoints = rig->endpoints, .group = ""}};
    ck_assert_int_eq(sd_event_new(&rig->event), 0);
    ck_assert_int_eq(http_client_new(rig->event, "test/1", &rig->client), 0);
    for (size_t i = 0; i < RIG_MAX_MEMBERS && scripts[i]; i++) {
        const char *url = "http://127.0.0.1:1";
        if (scripts[i] != RIG_NOBODY) {
            rig->servers[i] = script_server_new(rig->event, scripts[i]);
            url = script_server_url(rig->servers[i], "");
        }
        snprintf(rig->urls[i], sizeof(rig->urls[i]), "%s", url);
        rig->endpoints[i] = rig->urls[i];
        rig->options.n_endpoints++;
    }
}

void etcd_rig_done(EtcdRig *rig)
{
    http_client_free(rig->client);
    for (size_t i = 0; i < RIG_MAX_MEMBERS; i++)
        script_server_free(rig->servers[i]);
    sd_event_unref(rig->event);
}

void etcd_rig_run_until(EtcdRig *rig, const unsigned *condition)
{
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + LONGEST_USEC;
    while (*condition == 0 && clock_now_usec(CLOCK_MONOTONIC) < end_usec)
        ck_assert_int_ge(sd_event_run(rig->event, USEC_PER_SEC), 0);
    ck_assert_uint_ne(*condition, 0);
}

void etcd_rig_run_for(EtcdRig *rig, uint64_t usec)
{
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + usec;
    for (uint64_t now_usec; (now_usec = clock_now_usec(CLOCK_MONOTONIC)) < end_usec;)
        ck_assert_int_ge(sd_event_run(rig->event, end_usec - now_usec), 0);
}

const char *etcd_rig_request(const EtcdRig *rig, size_t member, unsigned n)
{
    return script_server_request(rig->servers[member], n);
}

unsigned etcd_rig_n_requests(const EtcdRig *rig, size_t member)
{
    return script_server_n_requests(rig->servers[member]);
}

ScriptReply etcd_rig_answer(const char *status, const char *body, ScriptThen then)
{
    static char texts[MAX_ANSWERS][2048];
    static size_t n_texts;
    ck_assert_uint_lt(n_texts, MAX_ANSWERS);
    char *text = texts[n_texts++];
    int n = snprintf(text, sizeof(texts[0]), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status,
            strlen(body), body);
    ck_assert_int_lt(n, (int)sizeof(texts[0]));
    return (ScriptReply){.text = text, .then = then};
}
