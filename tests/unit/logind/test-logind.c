/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/logind/logind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/bus-properties.h"
#include "common/clock.h"
#include "locksmith/conditions/logind/logind-facts.h"
#include "tests/unit/private-bus.h"
#include "tests/unit/unit.h"

typedef struct {
    const char *id;
    const char *class;
    const char *tty;
    const char *seat;
    const char *state;
    bool is_remote;
} FakeSession;

typedef struct {
    const char *what;
    const char *who;
    const char *why;
    const char *mode;
} FakeInhibitor;

typedef enum {
    FAKE_ANSWERS,
    FAKE_FAILS,
    FAKE_HANGS,
    FAKE_TALKS_NONSENSE,
    FAKE_KNOWS_NO_FLAGS
} Mode;

static PrivateBus *daemon_bus;
static sd_event *event;
static sd_bus *bus; /* of the tested */
static Logind *logind;
static unsigned n_changes, n_refreshed;

static struct {
    sd_bus *bus;
    FakeSession sessions[2000];
    size_t n_sessions;
    FakeInhibitor inhibitors[200];
    size_t n_inhibitors;
    Mode list, session, inhibitor, reboot;
    const char *gone; /* id of a session that ended meanwhile */
    unsigned n_lists, n_reboots;
    uint64_t flags;
    int is_interactive;
} fake;

static int refuse(sd_bus_message *call)
{
    return sd_bus_reply_method_errorf(
            call, "org.freedesktop.DBus.Error.AccessDenied", "not for you");
}

static int answer_sessions(sd_bus_message *call, sd_bus_message *reply)
{
    (void)call;
    ck_assert_int_ge(sd_bus_message_open_container(reply, 'a', "(susso)"), 0);
    for (size_t i = 0; i < fake.n_sessions; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/org/freedesktop/login1/session/_%zu", i);
        ck_assert_int_ge(sd_bus_message_append(reply, "(susso)", fake.sessions[i].id, (uint32_t)i,
                                 "core", fake.sessions[i].seat, path),
                0);
    }
    return sd_bus_message_close_container(reply);
}

static int answer_session(sd_bus_message *call, sd_bus_message *reply)
{
    const char *path = sd_bus_message_get_path(call);
    const FakeSession *session = &fake.sessions[atoi(strrchr(path, '_') + 1)];
    return sd_bus_message_append(reply, "a{sv}", 7, "Id", "s", session->id, "Class", "s",
            session->class, "TTY", "s", session->tty, "Seat", "(so)", session->seat, "/", "State",
            "s", session->state, "Remote", "b", session->is_remote, "Leader", "u", (uint32_t)1);
}

static int answer_inhibitors(sd_bus_message *call, sd_bus_message *reply)
{
    (void)call;
    ck_assert_int_ge(sd_bus_message_open_container(reply, 'a', "(ssssuu)"), 0);
    for (size_t i = 0; i < fake.n_inhibitors; i++)
        ck_assert_int_ge(sd_bus_message_append(reply, "(ssssuu)", fake.inhibitors[i].what,
                                 fake.inhibitors[i].who, fake.inhibitors[i].why,
                                 fake.inhibitors[i].mode, (uint32_t)0, (uint32_t)1),
                0);
    return sd_bus_message_close_container(reply);
}

static int answer(
        sd_bus_message *call, Mode mode, int (*build)(sd_bus_message *call, sd_bus_message *reply))
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    if (mode == FAKE_HANGS)
        return 1;
    if (mode == FAKE_FAILS)
        return refuse(call);
    ck_assert_int_ge(sd_bus_message_new_method_return(call, &reply), 0);
    if (mode == FAKE_TALKS_NONSENSE)
        ck_assert_int_ge(sd_bus_message_append(reply, "au", 1, 7), 0);
    else if (build)
        ck_assert_int_ge(build(call, reply), 0);
    ck_assert_int_ge(sd_bus_send(NULL, reply, NULL), 0);
    return 1;
}

