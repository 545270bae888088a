/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/client/ctl-options.h"

#include <string.h>

#define PREFIX "LOCKSMITHCTL_"

/* The value of name, NULL where it is not there or empty. */
static const char *look_up(const char *const *environment, const char *name)
{
    size_t n_chars = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, n_chars) == 0 && (*environment)[n_chars] == '=')
            return (*environment)[n_chars + 1] ? *environment + n_chars + 1 : NULL;
    return NULL;
}

/* What the command line left open. */
static int read_environment(CtlOptions *options, const char *const *environment, ErrorText *error)
{
    const struct {
        const char *name;
        const char **target;
    } texts[] = {
            {PREFIX "GROUP", &options->group},
            {PREFIX "STORE", &options->store},
            {PREFIX "ETCD_CAFILE", &options->ca_file},
            {PREFIX "ETCD_CERTFILE", &options->cert_file},
            {PREFIX "ETCD_KEYFILE", &options->key_file},
            {PREFIX "ETCD_USERNAME", &options->user},
            {PREFIX "ETCD_PASSWORD", &options->password},
    };
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        if (!*texts[i].target)
            *texts[i].target = look_up(environment, texts[i].name);
    const char *endpoints = look_up(environment, PREFIX "ENDPOINT");
    if (!endpoints || options->endpoints.n_values > 0)
        return 0;
    options->endpoints_text = strdup(endpoints);
    if (!options->endpoints_text)
        return -ENOMEM;
    if (flag_list_add(&options->endpoints, options->endpoints_text) < 0)
        return error_say(error, -E2BIG, PREFIX "ENDPOINT names more than %d", FLAG_LIST_MAX);
    return 0;
}

int ctl_options_read(int argc, char **argv, const char *const *environment, CtlOptions *ret_options,
        ErrorText *error)
{
    _cleanup_(ctl_options_done) CtlOptions options = {};
    const GoFlag flags[] = {
            {"endpoint", FLAG_LIST, &options.endpoints},
            {"group", FLAG_TEXT, &options.group},
            {"store", FLAG_TEXT, &options.store},
            {"etcd-cafile", FLAG_TEXT, &options.ca_file},
            {"etcd-certfile", FLAG_TEXT, &options.cert_file},
            {"etcd-keyfile", FLAG_TEXT, &options.key_file},
            {"etcd-username", FLAG_TEXT, &options.user},
            {"etcd-password", FLAG_SECRET, &options.password_text},
            {"bus", FLAG_TEXT, &options.bus},
            {"root", FLAG_TEXT, &options.root},
            {"machine-id", FLAG_TEXT, &options.machine_id},
            {"debug", FLAG_BOOL, &options.is_debug},
            {"version", FLAG_BOOL, &options.asks_version},
            {"help", FLAG_BOOL, &options.asks_help},
            {"h", FLAG_BOOL, &options.asks_help},
            {},
    };
    int n_left = go_flags_parse(flags, FLAGS_FIRST, argc, argv, error);
    if (n_left < 0)
        return n_left;
    options.password = options.password_text;
    int r = read_environment(&options, environment, error);
    if (r < 0)
        return r;
    options.is_debug = options.is_debug || look_up(environment, PREFIX "DEBUG");
    *ret_options = options;
    options.endpoints_text = options.password_text = NULL;
    return n_left;
}

void ctl_options_done(CtlOptions *options)
{
    if (options->password_text)
        explicit_bzero(options->password_text, strlen(options->password_text));
    free(options->password_text);
    free(options->endpoints_text);
    options->endpoints_text = options->password_text = NULL;
}

bool ctl_options_name_a_lock(const CtlOptions *options)
{
    return options->endpoints.n_values > 0 || options->group || options->store;
}
