/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "locksmith/client/ctl-verbs.h"
#include "locksmith/client/lock-access.h"

/* set-max: how many may hold the lock at once. 0 freezes the group. */

#define WHAT "Error setting value"

typedef struct {
    int64_t max;
    int exit_code;
} NewMax;

static void on_answer(const LockAnswer *answer, void *userdata)
{
    NewMax *new_max = userdata;
    if (answer->result == LOCK_DONE) {
        printf("Old-Max: %" PRId64 "\nMax: %" PRId64 "\n", answer->old_max, new_max->max);
        new_max->exit_code = CTL_DONE;
        return;
    }
    ErrorText error = lock_answer_text(answer);
    new_max->exit_code = ctl_complain(CTL_FAILED, WHAT, &error);
}

/* Digits alone: a sign, blanks or a tail are a slip of the pen. */
static bool read_max(const char *text, int64_t *ret_max)
{
    int n_read = 0;
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text) || strlen(text) > 9)
        return false;
    return sscanf(text, "%" SCNd64 "%n", ret_max, &n_read) == 1;
}

int verb_set_max(int argc, char **argv, void *context)
{
    int n = ctl_arguments(argc, argv, NULL, 1);
    if (n < 0)
        return EXIT_USAGE;
    if (n == 0)
        return verbs_usage_error(LOCKSMITHCTL, "New maximum value must be set");
    NewMax new_max = {.exit_code = CTL_FAILED};
    if (!read_max(argv[1], &new_max.max))
        return verbs_usage_error(LOCKSMITHCTL,
                "Invalid maximum value: %s (write a number from 0 to 999999999)", argv[1]);
    ErrorText error = {};
    _cleanup_(lock_access_freep) LockAccess *access = NULL;
    if (lock_access_new_as_daemon(context, (const char *const *)environ, &access, &error) < 0)
        return ctl_complain(CTL_FAILED, WHAT, &error);
    LockRequest request = {.kind = LOCK_REQUEST_SET_MAX, .max = new_max.max};
    int r = lock_access_run(access, NULL, &request, on_answer, &new_max, &error);
    return r < 0 ? ctl_complain(CTL_FAILED, WHAT, &error) : new_max.exit_code;
}