static int on_reboot(sd_bus_message *call, bool has_flags)
{
    fake.n_reboots++;
    if (has_flags && fake.reboot == FAKE_KNOWS_NO_FLAGS)
        return sd_bus_reply_method_errorf(
                call, SD_BUS_ERROR_UNKNOWN_METHOD, "Unknown method RebootWithFlags");
    if (has_flags)
        ck_assert_int_gt(sd_bus_message_read(call, "t", &fake.flags), 0);
    else
        ck_assert_int_gt(sd_bus_message_read(call, "b", &fake.is_interactive), 0);
    return answer(call, fake.reboot, NULL);
}

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    (void)userdata;
    (void)error;
    if (sd_bus_message_is_method_call(call, LOGIND_MANAGER, "ListSessions")) {
        fake.n_lists++;
        return answer(call, fake.list, answer_sessions);
    }
    if (sd_bus_message_is_method_call(call, BUS_PROPERTIES, "GetAll")) {
        const char *path = sd_bus_message_get_path(call);
        size_t i = (size_t)atoi(strrchr(path, '_') + 1);
        if (fake.gone && strcmp(fake.gone, fake.sessions[i].id) == 0)
            return sd_bus_reply_method_errorf(
                    call, "org.freedesktop.login1.NoSuchSession", "No session known");
        return answer(call, fake.session, answer_session);
    }
    if (sd_bus_message_is_method_call(call, LOGIND_MANAGER, "ListInhibitors"))
        return answer(call, fake.inhibitor, answer_inhibitors);
    if (sd_bus_message_is_method_call(call, LOGIND_MANAGER, "RebootWithFlags"))
        return on_reboot(call, true);
    if (sd_bus_message_is_method_call(call, LOGIND_MANAGER, "Reboot"))
        return on_reboot(call, false);
    return 0;
}

static void on_change(void *userdata)
{
    ck_assert_ptr_eq(userdata, &fake);
    n_changes++;
}

static void on_refreshed(void *userdata)
{
    ck_assert_ptr_eq(userdata, &fake);
    n_refreshed++;
}

static void set_up(void)
{
    memset(&fake, 0, sizeof(fake));
    n_changes = n_refreshed = 0;
    daemon_bus = private_bus_new();
    ck_assert_int_ge(sd_event_new(&event), 0);
    bus = private_bus_connect(daemon_bus, event);
    fake.bus = private_bus_connect(daemon_bus, event);
    ck_assert_int_ge(sd_bus_add_filter(fake.bus, NULL, on_call, NULL), 0);
}

static void tear_down(void)
{
    logind_free(TAKE_PTR(logind));
    sd_bus_flush_close_unref(bus);
    sd_bus_flush_close_unref(fake.bus);
    sd_event_unref(event);
    private_bus_free(daemon_bus);
}

static bool is_known(void *userdata)
{
    (void)userdata;
    return logind_facts(logind).is_known;
}

static bool has_error(void *userdata)
{
    (void)userdata;
    return logind_facts(logind).error[0] != '\0';
}

static bool has_changed(void *userdata)
{
    return n_changes > *(unsigned *)userdata;
}

static bool has_refreshed(void *userdata)
{
    return n_refreshed > *(unsigned *)userdata;
}

static void begin(void)
{
    ck_assert_int_eq(logind_new(event, bus, on_change, &fake, &logind), 0);
    ck_assert_uint_eq(n_changes, 0);
    ck_assert(!logind_facts(logind).is_known);
    ck_assert_str_eq(logind_facts(logind).error, "");
}

static void begin_with_logind(void)
{
    private_bus_own(fake.bus, LOGIND_NAME);
    begin();
    private_bus_run_until(event, is_known, NULL);
    private_bus_settle(event, bus);
    ck_assert_uint_eq(n_changes, 1);
    ck_assert_uint_eq(fake.n_lists, 1);
}

