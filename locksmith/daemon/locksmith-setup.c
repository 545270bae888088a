/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "locksmith/daemon/locksmith-private.h"
#include "locksmith/lock/lock-name.h"

/* What hangs on the configuration, at start and when it is read again; and what this boot owes from
 * before. */

#define CHECK_TIMEOUT_USEC (5 * USEC_PER_MINUTE)
#define CHECK_RETRY_USEC USEC_PER_MINUTE

static void on_change(void *userdata)
{
    locksmith_touch(userdata);
}

/* Store, group and endpoints, for the note and to notice a change. */
static void show_place(const LockOptions *lock, char *text, size_t n_bytes)
{
    int n = snprintf(text, n_bytes, "%s group %s at", lock_name_of_store(lock->store),
            lock->group[0] ? lock->group : "-");
    for (size_t i = 0; i < lock->n_endpoints && n > 0 && (size_t)n < n_bytes; i++)
        n += snprintf(text + n, n_bytes - (size_t)n, " %s", lock->endpoints[i]);
}

/* Whether two configurations come to the same lock, asked for in the same way. */
static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_lock(const LocksmithConfig *a, const LocksmithConfig *b)
{
    if (a->lock.store != b->lock.store || a->lock.n_endpoints != b->lock.n_endpoints)
        return false;
    for (size_t i = 0; i < a->lock.n_endpoints; i++)
        if (strcmp(a->lock.endpoints[i], b->lock.endpoints[i]) != 0)
            return false;
    return is_same_text(a->id, b->id) && is_same_text(a->lock.group, b->lock.group) &&
           is_same_text(a->lock.ca_file, b->lock.ca_file) &&
           is_same_text(a->lock.cert_file, b->lock.cert_file) &&
           is_same_text(a->lock.key_file, b->lock.key_file) &&
           is_same_text(a->lock.user, b->lock.user) &&
           is_same_text(a->lock.password, b->lock.password);
}

/* Whether a lock may be held, or have been, by what is configured. */
static bool is_lock_configured(const LocksmithConfig *config)
{
    return config->strategy == STRATEGY_ETCD_LOCK || config->strategy == STRATEGY_FLEET_LOCK ||
           config->endpoints_are_set || config->lock.store == LOCK_STORE_FLEET_LOCK;
}

static bool needs_keeper(const Locksmith *locksmith, const LocksmithConfig *config)
{
    return is_lock_configured(config) || config->strategy == STRATEGY_BEST_EFFORT ||
           locksmith->note.may_hold;
}

static int make_keeper(Locksmith *locksmith, const LocksmithConfig *config, HoldState holds,
        bool is_cut_short, LockKeeper **ret_keeper, ErrorText *error)
{
    *ret_keeper = NULL;
    if (!needs_keeper(locksmith, config))
        return 0;
    char place[sizeof(locksmith->note.place)];
    show_place(&config->lock, place, sizeof(place));
    LockKeeperOptions options = {
            .id = config->id[0] ? config->id : locksmith->identity.machine_id,
            .host = locksmith->identity.host_name,
            .boot_id = locksmith->identity.boot_id,
            .holds = holds,
            .is_cut_short = is_cut_short,
            .is_document_expected = semaphore_seen_read(locksmith->root_fd, place),
    };
    return lock_keeper_new(
            locksmith->event, &config->lock, &options, on_change, locksmith, ret_keeper, error);
}

static int make_calendar(const Locksmith *locksmith, const LocksmithConfig *config,
        RebootCalendar **ret_calendar, ErrorText *error)
{
    RebootCalendarOptions options = config->calendar;
    options.spread_seed = locksmith->identity.machine_id;
    return reboot_calendar_new(&options, ret_calendar, error);
}

/* Another program may coordinate where we are off. */
static int take_coordination(Locksmith *locksmith, const LocksmithConfig *config, ErrorText *error)
{
    if (config->strategy == STRATEGY_OFF || locksmith->coordinator)
        return 0;
    return coordinator_new(locksmith->root_fd, reboot_strategy_name(config->strategy),
            &locksmith->coordinator, error);
}

