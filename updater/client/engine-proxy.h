/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* update-engine as seen over D-Bus. All text that comes out of it is printable. Calls block for at
 * most the time that each names. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "common/cleanup.h"
#include "common/error-text.h"

typedef struct EngineProxy EngineProxy;

/* The properties of com.coreos.update1.Flipside. */
typedef struct {
    char phase[32];
    char last_error[512];
    uint32_t last_error_code;
    char config_warning[512]; /* "" */
    char fetch_way[32];       /* "" before it is known */
    char fetch_text[512];     /* "" */
    char deferred[512];       /* "" */
    uint64_t n_bytes_to_fetch;
    uint64_t n_bytes_whole;
    uint64_t n_requests;
    uint64_t n_bytes_done;
    uint64_t n_bytes_total;
    uint64_t n_bytes_fetched;
    char channel[256];
    char server[1024];
    char product[160];
    char version[160];
    char new_version[160];
    char running_slot[128];
    char target_slot[128];
    char table_health[32]; /* "" when not known */
    uint64_t last_checked_usec;
    uint64_t next_check_usec;
} EngineView;

typedef struct {
    char label[128];
    char version[160]; /* "" while not known */
    char product[160];
    unsigned priority;
    unsigned tries;
    bool is_successful;
    bool is_running;
    bool is_next;
} EngineSlotView;

/* A task that ended: the Finished signal. */
typedef struct {
    char what[16];
    char result[16];
    uint32_t code;
    char text[512];
} EngineEnd;

/* Connects to the bus at address, NULL: the system bus. Errors: errno, with error. */
int engine_proxy_new(const char *address, EngineProxy **ret_proxy, ErrorText *error);
void engine_proxy_free(EngineProxy *proxy);
DEFINE_CLEANUP(EngineProxy *, engine_proxy_free);

/* Reads all properties; 10 s. Returns 0 or a client exit code (CLIENT_...), with error. */
int engine_proxy_view(EngineProxy *proxy, EngineView *ret_view, ErrorText *error);

/* Reads the slots; 10 s. *ret_slots is new. Returns 0 or a client exit code, with error. */
int engine_proxy_slots(
        EngineProxy *proxy, EngineSlotView **ret_slots, size_t *ret_n_slots, ErrorText *error);

/* Calls a method of com.coreos.update1.Flipside with arguments of types, as sd_bus_message_append
 * takes them. *ret_reply is new; ret_reply may be NULL. Returns 0 or a client exit code. */
int engine_proxy_call(EngineProxy *proxy, const char *method, uint64_t timeout_usec,
        sd_bus_message **ret_reply, ErrorText *error, const char *types, ...);

/* Reads a string argument of a reply into text, printable. Errors: of sd_bus_message_read. */
int engine_proxy_read_text(sd_bus_message *message, char *text, size_t n_bytes);

/* Begins to collect what the engine signals. Errors: errno, with error. */
int engine_proxy_listen(EngineProxy *proxy, ErrorText *error);

/* Waits for at most wait_usec for something to happen and takes it in. Returns 1 when a task's end
 * came (and sets *ret_end), 0 else. Errors: errno when the bus is gone. */
int engine_proxy_wait(EngineProxy *proxy, uint64_t wait_usec, EngineEnd *ret_end);

/* Whether the engine is there, as far as the signals that were taken in tell; true at first. */
bool engine_proxy_is_there(const EngineProxy *proxy);
