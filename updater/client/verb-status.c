/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/client/client.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/http-url.h"
#include "common/printable.h"
#include "partitions/running-slot.h"
#include "partitions/slot-disk.h"
#include "updater/client/engine-proxy.h"
#include "updater/client/progress-bar.h"
#include "updater/config/config.h"
#include "updater/engine/engine-state.h"
#include "updater/engine/slot-name.h"

/* status: what runs, what boots next, what is under way, what failed last. From the daemon, and
 * without one from the disk, the state file and the configuration. */

typedef struct {
    bool has_daemon;
    EngineView view;
    EngineSlotView *slots;
    size_t n_slots;
    ErrorText slots_error; /* why there are none */
} Status;

static void status_done(Status *status)
{
    free(status->slots);
}

static int read_from_daemon(const ClientOptions *options, Status *status, ErrorText *error)
{
    _cleanup_(engine_proxy_freep) EngineProxy *proxy = NULL;
    if (engine_proxy_new(options->bus, &proxy, error) < 0)
        return CLIENT_NO_DAEMON;
    int exit_code = engine_proxy_view(proxy, &status->view, error);
    if (exit_code != CLIENT_DONE)
        return exit_code;
    status->has_daemon = true;
    (void)engine_proxy_slots(proxy, &status->slots, &status->n_slots, &status->slots_error);
    return CLIENT_DONE;
}

static void read_config(const ClientOptions *options, EngineView *view)
{
    ErrorText error = {};
    _cleanup_close_ int root_fd = client_open_root(options, &error);
    _cleanup_(config_freep) Config *config = NULL;
    if (root_fd < 0 || config_load(root_fd, &config, &error) < 0) {
        printable_copy(view->last_error, sizeof(view->last_error), error.line);
        return;
    }
    printable_copy(view->config_warning, sizeof(view->config_warning), config_warning(config).line);
    printable_copy(view->channel, sizeof(view->channel), config->group);
    printable_copy(view->server, sizeof(view->server),
            config->server ? http_url_show(config->server).text : "");
    printable_copy(view->product, sizeof(view->product), config->product);
    printable_copy(view->version, sizeof(view->version), config->version);
}

static void read_state(const EngineState *state, EngineView *view)
{
    view->last_checked_usec = state->last_checked_usec;
    if (state->last_error[0]) {
        printable_copy(view->last_error, sizeof(view->last_error), state->last_error);
        view->last_error_code = state->last_error_code;
    }
    if (engine_state_waits(state)) {
        printable_copy(view->new_version, sizeof(view->new_version), state->pending.version);
        printable_copy(view->target_slot, sizeof(view->target_slot), state->pending.label);
    }
}

/* Which disk, and which of its slots runs. */
static int open_disk(
        const ClientOptions *options, SlotDisk **ret_disk, size_t *ret_running, ErrorText *error)
{
    RunningSlot running;
    int found = running_slot_find(options->root, "/usr", &running, error);
    if (!options->disk && found < 0)
        return found;
    int r = slot_disk_open(
            options->disk ? options->disk : running.disk_path, false, NULL, 0, ret_disk, error);
    if (r < 0)
        return r;
    *ret_running = options->slot ? slot_disk_find(*ret_disk, options->slot)
                   : found >= 0  ? running_slot_index(&running, *ret_disk)
                                 : SLOT_NONE;
    return 0;
}