static void await_change(void)
{
    unsigned n = n_changes;
    private_bus_run_until(event, has_changed, &n);
}

static void refresh(void)
{
    unsigned n = n_refreshed;
    ck_assert_int_eq(logind_refresh(logind, on_refreshed), 0);
    ck_assert_uint_eq(n_refreshed, n);
    private_bus_run_until(event, has_refreshed, &n);
    ck_assert_uint_eq(n_refreshed, n + 1);
}

static void add_session(FakeSession session)
{
    fake.sessions[fake.n_sessions++] = session;
}

static void add_user(const char *id)
{
    add_session((FakeSession){id, "user", "pts/0", "", "active", true});
}

static void emit_session(sd_bus *from, const char *to, const char *member)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
    ck_assert_int_ge(
            sd_bus_message_new_signal(from, &signal, LOGIND_PATH, LOGIND_MANAGER, member), 0);
    ck_assert_int_ge(sd_bus_message_append(signal, "so", "1", "/x"), 0);
    if (to)
        ck_assert_int_ge(sd_bus_message_set_destination(signal, to), 0);
    ck_assert_int_ge(sd_bus_send(from, signal, NULL), 0);
}

static void emit_properties(const char *interface, const char *changed, const char *invalidated)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
    ck_assert_int_ge(sd_bus_message_new_signal(
                             fake.bus, &signal, LOGIND_PATH, BUS_PROPERTIES, "PropertiesChanged"),
            0);
    ck_assert_int_ge(sd_bus_message_append(signal, "s", interface), 0);
    ck_assert_int_ge(changed ? sd_bus_message_append(
                                       signal, "a{sv}", 2, "X", "s", "", changed, "s", "shutdown")
                             : sd_bus_message_append(signal, "a{sv}", 0),
            0);
    ck_assert_int_ge(invalidated ? sd_bus_message_append(signal, "as", 1, invalidated)
                                 : sd_bus_message_append(signal, "as", 0),
            0);
    ck_assert_int_ge(sd_bus_send(fake.bus, signal, NULL), 0);
}

/* Both ends have handled what the fake sent. */
static void settle(void)
{
    private_bus_settle(event, fake.bus);
    private_bus_settle(event, bus);
}

START_TEST(counts_only_people_at_terminals_and_seats)
{
    add_session((FakeSession){"1", "user", "pts/0", "", "active", true});
    add_session((FakeSession){"2", "user", "tty1", "seat0", "online", false});
    add_session((FakeSession){"3", "user", "", "seat0", "active", false});
    add_session((FakeSession){"4", "user-early", "pts/4", "", "opening", true});
    add_session((FakeSession){"5", "user-light", "pts/5", "", "active", true});
    add_session((FakeSession){"n1", "user", "", "", "active", true}); /* scp */
    add_session((FakeSession){"n2", "user", "pts/1", "", "closing", true});
    add_session((FakeSession){"n3", "manager", "pts/2", "", "active", false});
    add_session((FakeSession){"n4", "greeter", "tty7", "seat0", "active", false});
    add_session((FakeSession){"n5", "background", "pts/3", "", "active", false});
    add_session((FakeSession){"n6", "user-incomplete", "pts/3", "", "active", false});
    add_session((FakeSession){"n7", "lock-screen", "tty7", "seat0", "active", false});
    begin_with_logind();
    LogindFacts facts = logind_facts(logind);
    ck_assert_uint_eq(facts.n_sessions, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_str_eq(facts.sessions[i].id, fake.sessions[i].id);
        ck_assert_str_eq(facts.sessions[i].tty, fake.sessions[i].tty);
        ck_assert_str_eq(facts.sessions[i].user, "core");
        ck_assert_int_eq(facts.sessions[i].is_remote, fake.sessions[i].is_remote);
    }
}
END_TEST

