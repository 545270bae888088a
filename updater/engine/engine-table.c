/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"

/* The partition table is looked at at the start, at each check, and when somebody has written to
 * the disk; a damaged copy is repaired. Threads do both: a look waits for whoever holds the disk's
 * lock, and so does a repair, which judges the table anew once it has it. */

#define PAUSE_USEC USEC_PER_SEC

/* Before each look, as the path may lead elsewhere by now. */
static void follow_disk(Engine *engine)
{
    int r = table_watch_follow(engine->table_watch, engine->disk_path);
    bool has_error = r < 0 && r != -ENOENT;
    if (has_error && !engine->has_watch_error)
        log_notice("%s cannot be watched (%s): its partition table is looked at with each check",
                engine->disk_path, strerror(-r));
    engine->has_watch_error = has_error;
}

/* result: for the history too, unless NULL. */
static void tell(Engine *engine, LogLevel level, TableHealth health, const char *damage,
        const char *result, const ErrorText *text)
{
    LogField fields[] = {
            {"FLIPSIDE_TASK", "repair"},
            {"FLIPSIDE_DISK", engine->disk_path},
            {"FLIPSIDE_TABLE_HEALTH", gpt_disk_health_text(health)},
            {"FLIPSIDE_TABLE_DAMAGE", damage},
            {},
    };
    log_fields(level, fields, "%s", text->line);
    if (result)
        engine_remember(engine, "repair", result, "", "", 0, text->line);
}

static void tell_repaired(Engine *engine, const TableFinding *finding)
{
    ErrorText damage, text;
    table_care_describe(finding, &damage);
    error_say(&text, 0, "%s: the partition table was damaged: %s; %s", engine->disk_path,
            damage.line, table_care_remedy(finding->health));
    tell(engine, LOG_LEVEL_WARNING, finding->health, damage.line, "done", &text);
    if (engine->table.n_repairs == TABLE_CARE_MAX_REPAIRS)
        log_error("%s: its partition table was repaired %d times since the last check, and is not "
                  "again before the next; look for the one that damages it",
                engine->disk_path, TABLE_CARE_MAX_REPAIRS);
}

static void tell_failed(
        Engine *engine, const TableFinding *finding, const char *reason, bool is_first)
{
    ErrorText damage, text;
    table_care_describe(finding, &damage);
    error_say(&text, 0,
            "%s: the partition table is damaged: %s; repairing it failed, the next check tries "
            "again: %s",
            engine->disk_path, damage.line, reason);
    tell(engine, LOG_LEVEL_ERROR, finding->health, damage.line, is_first ? "failed" : NULL, &text);
}

static void tell_lost(Engine *engine, int r, const ErrorText *error)
{
    ErrorText text;
    error_say(&text, 0, "%s%s", error->line, table_care_advice(r));
    tell(engine, LOG_LEVEL_ERROR, TABLE_UNREADABLE, error->line, "failed", &text);
}

/* By another change of the table, or by a person. */
static void tell_back(Engine *engine, const TableFinding *before)
{
    ErrorText damage, text;
    table_care_describe(before, &damage);
    error_say(&text, 0, "%s: the partition table is good again; seen before: %s", engine->disk_path,
            damage.line);
    tell(engine, LOG_LEVEL_NOTICE, before->health, damage.line, "done", &text);
}

static void on_repaired(SlotTask *task, int r, const ErrorText *error, void *userdata)
{
    Engine *engine = userdata;
    TableFinding seen = engine->table.finding, finding = slot_task_finding(task);
    ErrorText reason = *error;
    slot_task_free(TAKE_PTR(engine->table_task));
    if (r < 0) {
        tell_failed(engine, &seen, reason.line, table_care_on_failed(&engine->table));
        return;
    }
    table_care_on_repaired(&engine->table);
    /* Somebody may have been faster. */
    if (finding.health != TABLE_GOOD)
        tell_repaired(engine, &finding);
    engine->observer->on_status(engine->userdata);
}

