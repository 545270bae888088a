/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/verbs.h"
#include "updater/client/client.h"

/* The one command that a person types: options, then the verb. */

#define FLIPSIDE "flipside"

static const Verb verbs[] = {
        {"status", 0, 0, "", "what runs, boots next, is under way, failed last", verb_status},
        {"check", 0, 0, "", "ask the server, install nothing", verb_check},
        {"update", 0, 0, "", "ask the server and install what it offers", verb_update},
        {"install", 1, 1, "FILE|URL", "install this payload", verb_install},
        {"channel", 0, 1, "[NAME]", "show or switch the channel", verb_channel},
        {"rollback", 0, 0, "", "verify the other slot and go back to it", verb_rollback},
        {"history", 0, 0, "", "what happened on this machine", verb_history},
        {"watch", 0, 0, "", "print changes until interrupted", verb_watch},
        {"cancel", 0, 0, "", "end what is under way", verb_cancel},
        {},
};

static void print_help(void)
{
    printf("usage: " FLIPSIDE " [OPTION...] VERB [ARGUMENT...]\n\n");
    verbs_print_help(verbs);
    printf("\n  --json             for programs\n"
           "  --allow-downgrade  update, install: an older version is welcome, this once\n"
           "  --to-version VERSION\n"
           "                     install: what the payload must hold, or, in format 1, holds\n"
           "  --disable-afterwards\n"
           "                     install: no updates from the server any more (SERVER=disabled)\n"
           "  --extension FILE   install: for the new system's postinst; once for each\n"
           "  --bus ADDRESS      D-Bus address (default: the system bus)\n"
           "  --root DIR         stands for / in configuration and state\n"
           "  --state-dir DIR    default: ROOT/var/lib/update-engine\n"
           "  --disk PATH        status without a daemon: the disk or image with the slots\n"
           "  --slot LABEL       ... and the one that runs\n"
           "  -h, --help         this\n"
           "  --version\n\n"
           "Exit codes: 0 done (update: also when there was nothing to install); 1 failed;\n"
           "2 wrong command line; 3 check found no update or there was nothing to cancel;\n"
           "4 update-engine is not reachable; 5 refused: no privilege, busy, disabled, or the\n"
           "reason that is given.\n");
}

enum {
    OPTION_BUS = 256,
    OPTION_ROOT,
    OPTION_STATE_DIR,
    OPTION_DISK,
    OPTION_SLOT,
    OPTION_JSON,
    OPTION_ALLOW_DOWNGRADE,
    OPTION_TO_VERSION,
    OPTION_DISABLE_AFTERWARDS,
    OPTION_EXTENSION,
    OPTION_VERSION,
};

static const struct option option_table[] = {
        {"bus", required_argument, NULL, OPTION_BUS},
        {"root", required_argument, NULL, OPTION_ROOT},
        {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
        {"disk", required_argument, NULL, OPTION_DISK},
        {"slot", required_argument, NULL, OPTION_SLOT},
        {"json", no_argument, NULL, OPTION_JSON},
        {"allow-downgrade", no_argument, NULL, OPTION_ALLOW_DOWNGRADE},
        {"to-version", required_argument, NULL, OPTION_TO_VERSION},
        {"disable-afterwards", no_argument, NULL, OPTION_DISABLE_AFTERWARDS},
        {"extension", required_argument, NULL, OPTION_EXTENSION},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {},
};

/* extensions has room for argc entries. Returns -1 to go on, else the exit code. */
static int parse_options(int argc, char **argv, ClientOptions *options, const char **extensions)
{
    argv[0] = (char *)FLIPSIDE; /* for what getopt_long() says; only read */
    for (int option; (option = getopt_long(argc, argv, "h", option_table, NULL)) >= 0;) {
        switch (option) {
        case OPTION_BUS:
            options->bus = optarg;
            break;
        case OPTION_ROOT:
            options->root = optarg;
            break;
        case OPTION_STATE_DIR:
            options->state_dir = optarg;
            break;
        case OPTION_DISK:
            options->disk = optarg;
            break;
        case OPTION_SLOT:
            options->slot = optarg;
            break;
        case OPTION_JSON:
            options->is_json = true;
            break;
        case OPTION_ALLOW_DOWNGRADE:
            options->allows_downgrade = true;
            break;
        case OPTION_TO_VERSION:
            options->to_version = optarg;
            break;
        case OPTION_DISABLE_AFTERWARDS:
            options->disables_afterwards = true;
            break;
        case OPTION_EXTENSION:
            *extensions++ = optarg;
            break;
        case 'h':
            print_help();
            return EXIT_SUCCESS;
        case OPTION_VERSION:
            printf(FLIPSIDE " " FLIPSIDE_VERSION "\n");
            return EXIT_SUCCESS;
        default:
            return EXIT_USAGE;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    setlocale(LC_TIME, "");
    _cleanup_free_ const char **extensions = calloc((size_t)argc + 1, sizeof(*extensions));
    if (!extensions)
        return EXIT_FAILURE;
    ClientOptions options = {.root = "", .to_version = "", .extensions = extensions};
    int exit_code = parse_options(argc, argv, &options, extensions);
    if (exit_code >= 0)
        return exit_code;
    exit_code = verbs_run(verbs, FLIPSIDE, argc - optind, argv + optind, &options);
    return verbs_end(FLIPSIDE, exit_code);
}
