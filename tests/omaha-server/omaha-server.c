/* SPDX-License-Identifier: Apache-2.0 */

/* omaha-server: a small update server for tests and labs. It offers the releases of a folder by
 * channel, keeps what clients report, and misbehaves when it is told to. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libxml/parser.h>
#include <locale.h>
#include <signal.h>
#include <string.h>

#include "common/atomic-file.h"
#include "common/cleanup.h"
#include "common/verbs.h"
#include "tests/omaha-server/behaviour.h"
#include "tests/omaha-server/lab-server.h"
#include "tests/omaha-server/release-folder.h"
#include "tests/omaha-server/release-list.h"
#include "tests/omaha-server/report.h"

#define PROGRAM "omaha-server"
#define PAYLOAD_URLS_MAX 32

static const char *arg_version;
static const char *arg_delta_from;
static bool arg_json;
static const char *arg_listen = "127.0.0.1:8080";
static const char *arg_port_file;
static const char *arg_report;
static const char *arg_behaviour;
static const char *arg_app_id;
static const char *arg_payload_urls[PAYLOAD_URLS_MAX];
static size_t arg_n_payload_urls;
static json_t *arg_misbehave;

typedef enum {
    OPTION_VERSION = 'v',
    OPTION_DELTA_FROM = 'd',
    OPTION_JSON = 'j',
    OPTION_LISTEN = 'l',
    OPTION_PORT_FILE = 'p',
    OPTION_REPORT = 'r',
    OPTION_BEHAVIOUR = 'b',
    OPTION_APP_ID = 'a',
    OPTION_PAYLOAD_URL = 'u',
    OPTION_MISBEHAVE = 'm',
} Option;

static const struct option add_options[] = {
        {"version", required_argument, NULL, OPTION_VERSION},
        {"delta-from", required_argument, NULL, OPTION_DELTA_FROM},
        {},
};
static const struct option list_options[] = {{"json", no_argument, NULL, OPTION_JSON}, {}};
static const struct option no_options[] = {{}};
static const struct option serve_options[] = {
        {"listen", required_argument, NULL, OPTION_LISTEN},
        {"port-file", required_argument, NULL, OPTION_PORT_FILE},
        {"report", required_argument, NULL, OPTION_REPORT},
        {"behaviour", required_argument, NULL, OPTION_BEHAVIOUR},
        {"app-id", required_argument, NULL, OPTION_APP_ID},
        {"payload-url", required_argument, NULL, OPTION_PAYLOAD_URL},
        {"misbehave", required_argument, NULL, OPTION_MISBEHAVE},
        {},
};

static const char option_help[] =
        "\nOptions of add:\n"
        "  --version V            instead of the version in the payload's manifest; one of format 1\n"
        "                         has none\n"
        "  --delta-from V         it is a delta for machines that run V, beside the release of its\n"
        "                         version, which is there already\n"
        "Options of list:\n"
        "  --json\n"
        "Options of serve:\n"
        "  --listen ADDRESS:PORT  127.0.0.1:8080 unless told; port 0: the kernel picks\n"
        "  --port-file FILE       gets the port's number once it is listened at\n"
        "  --report FILE          gets what clients do, a JSON object a line\n"
        "  --payload-url URL      a codebase to answer instead of the own, {version} is replaced;\n"
        "                         may be given several times\n"
        "  --app-id ID            the only application id to answer\n"
        "  --behaviour FILE       how to misbehave, JSON, read again at each request\n"
        "  --misbehave KEY=VALUE  the same; may be given several times. Keys: omaha, payload,\n"
        "                         after, offset, times, wrong-size, wrong-hash, rate,\n"
        "                         poll-interval, app-status (tests/omaha-server/behaviour.h)\n";

static int complain(const ErrorText *error)
{
    fprintf(stderr, PROGRAM ": %s\n", error->line);
    return EXIT_FAILURE;
}

static int take_option(int option, ErrorText *error)
{
    switch ((Option)option) {
    case OPTION_VERSION:
        arg_version = optarg;
        return 0;
    case OPTION_DELTA_FROM:
        arg_delta_from = optarg;
        return 0;
    case OPTION_JSON:
        arg_json = true;
        return 0;
    case OPTION_LISTEN:
        arg_listen = optarg;
        return 0;
    case OPTION_PORT_FILE:
        arg_port_file = optarg;
        return 0;
    case OPTION_REPORT:
        arg_report = optarg;
        return 0;
    case OPTION_BEHAVIOUR:
        arg_behaviour = optarg;
        return 0;
    case OPTION_APP_ID:
        arg_app_id = optarg;
        return 0;
    case OPTION_PAYLOAD_URL:
        if (arg_n_payload_urls == PAYLOAD_URLS_MAX)
            return error_say(error, -EINVAL, "at most %d --payload-url", PAYLOAD_URLS_MAX);
        arg_payload_urls[arg_n_payload_urls++] = optarg;
        return 0;
    case OPTION_MISBEHAVE:
        return behaviour_add_switch(arg_misbehave, optarg, error);
    }
    return error_say(error, -EINVAL, "see '" PROGRAM " --help'");
}

/* Reads the verb's options and moves its arguments, of which there must be n_arguments, to
 * argv[1]. */