START_TEST(counts_only_what_blocks_a_shutdown)
{
    static const FakeInhibitor inhibitors[] = {
            {"sleep:shutdown:idle", "backup\x1b[2J", "a backup runs", "block"},
            {"shutdown", "apt", "", "block"},
            {"shutdown", "n1", "", "delay"},
            {"shutdown", "n2", "", "block-weak"},
            {"sleep:idle", "n3", "", "block"},
            {"shutdown-not", "n4", "", "block"},
            {"", "n5", "", "block"},
    };
    memcpy(fake.inhibitors, inhibitors, sizeof(inhibitors));
    fake.n_inhibitors = ELEMENTS(inhibitors);
    begin_with_logind();
    LogindFacts facts = logind_facts(logind);
    ck_assert_uint_eq(facts.n_inhibitors, 2);
    ck_assert_str_eq(facts.inhibitors[0].who, "backup?[2J");
    ck_assert_str_eq(facts.inhibitors[0].why, "a backup runs");
    ck_assert_str_eq(facts.inhibitors[1].who, "apt");
}
END_TEST

START_TEST(follows_the_sessions_signals)
{
    begin_with_logind();
    add_user("1");
    emit_session(fake.bus, NULL, "SessionNew");
    await_change();
    ck_assert_uint_eq(logind_facts(logind).n_sessions, 1);
    fake.n_sessions = 0;
    emit_session(fake.bus, NULL, "SessionRemoved");
    await_change();
    ck_assert_uint_eq(logind_facts(logind).n_sessions, 0);
    /* Nothing else: nothing is told. */
    emit_session(fake.bus, NULL, "SessionNew");
    settle();
    ck_assert_uint_eq(fake.n_lists, 4);
    ck_assert_uint_eq(n_changes, 3);
}
END_TEST

START_TEST(follows_the_inhibitors_property_alone)
{
    begin_with_logind();
    emit_properties(LOGIND_MANAGER, "IdleHint", "DelayInhibited");
    emit_properties("org.example.Other", "BlockInhibited", NULL);
    settle();
    ck_assert_uint_eq(fake.n_lists, 1);
    fake.inhibitors[fake.n_inhibitors++] = (FakeInhibitor){"shutdown", "a", "b", "block"};
    emit_properties(LOGIND_MANAGER, "BlockInhibited", NULL);
    await_change();
    ck_assert_uint_eq(logind_facts(logind).n_inhibitors, 1);
    fake.inhibitors[fake.n_inhibitors++] = (FakeInhibitor){"shutdown", "c", "d", "block"};
    emit_properties(LOGIND_MANAGER, NULL, "BlockInhibited");
    await_change();
    ck_assert_uint_eq(logind_facts(logind).n_inhibitors, 2);
}
END_TEST

START_TEST(does_not_listen_to_strangers)
{
    const char *own;
    begin_with_logind();
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *stranger = private_bus_connect(daemon_bus, event);
    private_bus_settle(event, stranger);
    ck_assert_int_ge(sd_bus_get_unique_name(bus, &own), 0);
    emit_session(stranger, NULL, "SessionNew");
    emit_session(stranger, own, "SessionNew");
    private_bus_settle(event, stranger);
    private_bus_settle(event, bus);
    ck_assert_uint_eq(fake.n_lists, 1);

    /* Nor is logind gone because a stranger says so. */
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
    ck_assert_int_ge(sd_bus_message_new_signal(stranger, &signal, "/org/freedesktop/DBus",
                             "org.freedesktop.DBus", "NameOwnerChanged"),
            0);
    ck_assert_int_ge(sd_bus_message_append(signal, "sss", LOGIND_NAME, ":1.1", ""), 0);
    ck_assert_int_ge(sd_bus_message_set_destination(signal, own), 0);
    ck_assert_int_ge(sd_bus_send(stranger, signal, NULL), 0);
    private_bus_settle(event, stranger);
    private_bus_settle(event, bus);
    ck_assert(logind_facts(logind).is_known);
    ck_assert_uint_eq(n_changes, 1);
}
END_TEST