static void fill_release_options(Locksmith *locksmith)
{
    const LocksmithConfig *config = locksmith->config;
    locksmith->release_options = (BootReleaseOptions){
            .root = locksmith->options->root,
            .gate = {.waits_for_target = config->waits_for_boot_complete,
                    .delay_usec = config->release_delay_usec,
                    .check = config->health_check,
                    .check_timeout_usec = CHECK_TIMEOUT_USEC,
                    .check_retry_usec = CHECK_RETRY_USEC},
            .hook_timeout_usec = config->hook_timeout_usec,
            .keeper = locksmith->is_lock_from_before ? locksmith->keeper : NULL,
    };
}

int locksmith_load(Locksmith *locksmith, ErrorText *error)
{
    _cleanup_(locksmith_config_freep) LocksmithConfig *config = NULL;
    _cleanup_(reboot_calendar_freep) RebootCalendar *calendar = NULL;
    _cleanup_(lock_keeper_freep) LockKeeper *probe = NULL;
    int r = locksmith_config_load(
            locksmith->root_fd, locksmith->options->environment, &config, error);
    if (r >= 0)
        r = make_calendar(locksmith, config, &calendar, error);
    /* Nothing is asked of the store yet, but its certificates and addresses are read. */
    if (r >= 0)
        r = make_keeper(locksmith, config, HOLDS_NO, false, &probe, error);
    if (r >= 0)
        r = take_coordination(locksmith, config, error);
    if (r < 0)
        return r;
    /* One that is to be changed still is so when the configuration is read a second time. */
    locksmith->is_lock_stale |=
            locksmith->config && (!is_same_lock(locksmith->config, config) ||
                                         needs_keeper(locksmith, config) != !!locksmith->keeper);
    lock_keeper_free(TAKE_PTR(locksmith->next_keeper));
    if (locksmith->is_lock_stale)
        locksmith->next_keeper = TAKE_PTR(probe);
    reboot_calendar_free(locksmith->calendar);
    locksmith_config_free(locksmith->config);
    locksmith->calendar = TAKE_PTR(calendar);
    locksmith->config = TAKE_PTR(config);
    if (probe && lock_options_are_open(&locksmith->config->lock))
        log_warning("user and password for the lock's server go over the network as anybody can "
                    "read them: write https:// in LOCKSMITHD_ENDPOINT");
    if (locksmith->config->strategy == STRATEGY_OFF)
        coordinator_free(TAKE_PTR(locksmith->coordinator));
    if (!locksmith->keeper || lock_keeper_facts(locksmith->keeper).holds == HOLDS_NO)
        locksmith->need = NEED_UNDECIDED;
    locksmith_reset_need(locksmith);
    fill_release_options(locksmith);
    if (locksmith->release)
        boot_release_reconfigure(locksmith->release);
    return 0;
}

/* What is held from before may have been configured wrongly until now; but where it is known to
 * have been taken it goes back first. */
static bool is_place_left_first(const Locksmith *locksmith)
{
    char place[sizeof(locksmith->note.place)];
    show_place(&locksmith->config->lock, place, sizeof(place));
    return locksmith->is_lock_from_before && locksmith->is_place_known &&
           strcmp(place, locksmith->note.place) != 0;
}

