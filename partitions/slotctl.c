/* SPDX-License-Identifier: Apache-2.0 */

/* slotctl: the slots of a disk from the command line, without any daemon.
 *
 * Exit codes: 0 done; 1 failed; 2 wrong command line; 3 status or verify found one copy of the
 * partition table damaged while the other serves; 4 no slot could boot (next, verify); 5 verify
 * found that the slot does not hold what its trailer says; 6 verify has nothing to verify the slot
 * by; 7 nothing says which slot was started; 8 no disk has it; 9 it is not what the kernel's
 * command line vouches for (boot-slot); 10 the slot is not marked good (is-good). */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/verbs.h"
#include "partitions/slot-disk.h"
#include "partitions/slotctl-verbs.h"

#define WAIT_MAX_SECONDS 3600

static SlotctlOptions arg_options = {.root = "", .tries = SLOT_TRIES_DEFAULT};

static const Verb verbs[] = {
        {"status", 0, 1, "[SLOT]", "show the slots, their bits and which one boots next",
                slotctl_status},
        {"next", 0, 0, "", "name the slot that boots next: label and PARTUUID", slotctl_next},
        {"prioritize", 0, 1, "SLOT", "make a slot the first choice", slotctl_prioritize},
        {"is-good", 0, 1, "[SLOT]",
                "ask whether a slot, the running one unless told, is marked good", slotctl_is_good},
        {"mark-good", 0, 1, "[SLOT]", "a slot, the running one unless told, works as it should",
                slotctl_mark_good},
        {"mark-bad", 0, 1, "SLOT", "never boot a slot until it is written anew", slotctl_mark_bad},
        {"verify", 0, 1, "[SLOT]", "check the partition table and the bits, and all of one slot",
                slotctl_verify},
        {"repair", 0, 0, "", "rebuild a damaged copy of the partition table from the other",
                slotctl_repair},
        {"boot-slot", 0, 0, "", "tell an initrd how to mount the slot that was started",
                slotctl_boot_slot},
        {0},
};

static void print_help(void)
{
    printf("usage: " SLOTCTL " [OPTION...] VERB [SLOT]\n\n"
           "Which slot of a disk boots, and the bits that decide it.\n\n");
    verbs_print_help(verbs);
    printf("\n"
           "  --disk PATH   the disk or disk image; otherwise that of the running system's /usr\n"
           "  --slot SLOT   the slot, by label or PARTUUID, instead of the argument\n"
           "  --type GUID   the partition type of slots, if it is not the usual one\n"
           "  --tries N     prioritize: the tries (1-%d, otherwise %d) of a slot that is not\n"
           "                marked as successful\n"
           "  --spend       next: spend a try, as a boot loader does that starts the slot\n"
           "  --wait N      boot-slot: wait up to N seconds for the disk (otherwise 0)\n"
           "  --json        print JSON\n"
           "  --root DIR    look for proc, sys and dev of the running system below DIR\n"
           "  -h, --help    this\n"
           "  --version\n\n"
           "Exit codes: 0 done; 1 failed; 2 wrong command line; 3 status or verify found one copy\n"
           "of the partition table damaged while the other serves; 4 no slot could boot (next,\n"
           "verify); 5 verify found that the slot does not hold what its trailer says; 6 verify has\n"
           "nothing to verify the slot by; 7 nothing says which slot was started; 8 no disk has it;\n"
           "9 it is not what the kernel's command line vouches for (boot-slot); 10 the slot is not\n"
           "marked good (is-good).\n",
            SLOT_TRIES_MAX, SLOT_TRIES_DEFAULT);
}

static int parse_tries(const char *text)
{
    char *end = NULL;
    unsigned long tries = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || tries < 1 || tries > SLOT_TRIES_MAX)
        return verbs_usage_error(
                SLOTCTL, "--tries '%s' is no number from 1 to %d", text, SLOT_TRIES_MAX);
    arg_options.tries = (unsigned)tries;
    return 0;
}

static int parse_type(const char *text)
{
    if (guid_from_text(text, &arg_options.type) < 0)
        return verbs_usage_error(SLOTCTL, "--type '%s' is no GUID", text);
    arg_options.has_type = true;
    return 0;
}

static int parse_wait(const char *text)
{
    char *end = NULL;
    unsigned long seconds = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || seconds > WAIT_MAX_SECONDS)
        return verbs_usage_error(SLOTCTL, "--wait '%s' is no number of seconds from 0 to %d", text,
                WAIT_MAX_SECONDS);
    arg_options.wait_usec = seconds * USEC_PER_SEC;
    return 0;
}

enum {
    OPTION_DISK = 256,
    OPTION_SLOT,
    OPTION_TYPE,
    OPTION_TRIES,
    OPTION_SPEND,
    OPTION_WAIT,
    OPTION_JSON,
    OPTION_ROOT,
    OPTION_VERSION,
};

/* Returns 0 or the exit code of a wrong value. */
static int take_option(int option, const char *value)
{
    switch (option) {
    case OPTION_DISK:
        arg_options.disk = value;
        return 0;
    case OPTION_SLOT:
        arg_options.slot = value;
        return 0;
    case OPTION_TYPE:
        return parse_type(value);
    case OPTION_TRIES:
        return parse_tries(value);
    case OPTION_SPEND:
        arg_options.spend = true;
        return 0;
    case OPTION_WAIT:
        return parse_wait(value);
    case OPTION_JSON:
        arg_options.json = true;
        return 0;
    case OPTION_ROOT:
        arg_options.root = value;
        return 0;
    default:
        return EXIT_USAGE; /* getopt_long() said why */
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
            {"disk", required_argument, NULL, OPTION_DISK},
            {"slot", required_argument, NULL, OPTION_SLOT},
            {"type", required_argument, NULL, OPTION_TYPE},
            {"tries", required_argument, NULL, OPTION_TRIES},
            {"spend", no_argument, NULL, OPTION_SPEND},
            {"wait", required_argument, NULL, OPTION_WAIT},
            {"json", no_argument, NULL, OPTION_JSON},
            {"root", required_argument, NULL, OPTION_ROOT},
            {"help", no_argument, NULL, 'h'},
            {"version", no_argument, NULL, OPTION_VERSION},
            {0},
    };
    argv[0] = (char *)SLOTCTL; /* for what getopt_long() says; only read */
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) >= 0;) {
        if (option == 'h') {
            print_help();
            return EXIT_SUCCESS;
        }
        if (option == OPTION_VERSION) {
            printf(SLOTCTL " " FLIPSIDE_VERSION "\n");
            return EXIT_SUCCESS;
        }
        int r = take_option(option, optarg);
        if (r != 0)
            return r;
    }
    int r = verbs_run(verbs, SLOTCTL, argc - optind, argv + optind, &arg_options);
    return verbs_end(SLOTCTL, r);
}
