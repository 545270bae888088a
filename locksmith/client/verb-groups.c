/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/printable.h"
#include "locksmith/client/ctl-verbs.h"
#include "locksmith/client/lock-access.h"

/* groups: every group that has a semaphore in the store, with its figures. */

#define WHAT "Error listing groups"

typedef struct {
    char **names;
    size_t n_names;
    json_t *lines; /* of those that were read; NULL: to be printed as text */
    const char *name;
    int exit_code;
} Groups;

static void groups_done(Groups *groups)
{
    for (size_t i = 0; i < groups->n_names; i++)
        free(groups->names[i]);
    free(groups->names);
    json_decref(groups->lines);
}

static void on_names(const LockAnswer *answer, void *userdata)
{
    Groups *groups = userdata;
    ErrorText error = {};
    if (answer->result != LOCK_DONE) {
        error = lock_answer_text(answer);
        groups->exit_code = ctl_complain(CTL_FAILED, WHAT, &error);
        return;
    }
    groups->names = calloc(answer->n_groups + 1, sizeof(*groups->names));
    for (size_t i = 0; groups->names && i < answer->n_groups; i++) {
        groups->names[i] = strdup(answer->groups[i]);
        if (!groups->names[i])
            break;
        groups->n_names++;
    }
    if (groups->n_names < answer->n_groups || !groups->names)
        groups->exit_code = ctl_complain(CTL_FAILED, WHAT, &error);
}

/* A group that cannot be read does not hide the others. */
static void show_failure(Groups *groups, const char *name, const char *text)
{
    ErrorText error = {};
    error_say(&error, 0, "group '%s': %s", name, text);
    groups->exit_code = ctl_complain(CTL_FAILED, WHAT, &error);
    if (groups->lines)
        json_array_append_new(
                groups->lines, json_pack("{s:s, s:s}", "group", name, "error", error.line));
}

static void on_status(const LockAnswer *answer, void *userdata)
{
    Groups *groups = userdata;
    const LockStatus *status = answer->status;
    ErrorText name; /* fit for terminals and JSON */
    error_say(&name, 0, "%s", groups->name);
    if (answer->result != LOCK_DONE || !status)
        show_failure(groups, name.line, answer->error);
    else if (groups->lines)
        json_array_append_new(groups->lines,
                json_pack("{s:s, s:I, s:I, s:I}", "group", name.line, "max",
                        (json_int_t)status->max, "available", (json_int_t)status->available,
                        "holders", (json_int_t)status->n_holders));
    else
        printf("%-24s %8" PRId64 " %9" PRId64 " %8zu\n", name.line[0] ? name.line : "(no name)",
                status->max, status->available, status->n_holders);
}

/* Asks for one group after another: few clusters have many.  */
static int read_groups(LockAccess *access, Groups *groups, ErrorText *error)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < groups->n_names; i++) {
        groups->name = groups->names[i];
        LockRequest request = {.kind = LOCK_REQUEST_STATUS};
        r = lock_access_run(access, groups->name, &request, on_status, groups, error);
    }
    return r;
}

int verb_groups(int argc, char **argv, void *context)
{
    bool is_json = false;
    const GoFlag flags[] = {{"json", FLAG_BOOL, &is_json}, {}};
    if (ctl_arguments(argc, argv, flags, 0) < 0)
        return EXIT_USAGE;
    ErrorText error = {};
    _cleanup_(lock_access_freep) LockAccess *access = NULL;
    _cleanup_(groups_done) Groups groups = {.lines = is_json ? json_array() : NULL};
    if (lock_access_new(context, (const char *const *)environ, &access, &error) < 0)
        return ctl_complain(CTL_FAILED, WHAT, &error);
    LockRequest request = {.kind = LOCK_REQUEST_GROUPS};
    if (lock_access_run(access, NULL, &request, on_names, &groups, &error) < 0)
        return ctl_complain(CTL_FAILED, WHAT, &error);
    if (groups.exit_code != CTL_DONE)
        return groups.exit_code;
    if (!is_json && groups.n_names > 0)
        printf("%-24s %8s %9s %8s\n", "GROUP", "MAX", "AVAILABLE", "HOLDERS");
    if (read_groups(access, &groups, &error) < 0)
        return ctl_complain(CTL_FAILED, WHAT, &error);
    if (is_json) {
        json_dumpf(groups.lines, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
    }
    return groups.exit_code;
}
