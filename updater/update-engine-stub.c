/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "common/http-client.h"
#include "common/verbs.h"
#include "updater/config/config.h"
#include "updater/engine/system-identity.h"
#include "updater/omaha/omaha-exchange.h"
#include "updater/omaha/omaha-request.h"

/* For a machine without slots, that boots what the network gives it: tells the update server, once,
 * that it runs, so that it is counted among the others. */

#define UPDATE_ENGINE_STUB "update_engine_stub"
#define USER_AGENT "flipside/" FLIPSIDE_VERSION
#define OEM_WITHOUT_DISK "diskless" /* update_engine_stub's */

static const char *arg_root = "/";

static void print_help(void)
{
    printf("usage: " UPDATE_ENGINE_STUB " [OPTION...]\n\n"
           "Tells the update server that this machine runs. For machines without slots; started by\n"
           "update-engine-stub.timer.\n\n"
           "  --root DIR  stands for / in configuration and identity\n"
           "  -h, --help  this\n"
           "  --version\n\n"
           "Exit codes: 0 the server knows, or none is configured; 1 failed; 2 wrong command line.\n");
}

/* Returns -1 to go on, else the exit code. */
static int parse_options(int argc, char **argv)
{
    enum { OPTION_ROOT = 256, VERSION };
    static const struct option options[] = {
            {"root", required_argument, NULL, OPTION_ROOT},
            {"help", no_argument, NULL, 'h'},
            {"version", no_argument, NULL, VERSION},
            {},
    };
    argv[0] = (char *)UPDATE_ENGINE_STUB; /* for what getopt_long() says; only read */
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) >= 0;) {
        switch (option) {
        case OPTION_ROOT:
            arg_root = optarg;
            break;
        case 'h':
            print_help();
            return EXIT_SUCCESS;
        case VERSION:
            printf(UPDATE_ENGINE_STUB " " FLIPSIDE_VERSION "\n");
            return EXIT_SUCCESS;
        default:
            return EXIT_USAGE;
        }
    }
    if (optind < argc)
        return verbs_usage_error(UPDATE_ENGINE_STUB, "'%s' is no option", argv[optind]);
    return -1;
}

static int make_request(const Config *config, const SystemIdentity *system, char **ret_xml)
{
    OmahaIdentity identity = {
            .app_id = config->app_id,
            .version = config->version,
            .track = config->group,
            .boot_id = system->boot_id,
            .oem = system->oem[0] ? system->oem : OEM_WITHOUT_DISK,
            .oem_version = system->oem_version,
            .aleph_version = "",
            .machine_id = system->machine_id,
            .machine_alias = config->machine_alias,
            .board = config->board,
            .architecture = system->architecture,
    };
    OmahaEvent event = {.type = OMAHA_EVENT_UPDATE_COMPLETE, .result = OMAHA_RESULT_SUCCESS_REBOOT};
    return omaha_request_events(&identity, &event, 1, ret_xml);
}

typedef struct {
    sd_event *event;
    ErrorText *error;
} CheckIn;

static void on_done(OmahaExchange *exchange, const OmahaOutcome *outcome, void *userdata)
{
    (void)exchange;
    CheckIn *check_in = userdata;
    bool is_ok = outcome->code == UPDATE_OK;
    if (!is_ok)
        error_say(check_in->error, 0, "%s", outcome->error);
    sd_event_exit(check_in->event, is_ok ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Returns the exit code. Errors: errno, with error. */
static int check_in(const Config *config, const SystemIdentity *system, ErrorText *error)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(http_client_freep) HttpClient *http = NULL;
    _cleanup_(omaha_exchange_freep) OmahaExchange *exchange = NULL;
    _cleanup_free_ char *xml = NULL;
    CheckIn state = {.error = error};
    int r = sd_event_new(&event);
    if (r >= 0)
        r = http_client_new(event, USER_AGENT, &http);
    if (r >= 0)
        r = make_request(config, system, &xml);
    state.event = event;
    if (r >= 0)
        r = omaha_exchange_new(
                http, config->server, xml, config->app_id, false, on_done, &state, &exchange);
    if (r >= 0)
        r = sd_event_loop(event);
    return r < 0 ? error_say(error, r, "%s", strerror(-r)) : r;
}

/* Returns the exit code. Errors: errno, with error. */
static int run(ErrorText *error)
{
    _cleanup_close_ int root_fd = open(arg_root, O_DIRECTORY | O_PATH | O_CLOEXEC);
    if (root_fd < 0)
        return error_say(error, -errno, "cannot open %s: %m", arg_root);
    _cleanup_(config_freep) Config *config = NULL;
    int r = config_load(root_fd, &config, error);
    if (r < 0)
        return r;
    ErrorText warning = config_warning(config);
    if (warning.line[0])
        fprintf(stderr, UPDATE_ENGINE_STUB ": %s\n", warning.line);
    if (!config->server) {
        printf("no update server is configured\n");
        return EXIT_SUCCESS;
    }
    SystemIdentity system;
    system_identity_read(root_fd, &system);
    return check_in(config, &system, error);
}

int main(int argc, char **argv)
{
    ErrorText error = {};
    int exit_code = parse_options(argc, argv);
    if (exit_code >= 0)
        return exit_code;
    signal(SIGPIPE, SIG_IGN);
    int r = run(&error);
    if (r != EXIT_SUCCESS)
        fprintf(stderr, UPDATE_ENGINE_STUB ": %s\n", error.line[0] ? error.line : "out of memory");
    return verbs_end(UPDATE_ENGINE_STUB, r < 0 ? EXIT_FAILURE : r);
}
