/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "locksmith/client/status-report.h"

/* status for programs. Times are microseconds since 1970, 0 where there is none. */

/* Text that another host wrote, as valid UTF-8. */
static json_t *text_of(const char *text)
{
    ErrorText cleaned;
    error_say(&cleaned, 0, "%s", text ? text : "");
    return json_string(cleaned.line);
}

static json_t *number_of(uint64_t value)
{
    return json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX));
}

static json_t *holder_to_json(const StatusReport *report, const LockHolder *holder)
{
    static const HolderFacts none = {};
    const HolderFacts *facts = holder->facts ? holder->facts : &none;
    uint64_t since_usec = facts->since_usec;
    json_t *age = since_usec == 0 ? json_null()
                  : since_usec > report->now_usec
                          ? json_integer(0)
                          : number_of((report->now_usec - since_usec) / USEC_PER_SEC);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "id", text_of(holder->id), "host",
            text_of(facts->host), "boot_id", text_of(facts->boot_id), "version",
            text_of(facts->version), "since_usec", number_of(since_usec), "age_seconds", age,
            "this_host", strcmp(holder->id, report->host.machine_id) == 0);
}

static json_t *lock_to_json(const StatusReport *report)
{
    if (!report->lock)
        return json_null();
    json_t *holders = json_array();
    for (size_t i = 0; i < report->lock->n_holders; i++)
        json_array_append_new(holders, holder_to_json(report, &report->lock->holders[i]));
    return json_pack("{s:s, s:o, s:b, s:I, s:I, s:o}", "store", report->store, "group",
            text_of(report->group), "exists", report->lock->exists, "max",
            (json_int_t)report->lock->max, "available", (json_int_t)report->lock->available,
            "holders", holders);
}

static json_t *conditions_to_json(const DaemonView *daemon)
{
    json_t *conditions = json_array();
    for (size_t i = 0; i < daemon->n_conditions; i++) {
        const ConditionView *condition = &daemon->conditions[i];
        json_array_append_new(
                conditions, json_pack("{s:s, s:b, s:s, s:o}", "name", condition->name, "holds",
                                    condition->holds, "text", condition->text, "change_usec",
                                    number_of(condition->change_usec)));
    }
    return conditions;
}

static json_t *daemon_to_json(const StatusReport *report)
{
    const DaemonView *daemon = &report->daemon;
    if (!report->has_daemon)
        return json_null();
    json_t *state = json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:s}", "state", daemon->state, "text",
            daemon->text, "since_usec", number_of(daemon->since_usec), "next_usec",
            number_of(daemon->next_usec), "paused_until_usec", number_of(daemon->paused_until_usec),
            "version", daemon->version, "trigger", daemon->trigger);
    json_t *more = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "strategy",
            daemon->strategy, "decision", daemon->decision, "store", daemon->store, "group",
            daemon->group, "holds", daemon->holds, "release", daemon->release, "release_text",
            daemon->release_text, "last_error", daemon->last_error, "last_error_usec",
            number_of(daemon->last_error_usec), "conditions", conditions_to_json(daemon));
    if (!state || !more || json_object_update(state, more) < 0)
        state = (json_decref(state), NULL);
    json_decref(more);
    return state;
}

int status_report_print_json(const StatusReport *report)
{
    json_t *root = json_pack("{s:o, s:o, s:s, s:b, s:o, s:s, s:o, s:s}", "machine_id",
            text_of(report->host.machine_id), "host", text_of(report->host.host_name), "strategy",
            report->strategy, "asks_lock", report->asks_lock, "lock", lock_to_json(report),
            "lock_error", report->lock_error.line, "daemon", daemon_to_json(report), "daemon_error",
            report->daemon_error.line);
    if (!root)
        return -ENOMEM;
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(root);
    return 0;
}