static int take_command_line(
        int argc, char **argv, const struct option *options, int n_arguments, const char *usage)
{
    int option;
    ErrorText error = {};
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
        if (take_option(option, &error) < 0) {
            if (option != '?')
                complain(&error);
            return -EINVAL;
        }
    if (argc - optind != n_arguments) {
        fprintf(stderr, PROGRAM ": usage: " PROGRAM " %s %s\n", argv[0], usage);
        return -EINVAL;
    }
    memmove(argv + 1, argv + optind, (size_t)n_arguments * sizeof(*argv));
    return 0;
}

#define ADD_USAGE "DIR PAYLOAD CHANNEL [--version V] [--delta-from V]"
static int verb_add(int argc, char **argv, void *context)
{
    (void)context;
    if (take_command_line(argc, argv, add_options, 3, ADD_USAGE) < 0)
        return EXIT_USAGE;
    ErrorText error = {};
    Release release;
    _cleanup_close_ int folder_fd = release_folder_open(argv[1], true, &error);
    int r = folder_fd;
    if (r >= 0 && arg_delta_from)
        r = release_folder_add_delta(
                folder_fd, argv[2], arg_version, arg_delta_from, argv[3], &release, &error);
    else if (r >= 0)
        r = release_folder_add(folder_fd, argv[2], arg_version, argv[3], &release, &error);
    if (r < 0)
        return complain(&error);
    if (arg_delta_from)
        printf("%s is a delta from %s to release %s, %llu bytes, on channel %s.\n", argv[2],
                arg_delta_from, release.version, (unsigned long long)release.size_bytes, argv[3]);
    else
        printf("%s is release %s, %llu bytes, and on channel %s now.\n", argv[2], release.version,
                (unsigned long long)release.size_bytes, argv[3]);
    return EXIT_SUCCESS;
}

#define PROMOTE_USAGE "DIR FROM-CHANNEL TO-CHANNEL"
static int verb_promote(int argc, char **argv, void *context)
{
    (void)context;
    if (take_command_line(argc, argv, no_options, 3, PROMOTE_USAGE) < 0)
        return EXIT_USAGE;
    ErrorText error = {};
    char version[RELEASE_NAME_MAX + 1];
    _cleanup_close_ int folder_fd = release_folder_open(argv[1], false, &error);
    if (folder_fd < 0 || release_folder_find_channel(folder_fd, argv[2], version, &error) < 0 ||
            release_folder_point(folder_fd, argv[3], version, &error) < 0)
        return complain(&error);
    printf("Release %s is on channel %s now, as on %s.\n", version, argv[3], argv[2]);
    return EXIT_SUCCESS;
}