static int read_slots(const ClientOptions *options, const EngineState *state, Status *status)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    size_t running = SLOT_NONE, n_slots;
    int r = open_disk(options, &disk, &running, &status->slots_error);
    if (r >= 0 || r == -ENOMEDIUM || r == -EIO)
        printable_copy(status->view.table_health, sizeof(status->view.table_health),
                gpt_disk_health_text(r < 0 ? TABLE_UNREADABLE : slot_disk_health(disk)));
    if (r < 0)
        return r;
    const Slot *slots = slot_disk_slots(disk, &n_slots);
    status->slots = calloc(n_slots, sizeof(*status->slots));
    if (!status->slots)
        return error_say(&status->slots_error, -ENOMEM, "out of memory");
    for (size_t i = 0; i < n_slots; i++) {
        EngineSlotView *slot = &status->slots[i];
        SlotName name;
        slot_name_find(disk, i, state ? engine_state_slot(state, slots[i].label) : NULL,
                i == running ? status->view.version : NULL, &name);
        printable_copy(slot->label, sizeof(slot->label), slots[i].label);
        printable_copy(slot->version, sizeof(slot->version), name.version);
        printable_copy(slot->product, sizeof(slot->product), name.product);
        slot->priority = slots[i].priority;
        slot->tries = slots[i].tries;
        slot->is_successful = slots[i].successful;
        slot->is_running = i == running;
        slot->is_next = i == slot_disk_next(disk);
        if (i == running)
            printable_copy(
                    status->view.running_slot, sizeof(status->view.running_slot), slot->label);
    }
    status->n_slots = n_slots;
    return 0;
}

static int read_without_daemon(const ClientOptions *options, Status *status)
{
    read_config(options, &status->view);
    _cleanup_(engine_state_freep) EngineState *state = NULL;
    EngineStateOrigin origin;
    _cleanup_close_ int state_fd = client_open_state(options, NULL);
    uint64_t now_sec = clock_now_usec(CLOCK_REALTIME) / USEC_PER_SEC;
    if (state_fd >= 0 && engine_state_load(state_fd, now_sec, false, &state, &origin, NULL) == 0)
        read_state(state, &status->view);
    return read_slots(options, state, status);
}

static json_t *slots_to_json(const Status *status)
{
    json_t *slots = json_array();
    for (size_t i = 0; slots && i < status->n_slots; i++) {
        const EngineSlotView *slot = &status->slots[i];
        json_array_append_new(slots,
                json_pack("{s:s, s:s, s:s, s:i, s:i, s:b, s:b, s:b}", "label", slot->label,
                        "version", slot->version, "product", slot->product, "priority",
                        (int)slot->priority, "tries", (int)slot->tries, "successful",
                        slot->is_successful, "running", slot->is_running, "next", slot->is_next));
    }
    return slots;
}

static void print_json(const Status *status)
{
    const EngineView *view = &status->view;
    json_t *root = json_pack("{s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "daemon",
            status->has_daemon, "phase", view->phase, "product", view->product, "version",
            view->version, "new_version", view->new_version, "channel", view->channel, "server",
            view->server, "running_slot", view->running_slot, "target_slot", view->target_slot,
            "table_health", view->table_health);
    json_t *more = json_pack("{s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:s, s:o}", "bytes_done",
            (json_int_t)view->n_bytes_done, "bytes_total", (json_int_t)view->n_bytes_total,
            "bytes_fetched", (json_int_t)view->n_bytes_fetched, "last_checked_usec",
            (json_int_t)view->last_checked_usec, "next_check_usec",
            (json_int_t)view->next_check_usec, "last_error", view->last_error, "last_error_code",
            (json_int_t)view->last_error_code, "config_warning", view->config_warning, "slots",
            slots_to_json(status));
    json_t *fetch = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s}", "fetch_way", view->fetch_way,
            "fetch_text", view->fetch_text, "bytes_to_fetch", (json_int_t)view->n_bytes_to_fetch,
            "bytes_whole", (json_int_t)view->n_bytes_whole, "requests",
            (json_int_t)view->n_requests, "deferred", view->deferred);
    if (root && more && fetch && json_object_update(root, more) == 0 &&
            json_object_update(root, fetch) == 0)
        json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(root);
    json_decref(more);
    json_decref(fetch);
}