START_TEST(a_session_that_closes_is_seen_by_looking_again)
{
    add_user("1");
    begin_with_logind();
    ck_assert_uint_eq(logind_facts(logind).n_sessions, 1);
    fake.sessions[0].state = "closing";
    refresh();
    ck_assert_uint_eq(logind_facts(logind).n_sessions, 0);
    ck_assert_uint_eq(n_changes, 2);
    refresh();
    ck_assert_uint_eq(n_changes, 2);
}
END_TEST

START_TEST(a_second_refresh_takes_the_place_of_the_first)
{
    begin_with_logind();
    unsigned n = 0;
    ck_assert_int_eq(logind_refresh(logind, on_refreshed), 0);
    ck_assert_int_eq(logind_refresh(logind, on_refreshed), 0);
    private_bus_run_until(event, has_refreshed, &n);
    settle();
    ck_assert_uint_eq(n_refreshed, 1);
}
END_TEST

START_TEST(a_refresh_is_not_served_by_a_round_that_began_before)
{
    private_bus_own(fake.bus, LOGIND_NAME);
    begin();
    while (fake.n_lists == 0)
        ck_assert_int_gt(sd_event_run(event, USEC_PER_SEC), 0);
    refresh();
    ck_assert_uint_eq(fake.n_lists, 2);
}
END_TEST

START_TEST(says_why_it_knows_nothing_and_waits_for_logind)
{
    begin();
    private_bus_run_until(event, has_error, NULL);
    ck_assert_uint_eq(n_changes, 1);
    ck_assert_ptr_nonnull(strstr(logind_facts(logind).error, "logind does not tell its sessions"));
    refresh(); /* ends, too */
    ck_assert(!logind_facts(logind).is_known);
    private_bus_own(fake.bus, LOGIND_NAME);
    private_bus_run_until(event, is_known, NULL);
    ck_assert_str_eq(logind_facts(logind).error, "");
}
END_TEST

START_TEST(knows_nothing_when_logind_goes_and_asks_again_when_it_comes)
{
    add_user("1");
    begin_with_logind();
    ck_assert_int_ge(sd_bus_release_name(fake.bus, LOGIND_NAME), 0);
    await_change();
    LogindFacts facts = logind_facts(logind);
    ck_assert(!facts.is_known);
    ck_assert_uint_eq(facts.n_sessions, 0);
    ck_assert_ptr_nonnull(strstr(facts.error, "logind is not there"));
    private_bus_own(fake.bus, LOGIND_NAME);
    private_bus_run_until(event, is_known, NULL);
    ck_assert_uint_eq(logind_facts(logind).n_sessions, 1);
}
END_TEST

START_TEST(a_logind_that_goes_silent_and_then_away_ends_a_refresh)
{
    begin_with_logind();
    fake.list = FAKE_HANGS;
    unsigned n = 0;
    ck_assert_int_eq(logind_refresh(logind, on_refreshed), 0);
    settle();
    ck_assert_uint_eq(n_refreshed, 0);
    ck_assert_int_ge(sd_bus_release_name(fake.bus, LOGIND_NAME), 0);
    private_bus_run_until(event, has_refreshed, &n);
    ck_assert(!logind_facts(logind).is_known);
}
END_TEST

