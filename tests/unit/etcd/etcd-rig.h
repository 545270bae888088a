/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Up to three members of a cluster that play scripts, and the answers that they give. */

#include <systemd/sd-event.h>

#include "common/http-client.h"
#include "locksmith/lock/lock-options.h"
#include "tests/unit/script-server.h"

#define RIG_MAX_MEMBERS 3

typedef struct {
    sd_event *event;
    HttpClient *client;
    ScriptServer *servers[RIG_MAX_MEMBERS];
    char urls[RIG_MAX_MEMBERS][64];
    const char *endpoints[RIG_MAX_MEMBERS];
    LockOptions options; /* of all of them, v3, no group */
} EtcdRig;

/* One server for each script that is not NULL; a script of RIG_NOBODY is an endpoint where nobody
 * listens. Scripts are borrowed for the rig's life. */
void etcd_rig_init(EtcdRig *rig, const ScriptReply *first, const ScriptReply *second,
        const ScriptReply *third);
void etcd_rig_done(EtcdRig *rig);

extern const ScriptReply RIG_NOBODY[];

/* Runs the loop until *condition is not 0; fails the test after 20 s. */
void etcd_rig_run_until(EtcdRig *rig, const unsigned *condition);

/* Runs it for that long, for what must not happen. */
void etcd_rig_run_for(EtcdRig *rig, uint64_t usec);

/* The n-th request that member got; it must have got it. */
const char *etcd_rig_request(const EtcdRig *rig, size_t member, unsigned n);
unsigned etcd_rig_n_requests(const EtcdRig *rig, size_t member);

/* A reply with that body; its text lasts as long as the test. */
ScriptReply etcd_rig_answer(const char *status, const char *body, ScriptThen then);
