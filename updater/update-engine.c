/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/service-notify.h"
#include "common/verbs.h"
#include "updater/engine/engine-bus.h"

/* The daemon: options, loop, bus, engine. */

#define UPDATE_ENGINE "update-engine"

/* The exit codes are in update-engine(8). */
enum {
    EXIT_OTHER_RUNS = 3,
    EXIT_STATE_FOLDER = 4,
    EXIT_BUS = 5,
};

/* Keys lie in its folder keys, or where there is none beside the others' file, as update_engine
 * has it. */
#define KEY_DIR "/usr/share/update_engine"

static const char *arg_root = "";
static const char *arg_disk;
static const char *arg_slot;
static const char *arg_state_dir;
static const char *arg_key_dir;
static const char *arg_bus;
static const char *arg_operator = FLIPSIDE_OPERATOR;
static bool arg_postinst = FLIPSIDE_POSTINST;
static unsigned arg_postinst_limit_sec = 600;

static void print_help(void)
{
    printf("usage: " UPDATE_ENGINE " [OPTION...]\n\n"
           "Installs updates into the slot that does not run and flips to it. Started by systemd;\n"
           "'flipside' talks to it.\n\n"
           "  --root DIR        stands for / in configuration and identity\n"
           "  --disk PATH       disk or image with the slots (default: the running system's)\n"
           "  --slot LABEL      the slot that runs (default: found out)\n"
           "  --state-dir DIR   default: ROOT/var/lib/update-engine\n"
           "  --key-dir DIR     trusted keys, *.pem; default: ROOT/usr/share/update_engine/keys,\n"
           "                    or ROOT/usr/share/update_engine where that is not there\n"
           "  --bus ADDRESS     D-Bus address (default: the system bus)\n"
           "  --operator USER   may ask for an update and take it back besides root\n"
           "                    (default: %s)\n"
           "  --postinst yes|no run the new image's program /postinst before the flip (default: %s)\n"
           "  --postinst-limit SECONDS\n"
           "                    after which it is ended and the update fails (default: 600)\n"
           "  --foreground, --logtostderr\n"
           "                    accepted, also with one dash: it never does anything else\n"
           "  -v, --verbose     log more\n"
           "  -h, --help        this\n"
           "  --version\n\n"
           "Exit codes: 0 asked to stop; 1 failed (or lost the bus); 2 wrong command line;\n"
           "3 another one runs; 4 the state folder cannot be used; 5 no bus.\n",
            FLIPSIDE_OPERATOR[0] ? FLIPSIDE_OPERATOR : "nobody", FLIPSIDE_POSTINST ? "yes" : "no");
}

static int parse_postinst(const char *text)
{
    arg_postinst = strcmp(text, "yes") == 0;
    if (arg_postinst || strcmp(text, "no") == 0)
        return -1;
    return verbs_usage_error(UPDATE_ENGINE, "--postinst takes yes or no, not '%s'", text);
}

static int parse_postinst_limit(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    arg_postinst_limit_sec = (unsigned)n;
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && n > 0 && n <= 86400)
        return -1;
    return verbs_usage_error(
            UPDATE_ENGINE, "--postinst-limit takes seconds from 1 to 86400, not '%s'", text);
}

enum {
    OPTION_ROOT = 256,
    DISK,
    SLOT,
    STATE_DIR,
    KEYS,
    BUS,
    OPERATOR,
    POSTINST,
    POSTINST_LIMIT,
    IGNORED,
    VERSION
};

static const struct option long_options[] = {
        {"root", required_argument, NULL, OPTION_ROOT},
        {"disk", required_argument, NULL, DISK},
        {"slot", required_argument, NULL, SLOT},
        {"state-dir", required_argument, NULL, STATE_DIR},
        {"key-dir", required_argument, NULL, KEYS},
        {"bus", required_argument, NULL, BUS},
        {"operator", required_argument, NULL, OPERATOR},
        {"postinst", required_argument, NULL, POSTINST},
        {"postinst-limit", required_argument, NULL, POSTINST_LIMIT},
        {"foreground", no_argument, NULL, IGNORED},
        {"logtostderr", no_argument, NULL, IGNORED},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, VERSION},
        {},
};

/* Returns -1 to go on, else the exit code. */
static int parse_options(int argc, char **argv)
{
    argv[0] = (char *)UPDATE_ENGINE; /* for what getopt_long() says; only read */
    int exit_code = -1;
    /* Units that were written for update_engine say -foreground. */
    for (int option; exit_code < 0 &&
                     (option = getopt_long_only(argc, argv, "vh", long_options, NULL)) >= 0;) {
        switch (option) {
        case OPTION_ROOT:
            arg_root = optarg;
            break;
        case DISK:
            arg_disk = optarg;
            break;
        case SLOT:
            arg_slot = optarg;
            break;
        case STATE_DIR:
            arg_state_dir = optarg;
            break;
        case KEYS:
            arg_key_dir = optarg;
            break;
        case BUS:
            arg_bus = optarg;
            break;
        case OPERATOR:
            arg_operator = optarg;
            break;
        case POSTINST:
            exit_code = parse_postinst(optarg);
            break;
        case POSTINST_LIMIT:
            exit_code = parse_postinst_limit(optarg);
            break;
        case IGNORED:
            break;
        case 'v':
            log_set_max_level(LOG_LEVEL_DEBUG);
            break;
        case 'h':
            print_help();
            return EXIT_SUCCESS;
        case VERSION:
            printf(UPDATE_ENGINE " " FLIPSIDE_VERSION "\n");
            return EXIT_SUCCESS;
        default:
            return EXIT_USAGE;
        }
    }
    if (exit_code >= 0)
        return exit_code;
    if (optind < argc)
        return verbs_usage_error(UPDATE_ENGINE, "'%s' is no option", argv[optind]);
    return -1;
}