START_TEST(an_answer_that_fails_leaves_nothing_known)
{
    static const struct {
        Mode list, session, inhibitor;
        const char *says;
    } cases[] = {
            {FAKE_FAILS, FAKE_ANSWERS, FAKE_ANSWERS, "does not tell its sessions: not for you"},
            {FAKE_ANSWERS, FAKE_FAILS, FAKE_ANSWERS, "does not tell of a session: not for you"},
            {FAKE_ANSWERS, FAKE_ANSWERS, FAKE_FAILS, "does not tell its inhibitors: not for you"},
            {FAKE_TALKS_NONSENSE, FAKE_ANSWERS, FAKE_ANSWERS, "cannot be asked: "},
            {FAKE_ANSWERS, FAKE_TALKS_NONSENSE, FAKE_ANSWERS, "cannot be asked: "},
            {FAKE_ANSWERS, FAKE_ANSWERS, FAKE_TALKS_NONSENSE, "cannot be asked: "},
    };
    add_user("1");
    begin_with_logind();
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        fake.list = cases[i].list;
        fake.session = cases[i].session;
        fake.inhibitor = cases[i].inhibitor;
        refresh();
        LogindFacts facts = logind_facts(logind);
        ck_assert(!facts.is_known);
        ck_assert_uint_eq(facts.n_sessions, 0);
        ck_assert_msg(strstr(facts.error, cases[i].says) != NULL, "%s", facts.error);
    }
    fake.inhibitor = FAKE_ANSWERS;
    refresh();
    ck_assert(logind_facts(logind).is_known);
    ck_assert_uint_eq(logind_facts(logind).n_sessions, 1);
}
END_TEST

START_TEST(a_session_that_ends_meanwhile_is_left_out)
{
    add_user("1");
    add_user("2");
    fake.gone = "1";
    begin_with_logind();
    ck_assert_uint_eq(logind_facts(logind).n_sessions, 1);
    ck_assert_str_eq(logind_facts(logind).sessions[0].id, "2");
}
END_TEST

START_TEST(keeps_a_bounded_number_of_each)
{
    for (int i = 0; i < 600; i++)
        add_user("1");
    for (int i = 0; i < 200; i++)
        fake.inhibitors[fake.n_inhibitors++] = (FakeInhibitor){"shutdown", "a", "b", "block"};
    begin_with_logind();
    ck_assert_uint_eq(logind_facts(logind).n_sessions, LOGIND_MAX_SESSIONS);
    ck_assert_uint_eq(logind_facts(logind).n_inhibitors, LOGIND_MAX_INHIBITORS);
}
END_TEST

START_TEST(may_be_freed_at_any_moment)
{
    add_user("1");
    private_bus_own(fake.bus, LOGIND_NAME);
    for (int n_turns = 0; n_turns < 30; n_turns++) {
        ck_assert_int_eq(logind_new(event, bus, on_change, &fake, &logind), 0);
        for (int i = 0; i < n_turns; i++)
            sd_event_run(event, 2000);
        logind_free(TAKE_PTR(logind));
    }
    settle();
}
END_TEST

static struct {
    LogindReboot *reboot;
    bool is_done;
    int r;
    char error[128];
} reboot;

static void on_reboot_done(LogindReboot *done, int r, const char *error, void *userdata)
{
    ck_assert_ptr_eq(done, reboot.reboot);
    ck_assert_ptr_eq(userdata, &reboot);
    ck_assert(!reboot.is_done);
    reboot.is_done = true;
    reboot.r = r;
    snprintf(reboot.error, sizeof(reboot.error), "%s", error);
    logind_reboot_free(TAKE_PTR(reboot.reboot));
}

static bool is_rebooted(void *userdata)
{
    (void)userdata;
    return reboot.is_done;
}

static void ask_reboot(uint64_t timeout_usec)
{
    memset(&reboot, 0, sizeof(reboot));
    ck_assert_int_eq(
            logind_reboot_new(logind, timeout_usec, on_reboot_done, &reboot, &reboot.reboot), 0);
    ck_assert(!reboot.is_done);
    private_bus_run_until(event, is_rebooted, NULL);
}

START_TEST(reboots_with_the_inhibitors_in_force_for_root_too)
{
    begin_with_logind();
    ask_reboot(USEC_PER_MINUTE);
    ck_assert_int_eq(reboot.r, 0);
    ck_assert_str_eq(reboot.error, "");
    ck_assert_uint_eq(fake.flags, 1);
    ck_assert_uint_eq(fake.n_reboots, 1);
}
END_TEST

