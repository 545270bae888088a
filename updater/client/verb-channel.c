/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/client/client.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "updater/client/engine-proxy.h"
#include "updater/config/config.h"

/* channel: shows GROUP and where it comes from, or sets it in the machine's update.conf. The file
 * is the truth, so that it works while the daemon does not run. */

static void print_channel(const ClientOptions *options, const char *channel, const char *from)
{
    if (!options->is_json) {
        printf("%s (from %s)\n", channel, from);
        return;
    }
    json_t *line = json_pack("{s:s, s:s}", "channel", channel, "from", from);
    if (line)
        json_dumpf(line, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(line);
}

static int show_channel(const ClientOptions *options, int root_fd)
{
    _cleanup_(config_freep) Config *config = NULL;
    ErrorText error = {};
    int r = config_load(root_fd, &config, &error);
    if (r < 0)
        return client_complain(CLIENT_FAILED, &error);
    print_channel(options, config->group, config->group_file ? config->group_file : "the default");
    return CLIENT_DONE;
}

/* A daemon that does not run reads the file when it starts; one that cannot reload says why. */
static int reload(const ClientOptions *options)
{
    _cleanup_(engine_proxy_freep) EngineProxy *proxy = NULL;
    ErrorText error = {};
    if (engine_proxy_new(options->bus, &proxy, &error) < 0)
        return CLIENT_NO_DAEMON;
    int exit_code = engine_proxy_call(proxy, "Reload", 15 * USEC_PER_SEC, NULL, &error, "");
    if (exit_code != CLIENT_DONE && exit_code != CLIENT_NO_DAEMON)
        client_complain(exit_code, &error);
    return exit_code;
}

int verb_channel(int argc, char **argv, void *context)
{
    const ClientOptions *options = context;
    ErrorText error = {};
    _cleanup_close_ int root_fd = client_open_root(options, &error);
    if (root_fd < 0)
        return client_complain(CLIENT_FAILED, &error);
    if (argc < 2)
        return show_channel(options, root_fd);
    int r = config_set(root_fd, "GROUP", argv[1], &error);
    if (r < 0) {
        if (error.line[0] == '\0')
            error_say(&error, r, "cannot write /%s: %s", CONFIG_MACHINE_FILE, strerror(-r));
        return client_complain(
                r == -EACCES || r == -EPERM ? CLIENT_REFUSED : CLIENT_FAILED, &error);
    }
    int exit_code = reload(options);
    print_channel(options, argv[1], "/" CONFIG_MACHINE_FILE);
    if (exit_code == CLIENT_NO_DAEMON && !options->is_json)
        printf("update-engine does not run; it reads the channel when it starts\n");
    return exit_code == CLIENT_NO_DAEMON ? CLIENT_DONE : exit_code;
}
