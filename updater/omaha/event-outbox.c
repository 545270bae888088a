/* SPDX-License-Identifier: Apache-2.0 */

/* The queue is an array in memory and, as a whole, one small JSON file:
 * {"events": [{"type": 3, "result": 2, "error_code": 0, "previous_version": "1.2.3"}, ...]} */

#include "updater/omaha/event-outbox.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "common/atomic-file.h"
#include "common/fd-io.h"
#include "updater/omaha/version-order.h"
#include "updater/update-error.h"

#define FILE_MAX_BYTES (64 * 1024)
#define CODE_WITHOUT_FLAGS 0x0fffffffU /* the top four bits are update_engine's flags */

struct EventOutbox {
    int state_fd; /* borrowed */
    size_t n_events;
    OmahaEvent events[EVENT_OUTBOX_MAX];
};

/* What is given up first when the queue is full. */
typedef enum { WEIGHT_PROGRESS, WEIGHT_OUTCOME, WEIGHT_LASTING } EventWeight;

static EventWeight event_weight(const OmahaEvent *event)
{
    if (event->type != OMAHA_EVENT_UPDATE_COMPLETE)
        return WEIGHT_PROGRESS;
    bool is_rollback = event->result == OMAHA_RESULT_ERROR &&
                       (event->error_code & CODE_WITHOUT_FLAGS) == UPDATE_ERROR_ROLLED_BACK;
    return is_rollback || event->result == OMAHA_RESULT_SUCCESS_REBOOT ? WEIGHT_LASTING
                                                                       : WEIGHT_OUTCOME;
}

static bool previous_version_is_usable(const char *version)
{
    return version[0] == '\0' || version_is_valid(version);
}

static bool event_from_json(json_t *json, OmahaEvent *ret_event)
{
    json_int_t type, result, error_code;
    const char *previous_version;
    if (json_unpack(json, "{s:I, s:I, s:I, s:s}", "type", &type, "result", &result, "error_code",
                &error_code, "previous_version", &previous_version) < 0)
        return false;
    bool is_known =
            (type == OMAHA_EVENT_UPDATE_COMPLETE || type == OMAHA_EVENT_DOWNLOAD_STARTED ||
                    type == OMAHA_EVENT_DOWNLOAD_FINISHED) &&
            (result == OMAHA_RESULT_ERROR || result == OMAHA_RESULT_SUCCESS ||
                    result == OMAHA_RESULT_SUCCESS_REBOOT || result == OMAHA_RESULT_DEFERRED);
    if (!is_known || error_code < 0 || error_code > UINT32_MAX ||
            !previous_version_is_usable(previous_version))
        return false;
    *ret_event = (OmahaEvent){
            .type = (OmahaEventType)type,
            .result = (OmahaEventResult)result,
            .error_code = (unsigned)error_code,
    };
    strcpy(ret_event->previous_version, previous_version); /* fits: it is a valid version */
    return true;
}

/* Fills the empty queue. Errors: -EINVAL with a description. */
static int events_from_text(EventOutbox *outbox, const char *text, size_t n_bytes, ErrorText *error)
{
    json_error_t where;
    json_t *root = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return error_say(error, -EINVAL, "line %d: %s", where.line, where.text);

    int r = 0;
    json_t *events = json_object_get(root, "events");
    if (!json_is_array(events))
        r = error_say(error, -EINVAL, "it has no list \"events\"");
    else if (json_array_size(events) > EVENT_OUTBOX_MAX)
        r = error_say(error, -EINVAL, "it has more than %d events", EVENT_OUTBOX_MAX);
    for (size_t i = 0; r == 0 && i < json_array_size(events); i++)
        if (!event_from_json(json_array_get(events, i), &outbox->events[i]))
            r = error_say(error, -EINVAL, "event %zu is not usable", i + 1);
    if (r == 0)
        outbox->n_events = json_array_size(events);
    json_decref(root);
    return r;
}

static void set_aside(int state_fd, const char *why, ErrorText *note)
{
    bool is_moved = renameat(state_fd, EVENT_OUTBOX_FILE, state_fd, EVENT_OUTBOX_DAMAGED_FILE) == 0;
    error_say(note, 0,
            "events that waited for the update server are lost: %s cannot be used (%s); %s",
            EVENT_OUTBOX_FILE, why,
            is_moved ? "it is kept as " EVENT_OUTBOX_DAMAGED_FILE
                     : "it will be replaced by the next event");
}

