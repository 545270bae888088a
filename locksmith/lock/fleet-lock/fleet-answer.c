/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/fleet-lock/fleet-answer.h"

#include <jansson.h>
#include <string.h>

/* The first row that fits counts. */
typedef struct {
    const char *kind; /* the whole word; NULL: any or none */
    unsigned first;   /* HTTP status; 0: any */
    unsigned last;
    const char *value; /* is in the value; NULL: any */
    FleetVerdict verdict;
    const char *meaning;
} Row;

static const char full[] = "others hold the lock";
static const char conflict[] = "others asked for the lock at the same time";
static const char identity[] = "the server does not take who asks; look at id and group";
static const char failed[] = "the FleetLock server failed; look at its log";

static const Row rows[] = {
        /* airlock says failed_lock of whatever went wrong behind it */
        {"failed_lock", 0, 0, "conflict on semaphore", FLEET_CONFLICT, conflict},
        {"failed_lock", 0, 0, "currently locked", FLEET_FULL, full},
        {"failed_lock_semaphore_full", 0, 0, NULL, FLEET_FULL, full}, /* the protocol's example */
        {"failed_sem_init", 0, 0, NULL, FLEET_NOT_NOW, "the server cannot reach its etcd"},
        {"invalid_client_identity", 0, 0, NULL, FLEET_REFUSED, identity},
        {"unknown_group", 0, 0, NULL, FLEET_REFUSED,
                "the server does not know the group; set one that it has (LOCKSMITHD_GROUP)"},
        /* poseidon/fleetlock: the holder's name is missing when somebody was faster */
        {"locked", 0, 0, "held by ", FLEET_FULL, full},
        {"failed_decoding_request", 0, 0, NULL, FLEET_REFUSED, identity},
        {"missing_header", 0, 0, NULL, FLEET_REFUSED,
                "something between here and the server takes "
                "the header fleet-lock-protocol away"},
        {NULL, 409, 409, NULL, FLEET_FULL, full},
        {NULL, 423, 423, NULL, FLEET_FULL, full},
        {NULL, 300, 399, NULL, FLEET_REFUSED,
                "the server redirects, which FleetLock forbids; set the address it leads to"},
        {NULL, 401, 401, NULL, FLEET_REFUSED, "the server wants another user and password"},
        {NULL, 403, 403, NULL, FLEET_REFUSED, "the server forbids it to this host"},
        {NULL, 404, 404, NULL, FLEET_REFUSED,
                "there is no FleetLock at this address; look at its path"},
        {NULL, 408, 408, NULL, FLEET_UNCLEAR, failed},
        {NULL, 425, 425, NULL, FLEET_NOT_NOW, "the server is not ready"},
        {NULL, 429, 429, NULL, FLEET_NOT_NOW, "the server is asked too often"},
        {NULL, 400, 499, NULL, FLEET_REFUSED, "the server refuses the request"},
        {NULL, 0, 0, NULL, FLEET_UNCLEAR, failed},
};

static bool fits(const Row *row, unsigned status, const char *kind, const char *value)
{
    if (row->kind && strcmp(row->kind, kind) != 0)
        return false;
    if (row->first != 0 && (status < row->first || status > row->last))
        return false;
    return !row->value || strstr(value, row->value);
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static bool ends_with(const char *text, const char *end)
{
    size_t n_text = strlen(text), n_end = strlen(end);
    return n_text >= n_end && strcmp(text + n_text - n_end, end) == 0;
}

FleetVerdict fleet_answer_judge(
        unsigned status, bool is_pre_reboot, const char *body, size_t n_bytes, ErrorText *error)
{
    if (status >= 200 && status <= 299)
        return FLEET_DONE;
    _cleanup_(json_decrefp) json_t *json =
            n_bytes <= FLEET_ANSWER_MAX_BYTES ? json_loadb(body, n_bytes, 0, NULL) : NULL;
    const char *kind = text_of(json, "kind");
    const char *value = text_of(json, "value");
    const Row *row = rows;
    while (!fits(row, status, kind, value))
        row++; /* the last one fits always */

    FleetVerdict verdict = row->verdict;
    const char *meaning = row->meaning;
    if (verdict == FLEET_FULL && ends_with(value, "held by ")) {
        verdict = FLEET_CONFLICT;
        meaning = conflict;
    } else if (verdict == FLEET_FULL && !is_pre_reboot) { /* makes no sense where one gives back */
        verdict = FLEET_UNCLEAR;
        meaning = failed;
    }
    bool has_words = kind[0] != '\0' || value[0] != '\0';
    if (has_words)
        error_say(error, 0, "%s (it says: %.80s: %.200s)", meaning, kind, value);
    else
        error_say(error, 0, "%s (HTTP status %u)", meaning, status);
    return verdict;
}
