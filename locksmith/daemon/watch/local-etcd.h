/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether an etcd answers on this host: what best-effort hangs on. It is careful: nothing but a
 * refused connection says that there is none, nothing but etcd's own answer that there is one.
 * Nothing blocks. */

#include <stddef.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

typedef struct LocalEtcd LocalEtcd;

typedef enum {
    LOCAL_ETCD_ANSWERS,
    LOCAL_ETCD_REFUSED, /* nobody listens there */
    LOCAL_ETCD_UNCLEAR, /* silence, or an answer that is not etcd's: ask again */
} LocalEtcdResult;

/* Asks once, within 15 s, at url (borrowed for the call): http:// with a numeric address. on_done:
 * once, never from inside _new, last; text is one line for a person. Errors: -EINVAL for another
 * url, -ENOMEM, errno of sd-event and socket. */
int local_etcd_new(sd_event *event, const char *url,
        void (*on_done)(LocalEtcd *etcd, LocalEtcdResult result, const char *text, void *userdata),
        void *userdata, LocalEtcd **ret_etcd);
void local_etcd_free(LocalEtcd *etcd);
DEFINE_CLEANUP(LocalEtcd *, local_etcd_free);
