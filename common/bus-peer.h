/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who has a well-known name on the bus. A match rule does not keep others from sending a signal
 * straight to us, so whoever acts on a signal asks here whether it came from the name's owner. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "common/cleanup.h"

typedef struct BusPeer BusPeer;

/* bus is referenced, name copied. on_change: the owner is known now, or another, or gone; never
 * from inside _new; freeing the peer inside is allowed. Errors: -ENOMEM, errno of sd-bus. */
int bus_peer_new(sd_bus *bus, const char *name, void (*on_change)(void *userdata), void *userdata,
        BusPeer **ret_peer);
void bus_peer_free(BusPeer *peer);
DEFINE_CLEANUP(BusPeer *, bus_peer_free);

/* The owner's unique name, inside until the next turn of the loop; "": nobody, or not known yet. */
const char *bus_peer_owner(const BusPeer *peer);

/* False until the bus has answered once. */
bool bus_peer_is_known(const BusPeer *peer);

/* Whether the message comes from the owner. */
bool bus_peer_sent(const BusPeer *peer, sd_bus_message *message);
