/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine.h"

#include <string.h>

#include "common/http-url.h"
#include "common/log.h"
#include "updater/engine/engine-private.h"
#include "updater/omaha/version-order.h"

/* What others ask of the engine. */

/* Whether a task may begin: nothing is under way and the configuration will do. */
static EngineAnswer prepare(Engine *engine, bool needs_server, ErrorText *error)
{
    if (!engine_is_free(engine))
        return error_say(error, ENGINE_BUSY, "busy: %s", engine_phase_text(engine->phase));
    if (engine_load_config(engine, error) < 0)
        return ENGINE_CANNOT;
    if (needs_server && !engine->config->server)
        return error_say(error, ENGINE_DISABLED,
                "no update server is configured; set SERVER= in /etc/%s/update.conf", FLIPSIDE_OS);
    return ENGINE_STARTED;
}

EngineAnswer engine_check(Engine *engine, ErrorText *error)
{
    EngineAnswer answer = prepare(engine, true, error);
    if (answer == ENGINE_STARTED)
        engine_start_check(engine, &(EngineRequest){.task = ENGINE_CHECK, .is_explicit = true});
    return answer;
}

EngineAnswer engine_update(Engine *engine, bool allows_downgrade, ErrorText *error)
{
    EngineAnswer answer = prepare(engine, true, error);
    if (answer == ENGINE_STARTED)
        engine_start_check(engine, &(EngineRequest){.task = ENGINE_UPDATE,
                                           .is_explicit = true,
                                           .allows_downgrade = allows_downgrade});
    return answer;
}

static bool has_credentials(const char *text)
{
    HttpUrl url;
    if (http_url_parse(text, &url) < 0)
        return strchr(text, '@'); /* it will be refused, and might be quoted */
    http_url_done(&url);
    return url.has_credentials;
}

/* Whether the source is one. Errors: with error. */
static EngineAnswer check_source(const char *source, ErrorText *error)
{
    bool is_url = http_url_is_meant(source);
    if (source[0] != '/' && !is_url)
        return error_say(error, ENGINE_REFUSED,
                "'%s' is neither an absolute path nor an http:// or https:// URL", source);
    if (is_url && has_credentials(source))
        return error_say(error, ENGINE_REFUSED,
                "a URL with a password in it would be shown and kept in the open; set "
                "DOWNLOAD_USER and DOWNLOAD_PASSWORD in /etc/%s/update.conf",
                FLIPSIDE_OS);
    if (strlen(source) >= ENGINE_SOURCE_BYTES)
        return error_say(error, ENGINE_REFUSED, "the source is longer than %d bytes",
                ENGINE_SOURCE_BYTES - 1);
    return ENGINE_STARTED;
}

static EngineAnswer check_extensions(const Engine *engine, const char *extensions, ErrorText *error)
{
    if (!extensions[0])
        return ENGINE_STARTED;
    if (engine->postinst_limit_usec == 0)
        return error_say(error, ENGINE_REFUSED,
                "extensions are for the new image's postinst, which is not run here; start "
                "update-engine with --postinst yes");
    if (extensions[0] != '/' || strlen(extensions) >= ENGINE_EXTENSIONS_BYTES)
        return error_say(error, ENGINE_REFUSED,
                "the extensions are no absolute paths, or longer than %d bytes together",
                ENGINE_EXTENSIONS_BYTES - 1);
    return ENGINE_STARTED;
}

EngineAnswer engine_install(Engine *engine, const EngineInstall *install, ErrorText *error)
{
    EngineRequest request = {
            .task = ENGINE_INSTALL,
            .is_explicit = true,
            .allows_downgrade = install->allows_downgrade,
    };
    EngineAnswer answer = check_source(install->source, error);
    if (answer != ENGINE_STARTED)
        return answer;
    if (install->version[0] != '\0' && !version_is_valid(install->version))
        return error_say(error, ENGINE_REFUSED, "'%.32s' is not a version", install->version);
    answer = check_extensions(engine, install->extensions, error);
    if (answer != ENGINE_STARTED)
        return answer;
    strcpy(request.source, install->source);
    strcpy(request.extensions, install->extensions);
    snprintf(request.version, sizeof(request.version), "%s", install->version);
    answer = prepare(engine, false, error);
    if (answer != ENGINE_STARTED)
        return answer;
    engine_begin(engine, &request, ENGINE_STARTING);
    engine_start_install(engine, NULL);
    return ENGINE_STARTED;
}

/* What an install leaves behind: its checkpoint for the next try, and nothing that waits. */
static void cancel_install(Engine *engine)
{
    engine_drop_operations(engine);
    engine_report(
            engine, OMAHA_EVENT_UPDATE_COMPLETE, OMAHA_RESULT_ERROR, UPDATE_ERROR_CANCELLED, "");
    engine_remember(engine, engine->request.task == ENGINE_INSTALL ? "install" : "update",
            "cancelled", engine->new_version, engine->target_label, UPDATE_ERROR_CANCELLED, "");
    engine_forget_install(engine);
}

EngineAnswer engine_cancel(Engine *engine, ErrorText *error)
{
    switch (engine->phase) {
    case ENGINE_IDLE:
    case ENGINE_NEED_REBOOT:
    case ENGINE_REPORTING_ERROR:
        return error_say(error, ENGINE_NOTHING_TO_DO, "nothing is under way");
    case ENGINE_COMMITTING:
        return error_say(error, ENGINE_REFUSED,
                "too late: the slot is being flipped; 'flipside rollback' takes it back");
    case ENGINE_CHECKING:
    case ENGINE_ROLLING_BACK:
        break;
    case ENGINE_STARTING:
    case ENGINE_PREPARING:
    case ENGINE_DOWNLOADING:
    case ENGINE_VERIFYING:
        cancel_install(engine);
        break;
    }
    engine_finish(engine, ENGINE_CANCELLED, UPDATE_ERROR_CANCELLED, "cancelled");
    return ENGINE_STARTED;
}

int engine_reload(Engine *engine, ErrorText *error)
{
    int r = engine_load_config(engine, error);
    if (r == 0)
        log_info("configuration read again: channel %s, server %s", engine->config->group,
                engine->config->server ? engine->server_shown.text : "none");
    engine->observer->on_status(engine->userdata);
    return r;
}