void locksmith_change_lock(Locksmith *locksmith)
{
    /* Once logind was asked the lock stays, whatever is configured. */
    if (!locksmith->is_lock_stale || locksmith->logind_stage != LOGIND_NOT_ASKED)
        return;
    HoldState holds = locksmith->keeper ? lock_keeper_facts(locksmith->keeper).holds : HOLDS_NO;
    if (holds != HOLDS_NO && !locksmith->is_lock_from_before) {
        if (!locksmith->is_backing_out)
            locksmith_back_out(locksmith, "another lock is configured now");
        return;
    }
    if (locksmith->is_backing_out || is_place_left_first(locksmith))
        return;
    locksmith->is_lock_stale = false;
    lock_keeper_free(locksmith->keeper);
    locksmith->keeper = TAKE_PTR(locksmith->next_keeper);
    locksmith->need = NEED_UNDECIDED;
    locksmith_reset_need(locksmith);
    if (locksmith->keeper && locksmith->is_lock_from_before)
        lock_keeper_doubt(locksmith->keeper);
    locksmith->keeper_holds = HOLDS_NO;
    locksmith->is_semaphore_noted = false;
    fill_release_options(locksmith);
    show_place(&locksmith->config->lock, locksmith->note.place, sizeof(locksmith->note.place));
    if (locksmith->is_lock_from_before)
        boot_release_on_keeper(locksmith->release);
}

static void on_release(void *userdata)
{
    Locksmith *locksmith = userdata;
    locksmith_touch(locksmith);
    if (boot_release_facts(locksmith->release).stage != BOOT_RELEASE_DONE)
        return;
    if (locksmith->is_lock_from_before) {
        locksmith->is_lock_from_before = false;
        locksmith->note.may_hold = false;
        locksmith_save_note(locksmith);
        log_notice("this host holds no lock from before the boot");
    }
    ErrorText error = {};
    if (boot_settled_write(locksmith->root_fd, locksmith->identity.boot_id, &error) < 0)
        locksmith_complain(locksmith, "cannot note that the boot is settled", error.line);
}

static void complain_of_place(Locksmith *locksmith, const char *place)
{
    ErrorText text;
    error_say(&text, 0,
            "it is looked for in %.160s: if this host is still shown there, give it back with "
            "'locksmithctl unlock' in %.200s",
            place, locksmith->note.place);
    locksmith_complain(locksmith, "the lock was taken elsewhere", text.line);
}

int locksmith_settle_boot(Locksmith *locksmith, ErrorText *error)
{
    RebootNote *note = &locksmith->note;
    ErrorText damage = {};
    char place[sizeof(note->place)];
    if (reboot_note_read(locksmith->root_fd, note, &damage) < 0)
        locksmith_complain(locksmith, "the note of the last reboot", damage.line);
    show_place(&locksmith->config->lock, place, sizeof(place));
    if (note->may_hold && note->place[0] && strcmp(note->place, place) != 0)
        complain_of_place(locksmith, place);
    locksmith->is_place_known =
            note->may_hold && (note->place[0] == '\0' || strcmp(note->place, place) == 0);
    strcpy(note->place, place);
    const char *boot_id = locksmith->identity.boot_id;
    bool is_settled = boot_settled_read(locksmith->root_fd, boot_id);
    bool is_of_this_boot = note->boot_id[0] && strcmp(note->boot_id, boot_id) == 0;
    if (note->has_begun_hooks && is_of_this_boot)
        locksmith->hooks = RUN_PASSED; /* whether it ended is not known: at worst it is undone */
    note->has_begun_hooks &= is_of_this_boot;
    /* Noted in this boot, before it is settled: may be one from before, wanted once more. */
    locksmith->is_lock_from_before = note->may_hold
                                             ? !is_of_this_boot || !is_settled
                                             : !is_settled && is_lock_configured(locksmith->config);
    if (note->may_hold && is_of_this_boot)
        locksmith_remember_need(locksmith);
    HoldState holds = note->may_hold || locksmith->is_lock_from_before ? HOLDS_UNKNOWN : HOLDS_NO;
    int r = make_keeper(locksmith, locksmith->config, holds, note->may_hold && is_of_this_boot,
            &locksmith->keeper, error);
    if (r < 0 || (is_settled && !locksmith->is_lock_from_before))
        return r;
    locksmith->keeper_holds = holds;
    fill_release_options(locksmith);
    r = boot_release_new(locksmith->event, &locksmith->release_options, on_release, locksmith,
            &locksmith->release);
    return r < 0 ? error_say(error, r, "cannot wait for the boot to be good: %s", strerror(-r)) : 0;
}