static int start_task(Engine *engine, SlotTaskKind kind, const char *label,
        void (*on_done)(SlotTask *task, int r, const ErrorText *error, void *userdata))
{
    SlotTaskOptions options = {.kind = kind, .disk_path = engine->disk_path, .label = label};
    return slot_task_new(engine->event, &options, on_done, engine, &engine->table_task);
}

static void start_repair(Engine *engine)
{
    /* Without this slot another disk has come to the place of ours. */
    const char *label = engine->running_label[0] ? engine->running_label : engine->target_label;
    int r = start_task(engine, SLOT_TASK_REPAIR, label, on_repaired);
    if (r < 0)
        tell_failed(
                engine, &engine->table.finding, strerror(-r), table_care_on_failed(&engine->table));
}

/* The table can be read, which it could not when the slots were looked for. */
static void find_again(Engine *engine)
{
    engine->disk_error.line[0] = '\0';
    engine_find_slots(engine);
    if (engine->disk_error.line[0])
        return;
    engine_settle_boot_again(engine);
    EnginePhase rest = engine_waits_for_reboot(engine) ? ENGINE_NEED_REBOOT : ENGINE_IDLE;
    if (engine_is_free(engine) && engine->phase != rest)
        engine_set_phase(engine, rest);
    else
        engine->observer->on_status(engine->userdata);
    table_watch_wake(engine->table_watch);
}

static void act(Engine *engine, TableCareStep step, const TableFinding *before, int r,
        const ErrorText *error)
{
    switch (step) {
    case TABLE_CARE_REST:
        return;
    case TABLE_CARE_LOOK_AGAIN:
        table_watch_wake(engine->table_watch);
        return;
    case TABLE_CARE_REPAIR:
        start_repair(engine);
        return;
    case TABLE_CARE_SAY_LOST:
        tell_lost(engine, r, error);
        return;
    case TABLE_CARE_SAY_BACK:
        tell_back(engine, before);
        return;
    }
}

static void on_looked(SlotTask *task, int r, const ErrorText *error, void *userdata)
{
    Engine *engine = userdata;
    TableFinding before = engine->table.finding, finding = {.health = TABLE_UNREADABLE};
    if (r >= 0)
        finding = slot_task_finding(task);
    ErrorText reason = *error;
    slot_task_free(TAKE_PTR(engine->table_task));
    log_debug("%s: partition table %s", engine->disk_path, gpt_disk_health_text(finding.health));
    if (engine->disk_error.line[0]) {
        if (r >= 0)
            find_again(engine);
        return;
    }
    TableCareStep step = table_care_on_look(&engine->table, &finding, engine->is_table_settled);
    act(engine, step, &before, r, &reason);
    if (finding.health != before.health)
        engine->observer->on_status(engine->userdata);
}

static void start_look(Engine *engine, bool is_settled)
{
    if (!engine->disk_path[0])
        return;
    follow_disk(engine);
    engine->is_table_settled = is_settled;
    int r = start_task(engine, SLOT_TASK_LOOK, "", on_looked);
    if (r < 0)
        log_warning(
                "%s: the partition table is not looked at: %s", engine->disk_path, strerror(-r));
}

static void on_settled(void *userdata)
{
    Engine *engine = userdata;
    /* What is under way may have read before the last one wrote. */
    if (engine->table_task)
        table_watch_wake(engine->table_watch);
    else
        start_look(engine, true);
}

int engine_watch_table(Engine *engine)
{
    int r = table_watch_new(engine->event, PAUSE_USEC, on_settled, engine, &engine->table_watch);
    if (r < 0 || !engine->disk_path[0])
        return r;
    follow_disk(engine);
    table_watch_wake(engine->table_watch);
    return 0;
}

void engine_look_at_table(Engine *engine)
{
    table_care_on_check(&engine->table);
    if (!engine->table_task)
        start_look(engine, false);
}