static void print_time(const char *name, uint64_t usec, const char *none)
{
    char text[64];
    time_t sec = (time_t)(usec / USEC_PER_SEC);
    struct tm parts;
    if (usec > 0 && localtime_r(&sec, &parts) &&
            strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %Z", &parts) > 0)
        printf("%-13s %s\n", name, text);
    else
        printf("%-13s %s\n", name, none);
}

static void print_phase(const Status *status)
{
    const EngineView *view = &status->view;
    if (!status->has_daemon) {
        printf("%-13s update-engine does not run%s%s%s\n",
                "State:", view->new_version[0] ? "; a reboot was pending for version " : "",
                view->new_version, "");
    } else if (strcmp(view->phase, "need-reboot") == 0) {
        printf("%-13s version %s in %s waits for the reboot\n", "State:", view->new_version,
                view->target_slot);
    } else if (strcmp(view->phase, "idle") == 0) {
        printf("%-13s idle\n", "State:");
    } else {
        char line[160];
        ProgressView progress = {
                .phase = view->phase,
                .version = view->new_version,
                .n_bytes_done = view->n_bytes_done,
                .n_bytes_total = view->n_bytes_total,
        };
        progress_bar_render(&progress, 79 - 14, line, sizeof(line));
        printf("%-13s %s\n", "State:", line);
    }
}

static void print_table_health(const char *health)
{
    if (!health[0] || strcmp(health, gpt_disk_health_text(TABLE_GOOD)) == 0)
        return;
    printf("%-13s %s; %s\n", "Table:", health,
            strcmp(health, gpt_disk_health_text(TABLE_UNREADABLE)) == 0
                    ? "'slotctl status' says why; restore it before the next reboot"
                    : "'slotctl repair' makes it good");
}

static void print_slots(const Status *status)
{
    if (status->n_slots == 0) {
        ErrorText error = status->slots_error;
        printable_clean(error.line);
        printf("%-13s none: %s\n", "Slots:", error.line);
        return;
    }
    int product = (int)strlen("PRODUCT"), version = (int)strlen("VERSION");
    for (size_t i = 0; i < status->n_slots; i++) {
        product = MAX(product, (int)strlen(status->slots[i].product));
        version = MAX(version, (int)strlen(status->slots[i].version));
    }
    printf("\n%-10s %-*s  %-*s  %-8s %-5s %s\n", "SLOT", product, "PRODUCT", version, "VERSION",
            "PRIORITY", "TRIES", "SUCCESSFUL");
    for (size_t i = 0; i < status->n_slots; i++) {
        const EngineSlotView *slot = &status->slots[i];
        const char *remark = slot->is_running && slot->is_next ? "        running, next"
                             : slot->is_running                ? "        running"
                             : slot->is_next                   ? "        next"
                                                               : "";
        printf("%-10s %-*s  %-*s  %-8u %-5u %-3s%s\n", slot->label, product,
                slot->product[0] ? slot->product : "-", version,
                slot->version[0] ? slot->version : "unknown", slot->priority, slot->tries,
                slot->is_successful ? "yes" : "no", remark);
    }
}

static void print_text(const Status *status)
{
    const EngineView *view = &status->view;
    print_phase(status);
    if (view->fetch_text[0])
        printf("%-13s %s\n", "Download:", view->fetch_text);
    if (view->deferred[0])
        printf("%-13s %s\n", "Waits:", view->deferred);
    printf("%-13s %s %s%s%s\n", "System:", view->product, view->version,
            view->running_slot[0] ? " from " : "", view->running_slot);
    printf("%-13s %s, %s\n", "Channel:", view->channel,
            view->server[0] ? view->server : "updates are disabled");
    print_time("Last check:", view->last_checked_usec, "never");
    if (status->has_daemon)
        print_time("Next check:", view->next_check_usec, "none");
    if (view->last_error[0])
        printf("%-13s %s (error %u)\n", "Last failure:", view->last_error, view->last_error_code);
    if (view->config_warning[0])
        printf("%-13s %s\n", "Warning:", view->config_warning);
    print_table_health(view->table_health);
    print_slots(status);
}

int verb_status(int argc, char **argv, void *context)
{
    (void)argc;
    (void)argv;
    const ClientOptions *options = context;
    _cleanup_(status_done) Status status = {};
    ErrorText error = {};
    int exit_code = read_from_daemon(options, &status, &error);
    if (exit_code == CLIENT_NO_DAEMON) {
        status.view = (EngineView){};
        exit_code = read_without_daemon(options, &status) < 0 ? CLIENT_NO_DAEMON : CLIENT_DONE;
    } else if (exit_code != CLIENT_DONE) {
        return client_complain(exit_code, &error);
    }
    if (options->is_json)
        print_json(&status);
    else
        print_text(&status);
    return exit_code;
}
