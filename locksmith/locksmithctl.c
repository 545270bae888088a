/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "locksmith/client/ctl-verbs.h"

/* The cluster's reboot lock and locksmithd, for a person: flags, then the verb. What Go
 * locksmithctl takes and prints, this does, too. */

static int verb_help(int argc, char **argv, void *context);

static const Verb verbs[] = {
        {"status", 0, -1, "[--long|--json]", "the lock: free places, holders", verb_status},
        {"lock", 0, -1, "[ID]", "makes this host, or ID, a holder", verb_lock},
        {"unlock", 0, -1, "[ID]", "takes that back", verb_unlock},
        {"set-max", 0, -1, "NUMBER", "how many may hold it; 0: nobody", verb_set_max},
        {"groups", 0, -1, "[--json]", "all groups in the store", verb_groups},
        {"reboot", 0, -1, "", "takes the lock, then reboots", verb_reboot},
        {"pause", 0, -1, "TIME [--why TEXT]", "no reboot for 4h, or until 03:00", verb_pause},
        {"resume", 0, -1, "", "ends the pause", verb_resume},
        {"approve", 0, -1, "[OPTION...]", "lets the reboot be", verb_approve},
        {"reboot-now", 0, -1, "[--skip-hooks]", "no more waiting, but for the lock",
                verb_reboot_now},
        {"send-need-reboot", 0, -1, "", "as if an update waited", verb_send_need_reboot},
        {"help", 0, 1, "[VERB]", "this, or how one is used", verb_help},
        {},
};

static void print_help(void)
{
    printf("usage: " LOCKSMITHCTL " [FLAG...] VERB [ARGUMENT...]\n\n");
    for (const Verb *verb = verbs; verb->name; verb++)
        printf("  %-16s %-19s %s\n", verb->name, verb->usage, verb->help);
    printf("\n  --endpoint URL       of etcd, or of the FleetLock server; several: again, or a,b\n"
           "  --group NAME         of hosts that share a lock\n"
           "  --store NAME         etcd-v3, etcd-v2 or fleet-lock\n"
           "  --etcd-cafile FILE, --etcd-certfile FILE, --etcd-keyfile FILE\n"
           "  --etcd-username NAME, --etcd-password TEXT\n"
           "  --machine-id ID      stands for this host\n"
           "  --bus ADDRESS        D-Bus address (default: the system bus)\n"
           "  --root DIR           stands for / in configuration and state\n"
           "  --debug              say more\n"
           "  -h, --help           this\n"
           "  --version\n\n"
           "status: --json and --long tell of locksmithd, too; --long for people.\n"
           "approve: --for VERSION, --until TIME; --withdraw takes it back.\n"
           "What no flag says is LOCKSMITHCTL_ENDPOINT, LOCKSMITHCTL_GROUP and so on in the\n"
           "environment, else as locksmithd has it from update.conf.\n\n"
           "Exit codes: 0 done, or it was so already; 1 failed: the lock is full, its store does\n"
           "not answer; 2 wrong command line; 3 nothing to resume, withdraw or reboot for;\n"
           "4 locksmithd does not run; 5 refused: no privilege, an inhibitor.\n");
}

static int verb_help(int argc, char **argv, void *context)
{
    (void)context;
    if (argc < 2) {
        print_help();
        return CTL_DONE;
    }
    for (const Verb *verb = verbs; verb->name; verb++)
        if (strcmp(verb->name, argv[1]) == 0) {
            printf("usage: " LOCKSMITHCTL " %s%s%s\n%s\n", verb->name, verb->usage[0] ? " " : "",
                    verb->usage, verb->help);
            return CTL_DONE;
        }
    fprintf(stderr, "Unrecognized command: %s\n", argv[1]);
    return CTL_FAILED;
}

static bool asks_help(const char *argument)
{
    return strcmp(argument, "-h") == 0 || strcmp(argument, "-help") == 0 ||
           strcmp(argument, "--help") == 0;
}

static int run(int argc, char **argv, CtlOptions *options)
{
    if (options->asks_version) {
        printf(LOCKSMITHCTL " " FLIPSIDE_VERSION "\n");
        return CTL_DONE;
    }
    if (options->asks_help || argc == 0) {
        print_help();
        return CTL_DONE;
    }
    if (argc > 1 && asks_help(argv[1]))
        return verb_help(2, (char *[]){argv[1], argv[0]}, options);
    log_set_max_level(options->is_debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING);
    return verbs_run(verbs, LOCKSMITHCTL, argc, argv, options);
}

int main(int argc, char **argv)
{
    setlocale(LC_TIME, "");
    signal(SIGPIPE, SIG_IGN); /* a server that hangs up within TLS must not end us */
    _cleanup_(ctl_options_done) CtlOptions options = {};
    ErrorText error = {};
    int n_left = argc > 0 ? ctl_options_read(argc - 1, argv + 1, (const char *const *)environ,
                                    &options, &error)
                          : 0;
    if (n_left < 0)
        return verbs_usage_error(LOCKSMITHCTL, "%s", error.line);
    return verbs_end(LOCKSMITHCTL, run(n_left, argv + 1, &options));
}
