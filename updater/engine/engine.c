/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/fd-io.h"
#include "common/log.h"
#include "updater/engine/engine-private.h"

/* The engine's life: what it needs is opened and read, the clock is set for the first check, and
 * it is taken apart again. */

#define LOCK_FILE "lock"
#define USER_AGENT "flipside/" FLIPSIDE_VERSION
#define RESUME_WAIT_USEC USEC_PER_SEC

static int open_state_folder(Engine *engine, const char *path, ErrorText *error)
{
    int r = fd_make_parents(AT_FDCWD, path);
    if (r >= 0 && mkdir(path, 0755) < 0 && errno != EEXIST)
        r = -errno;
    if (r >= 0)
        engine->state_fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (engine->state_fd >= 0)
        engine->state_dir = realpath(path, NULL);
    if (r >= 0 && !engine->state_dir)
        r = -errno;
    if (r < 0)
        return error_say(error, r, "the state folder %s cannot be used: %s", path, strerror(-r));
    engine->lock_fd =
            openat(engine->state_fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (engine->lock_fd < 0)
        return error_say(error, -errno, "the state folder %s cannot be written: %m", path);
    if (flock(engine->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return error_say(error, errno == EWOULDBLOCK ? -EBUSY : -errno,
                "another update-engine uses the state folder %s", path);
    return 0;
}

static int load_state(Engine *engine, ErrorText *error)
{
    EngineStateOrigin origin;
    ErrorText note = {};
    uint64_t now_sec = clock_now_usec(CLOCK_REALTIME) / USEC_PER_SEC;
    int r = engine_state_load(engine->state_fd, now_sec, true, &engine->state, &origin, &note);
    if (r < 0)
        return error_say(error, r, "%s", note.line);
    engine->is_state_new = origin != ENGINE_STATE_LOADED;
    switch (origin) {
    case ENGINE_STATE_LOADED:
    case ENGINE_STATE_NEW:
        break;
    case ENGINE_STATE_CORRUPT:
        log_warning("%s", note.line);
        break;
    }
    note = (ErrorText){};
    r = event_outbox_load(engine->state_fd, &engine->outbox, &note);
    if (r < 0)
        return error_say(error, r, "no memory for the events");
    if (note.line[0])
        log_warning("%s", note.line);
    return 0;
}

static int copy_options(Engine *engine, const EngineOptions *options)
{
    engine->postinst_limit_usec = options->postinst_limit_usec;
    engine->root = strdup(options->root);
    engine->key_dir = strdup(options->key_dir);
    if (!engine->root || !engine->key_dir)
        return -ENOMEM;
    if (options->disk_path && !(engine->disk_option = strdup(options->disk_path)))
        return -ENOMEM;
    if (options->slot_label && !(engine->slot_option = strdup(options->slot_label)))
        return -ENOMEM;
    return 0;
}

static int start(Engine *engine, const EngineOptions *options, ErrorText *error)
{
    int r = copy_options(engine, options);
    if (r < 0)
        return r;
    engine->root_fd =
            open(options->root[0] ? options->root : "/", O_DIRECTORY | O_PATH | O_CLOEXEC);
    if (engine->root_fd < 0)
        return error_say(error, -errno, "cannot open the root folder %s: %m", options->root);
    r = open_state_folder(engine, options->state_dir, error);
    if (r < 0)
        return r;
    r = load_state(engine, error);
    if (r < 0)
        return r;
    r = http_client_new(engine->event, USER_AGENT, &engine->http);
    if (r < 0)
        return error_say(error, r, "cannot set up HTTP: %s", strerror(-r));
    system_identity_read(engine->root_fd, &engine->identity);
    return 0;
}

int engine_new(sd_event *event, const EngineOptions *options, const EngineObserver *observer,
        void *userdata, Engine **ret_engine, ErrorText *error)
{
    _cleanup_(engine_freep) Engine *engine = calloc(1, sizeof(*engine));
    if (!engine)
        return -ENOMEM;
    engine->event = sd_event_ref(event);
    engine->observer = observer;
    engine->userdata = userdata;
    engine->root_fd = engine->state_fd = engine->lock_fd = -1;
    int r = start(engine, options, error);
    if (r < 0)
        return r;
    /* What is wrong with it is kept as last_error: a bad file must not mean a restart loop. */
    (void)engine_load_config(engine, NULL);
    engine_find_slots(engine);
    r = engine_watch_table(engine);
    if (r < 0)
        return error_say(error, r, "cannot watch the partition table: %s", strerror(-r));
    engine_settle_boot(engine);
    engine->phase = engine_waits_for_reboot(engine) ? ENGINE_NEED_REBOOT : ENGINE_IDLE;
    engine_arm_check(engine, UINT64_MAX);
    if (engine->state->has_interrupted)
        engine_arm_check(engine, RESUME_WAIT_USEC);
    engine_send_reports(engine);
    *ret_engine = TAKE_PTR(engine);
    return 0;
}

void engine_free(Engine *engine)
{
    if (!engine)
        return;
    engine_drop_operations(engine);
    slot_task_free(engine->record_task);
    slot_task_free(engine->tidy_task);
    slot_task_free(engine->table_task);
    table_watch_free(engine->table_watch);
    omaha_exchange_free(engine->report);
    sd_event_source_disable_unref(engine->report_timer);
    sd_event_source_disable_unref(engine->check_timer);
    http_client_free(engine->http);
    event_outbox_free(engine->outbox);
    engine_state_free(engine->state);
    config_free(engine->config);
    safe_close(engine->lock_fd);
    safe_close(engine->state_fd);
    safe_close(engine->root_fd);
    free(engine->root);
    free(engine->state_dir);
    free(engine->disk_option);
    free(engine->slot_option);
    free(engine->key_dir);
    free(engine->refused_version);
    sd_event_unref(engine->event);
    free(engine);
}
