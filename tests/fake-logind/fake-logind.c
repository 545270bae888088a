/* SPDX-License-Identifier: Apache-2.0 */

/* fake-logind: logind, systemd and an update engine on a bus of a test (fake-host.h). */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>

#include "common/bus-connect.h"
#include "common/cleanup.h"
#include "common/verbs.h"
#include "tests/fake-logind/fake-host.h"

#define PROGRAM "fake-logind"

static const char *arg_bus;
static const char *arg_report;
static const char *arg_run;
static bool arg_has_systemd;
static bool arg_has_update_engine;

static const struct option options[] = {
        {"bus", required_argument, NULL, 'b'},
        {"report", required_argument, NULL, 'r'},
        {"run", required_argument, NULL, 'x'},
        {"systemd", no_argument, NULL, 's'},
        {"update-engine", no_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},
        {},
};

static void print_help(void)
{
    puts("usage: " PROGRAM " --bus ADDRESS [OPTIONS]\n\n"
         "  --bus ADDRESS     the bus to be on, as logind\n"
         "  --systemd         be systemd, too\n"
         "  --update-engine   be an update engine, too\n"
         "  --report FILE     gets what is asked of it, a JSON object a line, the first when it is\n"
         "                    there; stdout unless told\n"
         "  --run COMMAND     for /bin/sh, stands for the reboot\n\n"
         "It is told what to do by busctl --address=ADDRESS call flipside.Fake /control \\\n"
         "flipside.Fake Do as N COMMAND ARGUMENT...:\n\n"
         "  reboot accept|refuse|nothing|no-reply\n"
         "  silent yes|no                 no call is answered\n"
         "  add-session ID USER CLASS TTY SEAT STATE\n"
         "  remove-session ID\n"
         "  add-inhibitor WHAT WHO WHY block|delay\n"
         "  remove-inhibitor WHO\n"
         "  unit NAME ACTIVE-STATE        boot-complete.target is inactive at first\n"
         "  update STATUS VERSION         UPDATE_STATUS_... of the update engine\n"
         "  own NAME, release NAME        on the bus");
}

/* Returns the exit code, or -1 to go on. */
static int parse_options(int argc, char **argv)
{
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        switch (c) {
        case 'b':
            arg_bus = optarg;
            break;
        case 'r':
            arg_report = optarg;
            break;
        case 'x':
            arg_run = optarg;
            break;
        case 's':
            arg_has_systemd = true;
            break;
        case 'u':
            arg_has_update_engine = true;
            break;
        case 'h':
            print_help();
            return verbs_end(PROGRAM, EXIT_SUCCESS);
        default:
            return EXIT_USAGE;
        }
    }
    if (!arg_bus || optind < argc)
        return verbs_usage_error(PROGRAM, "--bus ADDRESS is needed, and nothing but options");
    return -1;
}

static int connect_bus(FakeHost *host)
{
    int r = bus_connect(arg_bus, &host->bus);
    if (r >= 0)
        r = sd_bus_attach_event(host->bus, host->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_set_exit_on_disconnect(host->bus, true);
    return r;
}

static int make_event(FakeHost *host)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    int r = sd_event_new(&host->event);
    if (r >= 0)
        r = sd_event_add_signal(host->event, NULL, SIGTERM, NULL, NULL);
    if (r >= 0)
        r = sd_event_add_signal(host->event, NULL, SIGINT, NULL, NULL);
    return r;
}

/* The name under which it is told what to do comes last: who sees that one sees all. */
static int serve(FakeHost *host)
{
    int r = login1_serve(host);
    if (r >= 0 && arg_has_systemd)
        r = systemd1_serve(host);
    if (r >= 0 && arg_has_update_engine)
        r = update1_serve(host);
    if (r >= 0)
        r = control_serve(host);
    if (r >= 0)
        fake_report_ready(host);
    return r;
}

static void fake_host_done(FakeHost *host)
{
    sd_bus_flush_close_unref(host->bus);
    sd_event_unref(host->event);
    if (host->report && host->report != stdout)
        fclose(host->report);
}

int main(int argc, char **argv)
{
    int exit_code = parse_options(argc, argv);
    if (exit_code >= 0)
        return exit_code;
    signal(SIGCHLD, SIG_IGN); /* the reboot's command is not waited for */
    _cleanup_(fake_host_done) FakeHost host = {.report = stdout, .command = arg_run};
    if (arg_report && !(host.report = fopen(arg_report, "ae"))) {
        fprintf(stderr, PROGRAM ": %s: %s\n", arg_report, strerror(errno));
        return EXIT_FAILURE;
    }
    int r = make_event(&host);
    if (r >= 0)
        r = connect_bus(&host);
    if (r >= 0)
        r = serve(&host);
    if (r < 0) {
        fprintf(stderr, PROGRAM ": cannot be on the bus %s: %s\n", arg_bus, strerror(-r));
        return EXIT_FAILURE;
    }
    return sd_event_loop(host.event) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
