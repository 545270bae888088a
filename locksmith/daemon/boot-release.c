/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/daemon/boot-release.h"

#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/random.h"
#include "locksmith/conditions/hooks.h"
#include "locksmith/daemon/hook-words.h"
#include "locksmith/locksmith-bus.h"

#define HOOKS_RETRY_MIN_USEC (30 * USEC_PER_SEC)
#define HOOKS_RETRY_MAX_USEC (30 * USEC_PER_MINUTE)

struct BootRelease {
    sd_event *event;
    const BootReleaseOptions *options;
    void (*on_change)(void *userdata);
    void *userdata;
    BootReleaseStage stage;
    sd_bus *bus;
    BootGate *gate; /* until it is good */
    HookRun *hooks;
    sd_event_source *timer; /* hooks are run again */
    unsigned n_failures;
    bool keeps_lock;
    char text[512];
};

const char *boot_release_stage_name(BootReleaseStage stage)
{
    static const char *const names[] = {
            [BOOT_RELEASE_WAITING] = LOCKSMITH_RELEASE_WAITING,
            [BOOT_RELEASE_CHECK] = LOCKSMITH_RELEASE_CHECK,
            [BOOT_RELEASE_HOOKS] = LOCKSMITH_RELEASE_HOOKS,
            [BOOT_RELEASE_RETRYING] = LOCKSMITH_RELEASE_RETRYING,
            [BOOT_RELEASE_DONE] = LOCKSMITH_RELEASE_DONE,
    };
    return names[stage];
}

static void set(BootRelease *release, BootReleaseStage stage, const char *text)
{
    bool is_new = release->stage != stage || strcmp(release->text, text) != 0;
    if (release->stage != stage)
        log_info("after the boot: %s%s%s", boot_release_stage_name(stage), text[0] ? ": " : "",
                text);
    else if (is_new && stage == BOOT_RELEASE_RETRYING && text[0])
        log_warning("the lock is not given back yet: %s", text);
    release->stage = stage;
    snprintf(release->text, sizeof(release->text), "%s", text);
    if (is_new)
        release->on_change(release->userdata);
}

static void give_back(BootRelease *release)
{
    LockKeeper *keeper = release->options->keeper;
    if (!keeper || release->keeps_lock) {
        set(release, BOOT_RELEASE_DONE, "");
        return;
    }
    lock_keeper_want(keeper, LOCK_WANT_FREE, "");
    LockKeeperFacts facts = lock_keeper_facts(keeper);
    if (facts.holds == HOLDS_NO)
        set(release, BOOT_RELEASE_DONE, "");
    else
        set(release, BOOT_RELEASE_RETRYING, facts.text);
}

static void run_hooks(BootRelease *release);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    BootRelease *release = userdata;
    release->timer = sd_event_source_disable_unref(release->timer);
    run_hooks(release);
    return 0;
}

static void run_again(BootRelease *release, const char *text)
{
    log_error("post-boot.d: %s", text);
    uint64_t wait = backoff_usec(++release->n_failures, HOOKS_RETRY_MIN_USEC, HOOKS_RETRY_MAX_USEC);
    int r = sd_event_add_time_relative(release->event, &release->timer, CLOCK_BOOTTIME,
            backoff_jitter_usec(wait, wait / 4, random_uint64()), 0, on_timer, release);
    if (r < 0)
        log_error("cannot plan to run post-boot.d again: %s", strerror(-r));
    set(release, BOOT_RELEASE_HOOKS, text);
}

static void on_hooks(
        HookRun *run, HooksResult result, const char *name, const char *text, void *userdata)
{
    (void)run;
    (void)name;
    BootRelease *release = userdata;
    char copy[sizeof(release->text)];
    snprintf(copy, sizeof(copy), "%s", text);
    hook_run_free(TAKE_PTR(release->hooks));
    if (result == HOOKS_DONE)
        give_back(release);
    else
        run_again(release, copy);
}

static void run_hooks(BootRelease *release)
{
    HookWords words;
    hook_words_fill(&words, HOOK_EVENT_BOOTED, "", "");
    HookRunOptions options = {
            .root = release->options->root,
            .kind = "post-boot",
            .environment = words.list,
            .timeout_usec = release->options->hook_timeout_usec,
    };
    int r = hook_run_new(release->event, &options, on_hooks, release, &release->hooks);
    if (r < 0)
        run_again(release, strerror(-r));
    else
        set(release, BOOT_RELEASE_HOOKS, "runs post-boot.d");
}

