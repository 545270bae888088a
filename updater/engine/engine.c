/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "common/log.h"

/* The engine's life: what it needs is opened and read, the clock is set for the first check, and
 * it is taken apart again. */

#define LOCK_FILE "lock"
#define USER_AGENT "flipside/" FLIPSIDE_VERSION
#define RESUME_WAIT_USEC USEC_PER_SEC

uint64_t engine_clock_usec(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

uint64_t engine_random(void)
{
    uint64_t random = 0;
    /* For jitter alone: without entropy the wait is not spread, which harms nobody. */
    ssize_t _unused_ n = getrandom(&random, sizeof(random), GRND_NONBLOCK);
    return random;
}

EngineStatus engine_status(const Engine *engine)
{
    const EngineState *state = engine->state;
    const Config *config = engine->config;
    bool waits = engine_waits_for_reboot(engine);
    return (EngineStatus){
            .phase = engine->phase,
            .needs_reboot = waits,
            .last_error = state->last_error,
            .last_error_code = state->last_error_code,
            .n_bytes_done = engine->slot_task ? slot_task_bytes_done(engine->slot_task)
                                              : engine->progress.n_bytes_done,
            .n_bytes_total = engine->slot_task ? slot_task_content(engine->slot_task)->size_bytes
                                               : engine->progress.n_bytes_total,
            .n_bytes_fetched = engine->progress.n_bytes_fetched,
            .channel = config ? config->group : "",
            .server = config && config->server ? config->server : "",
            .product = config ? config->product : "",
            .version = config ? config->version : "",
            .new_version = engine->new_version[0] ? engine->new_version
                           : waits                ? state->pending.version
                                                  : "",
            .running_slot = engine->running_label,
            .target_slot = waits ? state->pending.label : engine->target_label,
            .last_checked_usec = state->last_checked_usec,
            .next_check_usec = engine->next_check_realtime_usec,
    };
}

int engine_open_slots(const Engine *engine, SlotDisk **ret_disk, ErrorText *error)
{
    if (!engine->disk_path[0])
        return error_say(error, -ENODEV, "%s", engine->disk_error.line);
    return slot_disk_open(engine->disk_path, false, NULL, 0, ret_disk, error);
}

const SlotContent *engine_slot_content(const Engine *engine, const char *label)
{
    return engine_state_slot(engine->state, label);
}

/* Goes on with what a restart cut. */
static void resume(Engine *engine)
{
    const InterruptedInstall *interrupted = &engine->state->interrupted;
    EngineRequest request = {
            .task = interrupted->source[0] ? ENGINE_INSTALL : ENGINE_UPDATE,
            .is_explicit = interrupted->is_explicit,
            .is_resumed = true,
            .allows_downgrade = interrupted->allows_downgrade,
    };
    memcpy(request.source, interrupted->source, sizeof(request.source));
    if (request.task == ENGINE_UPDATE) {
        engine_start_check(engine, &request);
        return;
    }
    engine_begin(engine, &request, ENGINE_STARTING);
    engine_start_install(engine, NULL);
}

static int on_check_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    Engine *engine = userdata;
    engine->schedule.next_usec = 0;
    if (engine_is_free(engine) && engine_load_config(engine, NULL) == 0) {
        if (engine->state->has_interrupted &&
                (engine->config->server || engine->state->interrupted.source[0])) {
            resume(engine);
            return 0;
        }
        if (engine->config->server) {
            engine_start_check(engine, &(EngineRequest){.task = ENGINE_UPDATE});
            return 0;
        }
    }
    /* Nothing was started that would plan the next check at its end. */
    engine->check_result = (CheckResult){};
    engine_arm_check(engine, UINT64_MAX);
    return 0;
}

void engine_arm_check(Engine *engine, uint64_t wait_usec)
{
    uint64_t now = engine_clock_usec(CLOCK_BOOTTIME);
    if (wait_usec == UINT64_MAX) {
        CheckSettings settings = {7 * USEC_PER_MINUTE, 45 * USEC_PER_MINUTE, 11};
        if (engine->config)
            settings = (CheckSettings){engine->config->first_check_usec,
                    engine->config->poll_interval_usec, engine->config->poll_jitter_percent};
        if (!engine->check_timer)
            check_schedule_start(&engine->schedule, &settings, now, engine_random());
        else
            check_schedule_plan(
                    &engine->schedule, &settings, &engine->check_result, now, engine_random());
        wait_usec = check_schedule_wait_usec(&engine->schedule, now);
    }
    int r = 0;
    if (!engine->check_timer)
        r = sd_event_add_time(engine->event, &engine->check_timer, CLOCK_BOOTTIME, now + wait_usec,
                0, on_check_timer, engine);
    else
        r = sd_event_source_set_time(engine->check_timer, now + wait_usec);
    if (r >= 0)
        r = sd_event_source_set_enabled(engine->check_timer, SD_EVENT_ONESHOT);
    if (r < 0)
        log_error("cannot plan the next check: %s", strerror(-r));
    engine->next_check_realtime_usec = engine_clock_usec(CLOCK_REALTIME) + wait_usec;
}

static int make_folder(const char *path)
{
    _cleanup_free_ char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(copy, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_state_folder(Engine *engine, const char *path, ErrorText *error)
{
    int r = make_folder(path);
    if (r >= 0)
        engine->state_fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (r < 0 || engine->state_fd < 0)
        return error_say(error, r < 0 ? r : -errno, "the state folder %s cannot be used: %s", path,
                strerror(r < 0 ? -r : errno));
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
    uint64_t now_sec = engine_clock_usec(CLOCK_REALTIME) / USEC_PER_SEC;
    int r = engine_state_load(engine->state_fd, now_sec, true, &engine->state, &origin, &note);
    if (r < 0)
        return error_say(error, r, "%s", note.line);
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
    free(engine->disk_option);
    free(engine->slot_option);
    free(engine->key_dir);
    free(engine->refused_version);
    sd_event_unref(engine->event);
    free(engine);
}
