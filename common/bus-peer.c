/* SPDX-License-Identifier: Apache-2.0 */
#include "common/bus-peer.h"

#include <string.h>

#define BUS_DAEMON "org.freedesktop.DBus"
#define BUS_DAEMON_PATH "/org/freedesktop/DBus"
#define ANSWER_TIMEOUT_USEC (30 * UINT64_C(1000000))

/* The match is asked for before the question, on the same connection: no change falls between. */

struct BusPeer {
    sd_bus *bus;
    sd_bus_slot *match_slot;
    sd_bus_slot *question_slot;
    char *name;
    char *owner; /* NULL: nobody */
    bool is_known;
    void (*on_change)(void *userdata);
    void *userdata;
};

const char *bus_peer_owner(const BusPeer *peer)
{
    return peer->owner ? peer->owner : "";
}

bool bus_peer_is_known(const BusPeer *peer)
{
    return peer->is_known;
}

bool bus_peer_sent(const BusPeer *peer, sd_bus_message *message)
{
    const char *sender = sd_bus_message_get_sender(message);
    return sender && peer->owner && strcmp(sender, peer->owner) == 0;
}

/* Without memory the owner counts as gone: better no signal than a forged one. */
static void set_owner(BusPeer *peer, const char *owner)
{
    if (peer->is_known && strcmp(bus_peer_owner(peer), owner) == 0)
        return;
    free(peer->owner);
    peer->owner = owner[0] != '\0' ? strdup(owner) : NULL;
    peer->is_known = true;
    peer->on_change(peer->userdata);
}

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    BusPeer *peer = userdata;
    const char *name;
    const char *old_owner;
    const char *new_owner;
    const char *sender = sd_bus_message_get_sender(message);
    if (!sender || strcmp(sender, BUS_DAEMON) != 0 ||
            sd_bus_message_read(message, "sss", &name, &old_owner, &new_owner) < 0 ||
            strcmp(name, peer->name) != 0)
        return 0;
    peer->question_slot = sd_bus_slot_unref(peer->question_slot); /* this is newer */
    set_owner(peer, new_owner);
    return 0;
}

static int ask(BusPeer *peer);

/* No answer is no news: nobody counts as gone because the bus is slow. */
static int on_answer(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)error;
    BusPeer *peer = userdata;
    const char *owner = "";
    peer->question_slot = sd_bus_slot_unref(peer->question_slot);
    if (sd_bus_message_is_method_error(message, SD_BUS_ERROR_NO_REPLY) ||
            sd_bus_message_is_method_error(message, SD_BUS_ERROR_TIMEOUT))
        (void)ask(peer); /* a bus that takes no question is one that is gone */
    else if (sd_bus_message_is_method_error(message, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
             sd_bus_message_read(message, "s", &owner) > 0)
        set_owner(peer, owner);
    return 0;
}

static int ask(BusPeer *peer)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *question = NULL;
    int r = sd_bus_message_new_method_call(
            peer->bus, &question, BUS_DAEMON, BUS_DAEMON_PATH, BUS_DAEMON, "GetNameOwner");
    if (r >= 0)
        r = sd_bus_message_append(question, "s", peer->name);
    if (r >= 0)
        r = sd_bus_call_async(
                peer->bus, &peer->question_slot, question, on_answer, peer, ANSWER_TIMEOUT_USEC);
    return r < 0 ? r : 0;
}

static int watch(BusPeer *peer)
{
    _cleanup_free_ char *rule = NULL;
    if (asprintf(&rule,
                "type='signal',sender='" BUS_DAEMON "',path='" BUS_DAEMON_PATH
                "',interface='" BUS_DAEMON "',member='NameOwnerChanged',arg0='%s'",
                peer->name) < 0)
        return -ENOMEM;
    return sd_bus_add_match_async(peer->bus, &peer->match_slot, rule, on_owner_changed, NULL, peer);
}

int bus_peer_new(sd_bus *bus, const char *name, void (*on_change)(void *userdata), void *userdata,
        BusPeer **ret_peer)
{
    _cleanup_(bus_peer_freep) BusPeer *peer = malloc(sizeof(*peer));
    if (!peer)
        return -ENOMEM;
    *peer = (BusPeer){.bus = sd_bus_ref(bus), .on_change = on_change, .userdata = userdata};
    peer->name = strdup(name);
    if (!peer->name)
        return -ENOMEM;
    int r = watch(peer);
    if (r >= 0)
        r = ask(peer);
    if (r < 0)
        return r;
    *ret_peer = TAKE_PTR(peer);
    return 0;
}

void bus_peer_free(BusPeer *peer)
{
    if (!peer)
        return;
    sd_bus_slot_unref(peer->question_slot);
    sd_bus_slot_unref(peer->match_slot);
    sd_bus_unref(peer->bus);
    free(peer->owner);
    free(peer->name);
    free(peer);
}