static void on_gate(void *userdata)
{
    BootRelease *release = userdata;
    switch (boot_gate_state(release->gate)) {
    case BOOT_GATE_ASKING:
    case BOOT_GATE_WAITING:
    case BOOT_GATE_FAILED:
        set(release, BOOT_RELEASE_WAITING, boot_gate_text(release->gate));
        return;
    case BOOT_GATE_NO_SYSTEMD:
    case BOOT_GATE_NO_UNIT: {
        /* Nobody can declare the boot good: a person has to say that nobody need. */
        char text[sizeof(release->text)];
        snprintf(text, sizeof(text), "%s; set LOCKSMITHD_WAIT_BOOT_COMPLETE=no to go on without",
                boot_gate_text(release->gate));
        set(release, BOOT_RELEASE_WAITING, text);
        return;
    }
    case BOOT_GATE_DELAYED:
    case BOOT_GATE_CHECKING:
    case BOOT_GATE_CHECK_FAILED:
        set(release, BOOT_RELEASE_CHECK, boot_gate_text(release->gate));
        return;
    case BOOT_GATE_GOOD:
        boot_gate_free(TAKE_PTR(release->gate));
        run_hooks(release);
        return;
    }
}

/* Whether the gate needs the bus no more. */
static bool is_past_target(const BootRelease *release)
{
    switch (boot_gate_state(release->gate)) {
    case BOOT_GATE_DELAYED:
    case BOOT_GATE_CHECKING:
    case BOOT_GATE_CHECK_FAILED:
    case BOOT_GATE_GOOD:
        return true;
    case BOOT_GATE_ASKING:
    case BOOT_GATE_WAITING:
    case BOOT_GATE_FAILED:
    case BOOT_GATE_NO_SYSTEMD:
    case BOOT_GATE_NO_UNIT:
        return false;
    }
    return false;
}

static int make_gate(BootRelease *release)
{
    boot_gate_free(TAKE_PTR(release->gate));
    return boot_gate_new(release->event, release->bus, &release->options->gate, on_gate, release,
            &release->gate);
}

void boot_release_reconfigure(BootRelease *release)
{
    int r = release->gate ? make_gate(release) : 0;
    if (r < 0)
        log_error("cannot find out whether the boot is good: %s", strerror(-r));
}

void boot_release_set_bus(BootRelease *release, sd_bus *bus)
{
    sd_bus_unref(release->bus);
    release->bus = sd_bus_ref(bus);
    if (release->gate && release->options->gate.waits_for_target && !is_past_target(release))
        boot_release_reconfigure(release);
}

void boot_release_on_keeper(BootRelease *release)
{
    if (release->stage == BOOT_RELEASE_RETRYING)
        give_back(release);
}

void boot_release_keep_lock(BootRelease *release)
{
    release->keeps_lock = true;
    if (release->stage == BOOT_RELEASE_RETRYING)
        set(release, BOOT_RELEASE_DONE, "");
}

void boot_release_take_lock(BootRelease *release)
{
    release->keeps_lock = false;
}

int boot_release_new(sd_event *event, const BootReleaseOptions *options,
        void (*on_change)(void *userdata), void *userdata, BootRelease **ret_release)
{
    _cleanup_(boot_release_freep) BootRelease *release = calloc(1, sizeof(*release));
    if (!release)
        return -ENOMEM;
    *release = (BootRelease){
            .event = sd_event_ref(event),
            .options = options,
            .on_change = on_change,
            .userdata = userdata,
    };
    if (options->gate.waits_for_target)
        snprintf(release->text, sizeof(release->text), "waits for the bus");
    int r = make_gate(release);
    if (r < 0)
        return r;
    *ret_release = TAKE_PTR(release);
    return 0;
}

void boot_release_free(BootRelease *release)
{
    if (!release)
        return;
    boot_gate_free(release->gate);
    hook_run_free(release->hooks);
    sd_bus_unref(release->bus);
    sd_event_source_disable_unref(release->timer);
    sd_event_unref(release->event);
    free(release);
}

BootReleaseFacts boot_release_facts(const BootRelease *release)
{
    return (BootReleaseFacts){
            .stage = release->stage,
            .is_busy = release->hooks ||
                       (release->gate && boot_gate_state(release->gate) == BOOT_GATE_CHECKING),
            .text = release->text,
    };
}