int event_outbox_load(int state_fd, EventOutbox **ret_outbox, ErrorText *note)
{
    if (note)
        note->line[0] = '\0';
    _cleanup_(event_outbox_freep) EventOutbox *outbox = calloc(1, sizeof(*outbox));
    if (!outbox)
        return -ENOMEM;
    outbox->state_fd = state_fd;

    _cleanup_free_ char *text = NULL;
    size_t n_bytes = 0;
    ErrorText why = {0};
    int r = fd_read_file(state_fd, EVENT_OUTBOX_FILE, FILE_MAX_BYTES, &text, &n_bytes);
    if (r == -ENOMEM)
        return r;
    if (r >= 0)
        r = events_from_text(outbox, text, n_bytes, &why);
    else if (r != -ENOENT)
        error_say(&why, r, "%s", strerror(-r));
    if (r < 0 && r != -ENOENT)
        set_aside(state_fd, why.line, note);
    *ret_outbox = TAKE_PTR(outbox);
    return 0;
}

void event_outbox_free(EventOutbox *outbox)
{
    free(outbox);
}

static json_t *events_to_json(const EventOutbox *outbox)
{
    json_t *events = json_array();
    for (size_t i = 0; events && i < outbox->n_events; i++) {
        const OmahaEvent *event = &outbox->events[i];
        json_t *one = json_pack("{s:i, s:i, s:I, s:s}", "type", (int)event->type, "result",
                (int)event->result, "error_code", (json_int_t)event->error_code, "previous_version",
                event->previous_version);
        if (json_array_append_new(events, one) < 0) { /* also when one is NULL */
            json_decref(events);
            return NULL;
        }
    }
    return events ? json_pack("{s:o}", "events", events) : NULL;
}

static int outbox_write(const EventOutbox *outbox, ErrorText *error)
{
    json_t *root = events_to_json(outbox);
    _cleanup_free_ char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    int r = text ? atomic_file_write(outbox->state_fd, EVENT_OUTBOX_FILE, text, strlen(text), 0600)
                 : -ENOMEM;
    if (r < 0)
        return error_say(error, r,
                "the events for the update server cannot be saved in %s (%s): make room or make "
                "the state folder writable, or they are lost when the daemon ends",
                EVENT_OUTBOX_FILE, strerror(-r));
    return 0;
}

static void outbox_remove(EventOutbox *outbox, size_t first, size_t n_events)
{
    memmove(&outbox->events[first], &outbox->events[first + n_events],
            (outbox->n_events - first - n_events) * sizeof(outbox->events[0]));
    outbox->n_events -= n_events;
}

/* The oldest among those of the least weight. */
static size_t find_least(const EventOutbox *outbox)
{
    size_t least = 0;
    for (size_t i = 1; i < outbox->n_events; i++)
        if (event_weight(&outbox->events[i]) < event_weight(&outbox->events[least]))
            least = i;
    return least;
}

int event_outbox_add(EventOutbox *outbox, const OmahaEvent *event, ErrorText *error)
{
    if (!previous_version_is_usable(event->previous_version))
        return error_say(error, -EINVAL, "an event's previous version \"%.128s\" is no version",
                event->previous_version);
    if (outbox->n_events == EVENT_OUTBOX_MAX) {
        size_t least = find_least(outbox);
        EventWeight least_weight = event_weight(&outbox->events[least]);
        if (least_weight > event_weight(event))
            return 0;
        if (least_weight == WEIGHT_LASTING)
            return error_say(error, -ENOBUFS,
                    "%d events wait for the update server and none may be given up: see why it "
                    "cannot be reached",
                    EVENT_OUTBOX_MAX);
        outbox_remove(outbox, least, 1);
    }
    outbox->events[outbox->n_events++] = *event;
    return outbox_write(outbox, error);
}

const OmahaEvent *event_outbox_peek(const EventOutbox *outbox, size_t *ret_n_events)
{
    *ret_n_events = outbox->n_events;
    return outbox->events;
}

int event_outbox_delivered(EventOutbox *outbox, size_t n_events, ErrorText *error)
{
    outbox_remove(outbox, 0, MIN(n_events, outbox->n_events));
    return n_events > 0 ? outbox_write(outbox, error) : 0;
}

size_t event_outbox_count(const EventOutbox *outbox)
{
    return outbox->n_events;
}