#define LIST_USAGE "DIR [--json]"
static int verb_list(int argc, char **argv, void *context)
{
    (void)context;
    if (take_command_line(argc, argv, list_options, 1, LIST_USAGE) < 0)
        return EXIT_USAGE;
    ErrorText error = {};
    _cleanup_close_ int folder_fd = release_folder_open(argv[1], false, &error);
    if (folder_fd < 0 || release_list_print(folder_fd, arg_json, stdout, &error) < 0)
        return complain(&error);
    return EXIT_SUCCESS;
}

static int write_port_file(const LabServer *server, ErrorText *error)
{
    char line[16];
    if (!arg_port_file)
        return 0;
    int n = snprintf(line, sizeof(line), "%s\n", strrchr(lab_server_address(server), ':') + 1);
    int r = atomic_file_write(AT_FDCWD, arg_port_file, line, (size_t)n, 0644);
    return r < 0 ? error_say(error, r, "cannot write %s: %s", arg_port_file, strerror(-r)) : 0;
}

/* Serves until a signal asks for the end. */
static int serve(const LabOptions *options, ErrorText *error)
{
    sigset_t signals;
    int signal_number;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* in the threads too */
    signal(SIGPIPE, SIG_IGN);
    xmlInitParser();

    _cleanup_(lab_server_freep) LabServer *server = NULL;
    int r = lab_server_new(options, arg_listen, &server, error);
    if (r < 0)
        return r;
    fprintf(stderr,
            PROGRAM ": for tests and small labs only; for a fleet run Nebraska"
                    " (https://github.com/flatcar/nebraska)\n" PROGRAM
                    ": SERVER=http://%s/v1/update/\n",
            lab_server_address(server));
    r = write_port_file(server, error);
    if (r < 0)
        return r;
    sigwait(&signals, &signal_number);
    return 0;
}

#define SERVE_USAGE "DIR [OPTION...]"
static int verb_serve(int argc, char **argv, void *context)
{
    (void)context;
    if (take_command_line(argc, argv, serve_options, 1, SERVE_USAGE) < 0)
        return EXIT_USAGE;
    ErrorText error = {};
    _cleanup_(behaviour_source_freep) BehaviourSource *behaviour = NULL;
    _cleanup_(report_freep) Report *report = NULL;
    _cleanup_close_ int folder_fd = release_folder_open(argv[1], false, &error);
    if (folder_fd < 0 || report_new(arg_report, &report, &error) < 0 ||
            behaviour_source_new(json_incref(arg_misbehave), arg_behaviour, &behaviour, &error) < 0)
        return complain(&error);
    LabOptions options = {
            .folder_fd = folder_fd,
            .payload_urls = arg_payload_urls,
            .n_payload_urls = arg_n_payload_urls,
            .app_id = arg_app_id,
            .behaviour = behaviour,
            .report = report,
    };
    return serve(&options, &error) < 0 ? complain(&error) : EXIT_SUCCESS;
}

static const Verb verbs[] = {
        {"add", 0, -1, ADD_USAGE, "keep a payload as a release and point a channel at it",
                verb_add},
        {"promote", 0, -1, PROMOTE_USAGE, "point a channel at another's release", verb_promote},
        {"list", 0, -1, LIST_USAGE, "say which channels and releases there are", verb_list},
        {"serve", 0, -1, SERVE_USAGE, "answer clients until SIGTERM", verb_serve},
        {},
};

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("usage: " PROGRAM " VERB [ARGUMENT...]\n"
               "A small update server for tests and labs; for a fleet run Nebraska.\n\nVerbs:\n");
        verbs_print_help(verbs);
        fputs(option_help, stdout);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts(PROGRAM " " FLIPSIDE_VERSION);
        return EXIT_SUCCESS;
    }
    arg_misbehave = json_object();
    if (!arg_misbehave)
        return EXIT_FAILURE;
    int code = verbs_run(verbs, PROGRAM, argc - 1, argv + 1, NULL);
    json_decref(arg_misbehave);
    return code;
}