START_TEST(reboots_with_a_logind_that_knows_no_flags)
{
    fake.is_interactive = 1;
    begin_with_logind();
    fake.reboot = FAKE_KNOWS_NO_FLAGS;
    ask_reboot(USEC_PER_MINUTE);
    ck_assert_int_eq(reboot.r, 0);
    ck_assert_uint_eq(fake.n_reboots, 2);
    ck_assert_int_eq(fake.is_interactive, 0);
}
END_TEST

START_TEST(tells_why_a_reboot_is_refused)
{
    begin_with_logind();
    fake.reboot = FAKE_FAILS;
    ask_reboot(USEC_PER_MINUTE);
    ck_assert_int_eq(reboot.r, -EACCES);
    ck_assert_str_eq(reboot.error, "not for you");
    ck_assert_int_ge(sd_bus_release_name(fake.bus, LOGIND_NAME), 0);
    ask_reboot(USEC_PER_MINUTE);
    ck_assert_int_lt(reboot.r, 0);
    ck_assert_str_ne(reboot.error, "");
}
END_TEST

START_TEST(does_not_wait_for_a_silent_logind_for_ever)
{
    begin_with_logind();
    fake.reboot = FAKE_HANGS;
    ask_reboot(20000);
    ck_assert_int_eq(reboot.r, -ETIMEDOUT);
    ck_assert_str_ne(reboot.error, "");
}
END_TEST

START_TEST(a_reboot_that_was_freed_tells_nothing)
{
    begin_with_logind();
    memset(&reboot, 0, sizeof(reboot));
    ck_assert_int_eq(
            logind_reboot_new(logind, USEC_PER_MINUTE, on_reboot_done, &reboot, &reboot.reboot), 0);
    logind_reboot_free(TAKE_PTR(reboot.reboot));
    settle();
    ck_assert(!reboot.is_done);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("logind");
    TCase *facts = unit_case(suite, "facts");
    tcase_add_checked_fixture(facts, set_up, tear_down);
    tcase_add_test(facts, counts_only_people_at_terminals_and_seats);
    tcase_add_test(facts, counts_only_what_blocks_a_shutdown);
    tcase_add_test(facts, follows_the_sessions_signals);
    tcase_add_test(facts, follows_the_inhibitors_property_alone);
    tcase_add_test(facts, does_not_listen_to_strangers);
    tcase_add_test(facts, a_session_that_closes_is_seen_by_looking_again);
    tcase_add_test(facts, a_second_refresh_takes_the_place_of_the_first);
    tcase_add_test(facts, a_refresh_is_not_served_by_a_round_that_began_before);
    tcase_add_test(facts, says_why_it_knows_nothing_and_waits_for_logind);
    tcase_add_test(facts, knows_nothing_when_logind_goes_and_asks_again_when_it_comes);
    tcase_add_test(facts, a_logind_that_goes_silent_and_then_away_ends_a_refresh);
    tcase_add_test(facts, an_answer_that_fails_leaves_nothing_known);
    tcase_add_test(facts, a_session_that_ends_meanwhile_is_left_out);
    tcase_add_test(facts, keeps_a_bounded_number_of_each);
    tcase_add_test(facts, may_be_freed_at_any_moment);
    TCase *reboots = unit_case(suite, "reboot");
    tcase_add_checked_fixture(reboots, set_up, tear_down);
    tcase_add_test(reboots, reboots_with_the_inhibitors_in_force_for_root_too);
    tcase_add_test(reboots, reboots_with_a_logind_that_knows_no_flags);
    tcase_add_test(reboots, tells_why_a_reboot_is_refused);
    tcase_add_test(reboots, does_not_wait_for_a_silent_logind_for_ever);
    tcase_add_test(reboots, a_reboot_that_was_freed_tells_nothing);
    return suite;
}
