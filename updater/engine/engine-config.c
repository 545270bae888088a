/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/printable.h"

/* The configuration is read again before every task. What is wrong with it is the last error until
 * the file is good; the last good one stays in use for what only shows. */

static void keep_config_error(Engine *engine, ErrorText *line)
{
    EngineState *state = engine->state;
    printable_clean(line->line);
    if (engine->has_config_error && strcmp(state->last_error, line->line) == 0)
        return;
    log_error("%s; no updates until it is corrected", line->line);
    engine->has_config_error = true;
    snprintf(state->last_error, sizeof(state->last_error), "%s", line->line);
    state->last_error_code = UPDATE_ERROR_GENERIC;
    engine->observer->on_status(engine->userdata);
}

/* A password that everybody can read is used all the same: an update is worth more. */
static void warn_of_readers(Engine *engine, const Config *config)
{
    struct stat st;
    const char *path = config->password_file;
    bool is_open = config->download_password && path &&
                   fstatat(engine->root_fd, path + strspn(path, "/"), &st, 0) == 0 &&
                   (st.st_mode & S_IROTH);
    if (is_open && !engine->has_open_password)
        log_warning("DOWNLOAD_PASSWORD in %s can be read by everybody: chmod o-r %s", path, path);
    engine->has_open_password = is_open;
}

static bool has_same_warnings(const Config *a, const Config *b, size_t n_kept)
{
    if (a->n_warnings != b->n_warnings)
        return false;
    for (size_t i = 0; i < n_kept; i++)
        if (strcmp(a->warnings[i].line, b->warnings[i].line) != 0)
            return false;
    return true;
}

/* Each once, until there are others. */
static void tell_warnings(const Config *before, const Config *config)
{
    size_t n_kept = MIN(config->n_warnings, (size_t)CONFIG_WARNINGS_MAX);
    if (before && has_same_warnings(before, config, n_kept))
        return;
    for (size_t i = 0; i < n_kept; i++)
        log_warning("%s", config->warnings[i].line);
    if (config->n_warnings > n_kept)
        log_warning("%zu more lines are left out", config->n_warnings - n_kept);
}

int engine_load_config(Engine *engine, ErrorText *error)
{
    Config *config = NULL;
    ErrorText line = {};
    int r = config_load(engine->root_fd, &config, &line);
    if (r < 0) {
        keep_config_error(engine, &line);
        return error_say(error, r, "%s", line.line);
    }
    tell_warnings(engine->config, config);
    config_free(engine->config);
    engine->config = config;
    engine->config_warning = config_warning(config);
    warn_of_readers(engine, config);
    engine->server_shown = http_url_show(config->server ? config->server : "");
    if (engine->has_config_error) {
        /* It was about the file alone, which is good now. */
        engine->has_config_error = false;
        engine->state->last_error[0] = '\0';
        engine->state->last_error_code = 0;
    }
    return 0;
}