/* The bus shows every change, systemd the phase. */
typedef struct {
    EngineBus *bus;
    Engine *engine; /* NULL until it is there */
} Daemon;

static void on_status(void *userdata)
{
    Daemon *daemon = userdata;
    engine_bus_observer.on_status(daemon->bus);
    if (!daemon->engine)
        return;
    EngineStatus status = engine_status(daemon->engine);
    service_notify_status("%s%s%s%s%s", engine_phase_text(status.phase),
            status.new_version[0] ? ", version " : "", status.new_version,
            status.last_error[0] ? "; last failure: " : "", status.last_error);
}

static void on_progress(void *userdata)
{
    Daemon *daemon = userdata;
    engine_bus_observer.on_progress(daemon->bus);
}

static void on_finished(const EngineOutcome *outcome, void *userdata)
{
    Daemon *daemon = userdata;
    engine_bus_observer.on_finished(outcome, daemon->bus);
    on_status(daemon);
}

static const EngineObserver observer = {
        .on_status = on_status, .on_progress = on_progress, .on_finished = on_finished};

static void daemon_done(Daemon *daemon)
{
    engine_free(daemon->engine);
    engine_bus_free(daemon->bus);
}

static int complain(int exit_code, const ErrorText *error)
{
    log_error("%s", error->line[0] ? error->line : "out of memory");
    return exit_code;
}

static int make_event(sd_event **ret_event)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    /* Before the first thread, so that all of them have it blocked. */
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    signal(SIGPIPE, SIG_IGN);
    int r = sd_event_new(&event);
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
    if (r < 0)
        return r;
    *ret_event = TAKE_PTR(event);
    return 0;
}

static int start(sd_event *event, Daemon *daemon)
{
    _cleanup_free_ char *state_dir = NULL, *key_dir = NULL;
    if (asprintf(&state_dir, "%s/var/lib/update-engine", arg_root) < 0 ||
            asprintf(&key_dir, "%s" KEY_DIR "/keys", arg_root) < 0)
        return complain(EXIT_FAILURE, &(ErrorText){});
    if (access(key_dir, F_OK) < 0)
        key_dir[strlen(key_dir) - strlen("/keys")] = '\0';
    EngineOptions options = {
            .root = arg_root,
            .disk_path = arg_disk,
            .slot_label = arg_slot,
            .state_dir = arg_state_dir ? arg_state_dir : state_dir,
            .key_dir = arg_key_dir ? arg_key_dir : key_dir,
            .postinst_limit_usec = arg_postinst ? arg_postinst_limit_sec * USEC_PER_SEC : 0,
    };
    ErrorText error = {};
    if (engine_bus_new(event, arg_bus, arg_operator, &daemon->bus, &error) < 0)
        return complain(EXIT_BUS, &error);
    int r = engine_new(event, &options, &observer, daemon, &daemon->engine, &error);
    if (r == -EBUSY)
        return complain(EXIT_OTHER_RUNS, &error);
    if (r < 0)
        return complain(r == -ENOMEM ? EXIT_FAILURE : EXIT_STATE_FOLDER, &error);
    r = engine_bus_serve(daemon->bus, daemon->engine, &error);
    if (r < 0)
        return complain(r == -EEXIST ? EXIT_OTHER_RUNS : EXIT_BUS, &error);
    r = service_notify_ready(event);
    if (r < 0)
        log_warning("no watchdog: %s", strerror(-r));
    on_status(daemon);
    return -1;
}

int main(int argc, char **argv)
{
    /* Memory that worker threads free goes back to few arenas instead of one each (promise 10). */
    mallopt(M_ARENA_MAX, 2);
    /* What is large goes back to the system when it is freed. */
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    int exit_code = parse_options(argc, argv);
    if (exit_code >= 0)
        return exit_code;
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    int r = make_event(&event);
    if (r < 0) {
        log_error("cannot set up the event loop: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    _cleanup_(daemon_done) Daemon daemon = {};
    exit_code = start(event, &daemon);
    if (exit_code >= 0)
        return exit_code;
    r = sd_event_loop(event);
    if (r != 0)
        log_error("the loop has ended: %s", r < 0 ? strerror(-r) : "the bus is gone");
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
