/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/verbs.h"
#include "updater/old-client/google-flags.h"
#include "updater/old-client/old-verbs.h"

/* The command of update_engine's users, for their scripts: flags, and the one that comes first in
 * the list acts. */

#define UPDATE_ENGINE_CLIENT "update_engine_client"
#define DAEMON_WAIT_USEC (30 * USEC_PER_SEC)

static bool arg_reset_status;
static bool arg_status;
static bool arg_update;
static bool arg_check_for_update;
static bool arg_watch_for_updates;
static bool arg_help;
static bool arg_version;

static const GoogleFlag flags[] = {
        {"reset_status", &arg_reset_status},
        {"status", &arg_status},
        {"update", &arg_update},
        {"check_for_update", &arg_check_for_update},
        {"watch_for_updates", &arg_watch_for_updates},
        {"help", &arg_help},
        {"h", &arg_help},
        {"version", &arg_version},
        {},
};

static void print_help(void)
{
    printf("usage: " UPDATE_ENGINE_CLIENT " FLAG\n\n"
           "For scripts that were written for update_engine; people have 'flipside'. The first of\n"
           "these that is given acts. Dashes may be one or two, and =true or =false may follow.\n\n"
           "  -reset_status       forget a pending reboot\n"
           "  -status             print the status\n"
           "  -update             ask for an update and wait for its end\n"
           "  -check_for_update   ask for an update\n"
           "  -watch_for_updates  print the status at every change, until interrupted\n"
           "  -h, --help          this\n"
           "  --version\n\n"
           "The status is five lines of KEY=value: LAST_CHECKED_TIME, PROGRESS, CURRENT_OP,\n"
           "NEW_VERSION and NEW_SIZE.\n\n"
           "Exit codes: 0 done, with -update also when there was nothing to install; 1 failed, or\n"
           "no daemon within 30 s; 2 wrong command line.\n");
}

typedef int (*OldVerb)(ManagerProxy *proxy, ErrorText *error);

/* The one that acts, or NULL. */
static OldVerb chosen_verb(void)
{
    if (arg_reset_status)
        return old_verb_reset_status;
    if (arg_status)
        return old_verb_status;
    if (arg_update)
        return old_verb_update;
    if (arg_check_for_update)
        return old_verb_check_for_update;
    return arg_watch_for_updates ? old_verb_watch : NULL;
}

static int run(OldVerb verb)
{
    _cleanup_(manager_proxy_freep) ManagerProxy *proxy = NULL;
    ErrorText error = {};
    int exit_code = EXIT_FAILURE;
    if (manager_proxy_new(&proxy, &error) >= 0 &&
            manager_proxy_wait_for_daemon(proxy, DAEMON_WAIT_USEC, &error) >= 0)
        exit_code = verb(proxy, &error);
    if (exit_code != EXIT_SUCCESS)
        fprintf(stderr, UPDATE_ENGINE_CLIENT ": %s\n", error.line);
    return exit_code;
}

int main(int argc, char **argv)
{
    ErrorText error = {};
    int n_words = google_flags_parse(flags, argc - 1, argv + 1, &error);
    if (n_words < 0)
        return verbs_usage_error(UPDATE_ENGINE_CLIENT, "%s", error.line);
    if (arg_help)
        print_help();
    else if (arg_version)
        printf(UPDATE_ENGINE_CLIENT " " FLIPSIDE_VERSION "\n");
    if (arg_help || arg_version)
        return verbs_end(UPDATE_ENGINE_CLIENT, EXIT_SUCCESS);
    OldVerb verb = chosen_verb();
    /* With a flag words are passed over, as they always were. */
    if (!verb && n_words > 0)
        return verbs_usage_error(UPDATE_ENGINE_CLIENT, "what to do is said by a flag");
    if (!verb) {
        fprintf(stderr, "Done.\n");
        return EXIT_SUCCESS;
    }
    return verbs_end(UPDATE_ENGINE_CLIENT, run(verb));
}
