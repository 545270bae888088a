/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "common/service-notify.h"
#include "common/verbs.h"
#include "locksmith/daemon/watch/bus-link.h"
#include "locksmith/daemon/daemon-bus.h"
#include "locksmith/daemon/locksmith.h"

/* The daemon: options, loop, bus, and the object that decides. */

#define LOCKSMITHD "locksmithd"

/* The exit codes are in locksmithd(8). */
enum {
    EXIT_OTHER_RUNS = 3,
    EXIT_CONFIGURATION = 4,
};

static const char *arg_root = "";
static const char *arg_bus;
static const char *arg_machine_id;
static const char *arg_boot_id;

static void print_help(void)
{
    printf("usage: " LOCKSMITHD " [OPTION...]\n\n"
           "Reboots the host when an update waits for that, one host of a cluster at a time.\n"
           "Started by systemd; 'locksmithctl' talks to it.\n\n"
           "  --root DIR        stands for / in configuration, state, hooks and terminals\n"
           "  --bus ADDRESS     D-Bus address (default: the system bus)\n"
           "  --machine-id ID   stands for the one in /etc/machine-id\n"
           "  --boot-id ID      stands for the kernel's\n"
           "  -v, --verbose     log more\n"
           "  -h, --help        this\n"
           "  --version\n\n"
           "Exit codes: 0 asked to stop; 1 failed; 2 wrong command line; 3 another program\n"
           "coordinates reboots here; 4 the configuration is wrong.\n");
}

/* Returns -1 to go on, else the exit code. */
static int parse_options(int argc, char **argv)
{
    enum { OPTION_ROOT = 256, BUS, MACHINE_ID, BOOT_ID, VERSION };
    static const struct option options[] = {
            {"root", required_argument, NULL, OPTION_ROOT},
            {"bus", required_argument, NULL, BUS},
            {"machine-id", required_argument, NULL, MACHINE_ID},
            {"boot-id", required_argument, NULL, BOOT_ID},
            {"verbose", no_argument, NULL, 'v'},
            {"help", no_argument, NULL, 'h'},
            {"version", no_argument, NULL, VERSION},
            {},
    };
    argv[0] = (char *)LOCKSMITHD; /* for what getopt_long() says; only read */
    for (int option; (option = getopt_long(argc, argv, "vh", options, NULL)) >= 0;) {
        switch (option) {
        case OPTION_ROOT:
            arg_root = optarg;
            break;
        case BUS:
            arg_bus = optarg;
            break;
        case MACHINE_ID:
            arg_machine_id = optarg;
            break;
        case BOOT_ID:
            arg_boot_id = optarg;
            break;
        case 'v':
            log_set_max_level(LOG_LEVEL_DEBUG);
            break;
        case 'h':
            print_help();
            return EXIT_SUCCESS;
        case VERSION:
            printf(LOCKSMITHD " " FLIPSIDE_VERSION "\n");
            return EXIT_SUCCESS;
        default:
            return EXIT_USAGE;
        }
    }
    if (optind < argc)
        return verbs_usage_error(LOCKSMITHD, "'%s' is no option", argv[optind]);
    return -1;
}

typedef struct {
    sd_event *event;
    sd_event_source *signals[3];
    Locksmith *locksmith;
    BusLink *link;
    DaemonBus *bus; /* NULL: the bus is away */
} Daemon;

static void on_status(void *userdata)
{
    Daemon *daemon = userdata;
    LocksmithStatus status;
    locksmith_status(daemon->locksmith, &status);
    service_notify_status("%s: %s", status.state, status.text);
    if (daemon->bus)
        daemon_bus_tell(daemon->bus);
}

static void on_taken(void *userdata)
{
    Daemon *daemon = userdata;
    log_error("another locksmithd has the name on the bus");
    (void)sd_event_exit(daemon->event, EXIT_OTHER_RUNS);
}

static void on_bus_up(sd_bus *bus, void *userdata)
{
    Daemon *daemon = userdata;
    int r = daemon_bus_new(bus, daemon->locksmith, on_taken, daemon, &daemon->bus);
    if (r < 0)
        log_error("cannot serve on the bus: %s", strerror(-r));
    locksmith_set_bus(daemon->locksmith, bus);
}

static void on_bus_down(void *userdata)
{
    Daemon *daemon = userdata;
    daemon_bus_free(TAKE_PTR(daemon->bus));
    locksmith_set_bus(daemon->locksmith, NULL);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    (void)source;
    (void)info;
    Daemon *daemon = userdata;
    ErrorText error = {};
    (void)locksmith_reload(daemon->locksmith, &error); /* it has said what is wrong */
    return 0;
}

/* The lock stays: it is the reboot itself that ends the daemon. */
static int on_end(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    (void)info;
    (void)userdata;
    log_info("asked to stop");
    (void)sd_event_exit(sd_event_source_get_event(source), EXIT_SUCCESS);
    return 0;
}

static int make_event(Daemon *daemon)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    signal(SIGPIPE, SIG_IGN);
    int r = sd_event_new(&daemon->event);
    if (r >= 0)
        r = sd_event_add_signal(daemon->event, &daemon->signals[0], SIGTERM, on_end, daemon);
    if (r >= 0)
        r = sd_event_add_signal(daemon->event, &daemon->signals[1], SIGINT, on_end, daemon);
    if (r >= 0)
        r = sd_event_add_signal(daemon->event, &daemon->signals[2], SIGHUP, on_hangup, daemon);
    return r;
}

static void daemon_done(Daemon *daemon)
{
    daemon_bus_free(daemon->bus);
    locksmith_free(daemon->locksmith);
    bus_link_free(daemon->link);
    for (size_t i = 0; i < ELEMENTS(daemon->signals); i++)
        sd_event_source_disable_unref(daemon->signals[i]);
    sd_event_unref(daemon->event);
}

static int start(Daemon *daemon, const LocksmithOptions *options)
{
    static const BusLinkHandlers handlers = {.on_up = on_bus_up, .on_down = on_bus_down};
    ErrorText error = {};
    int r = locksmith_new(daemon->event, options, on_status, daemon, &daemon->locksmith, &error);
    if (r < 0) {
        log_error("%s", error.line[0] ? error.line : strerror(-r));
        return r == -EBUSY ? EXIT_OTHER_RUNS : r == -EINVAL ? EXIT_CONFIGURATION : EXIT_FAILURE;
    }
    r = bus_link_new(daemon->event, arg_bus, &handlers, daemon, &daemon->link);
    if (r < 0) {
        log_error("cannot set up the bus: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    r = service_notify_ready(daemon->event);
    if (r < 0)
        log_warning("no watchdog: %s", strerror(-r));
    return -1;
}

int main(int argc, char **argv)
{
    int exit_code = parse_options(argc, argv);
    if (exit_code >= 0)
        return exit_code;
    LocksmithOptions options = {
            .root = arg_root,
            .machine_id = arg_machine_id,
            .boot_id = arg_boot_id,
            .environment = (const char *const *)environ,
    };
    _cleanup_(daemon_done) Daemon daemon = {};
    int r = make_event(&daemon);
    if (r < 0) {
        log_error("cannot set up the event loop: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    exit_code = start(&daemon, &options);
    if (exit_code >= 0)
        return exit_code;
    r = sd_event_loop(daemon.event);
    if (r < 0)
        log_error("the loop has ended: %s", strerror(-r));
    return r < 0 ? EXIT_FAILURE : r;
}
